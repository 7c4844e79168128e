"""How a checked answer is rendered."""

import pytest

from graph.expert.analysis import CitedFinding, CitedStep, ExpertAnswer, build_analysis, check_citations
from graph.expert.state import KnowledgeQuery
from tests.kit.graph_fakes import passage

QUERIES = [
    KnowledgeQuery(query="q", category="connectivity", passages=[passage("KB-CON-001"), passage("ADR 7")], round=1)
]
CODE = "Raise the timeout:\n\n```yaml\nspec:\n  timeout: 30s\n```"


def answer(instruction: str, *ids: str, claim: str = "It is slow.") -> ExpertAnswer:
    return ExpertAnswer(
        summary="Slow.",
        findings=[CitedFinding(claim=claim, article_ids=["KB-CON-001"])],
        steps=[CitedStep(instruction=instruction, article_ids=list(ids))],
    )


def test_the_source_stands_before_the_code_and_the_code_within_its_step() -> None:
    text = build_analysis(answer(CODE, "KB-CON-001"), QUERIES)["proposed_solution"]
    expected = "1. Raise the timeout: [KB-CON-001]\n\n   ```yaml\n   spec:\n     timeout: 30s\n   ```"
    assert text.endswith(expected)


def test_a_source_that_the_text_names_already_is_not_repeated() -> None:
    text = build_analysis(answer("Restart it [KB-CON-001].", "KB-CON-001"), QUERIES)["proposed_solution"]
    assert text.endswith("1. Restart it [KB-CON-001].")


def test_ids_of_any_shape_can_be_cited() -> None:
    check_citations(answer("Read ADR 7.", "ADR 7"), retrieved={"ADR 7", "KB-CON-001"})
    assert [source["article_id"] for source in build_analysis(answer("x", "ADR 7"), QUERIES)["sources"]] == [
        "ADR 7",
        "KB-CON-001",
    ]


@pytest.mark.parametrize("text", ["CVE-2024-1234 is fixed in 1.16.", "RFC-9457 says so.", "Use TLS-1.3."])
def test_other_identifiers_in_the_text_are_no_article_ids(text: str) -> None:
    check_citations(answer(text, "KB-CON-001"), retrieved={"KB-CON-001"})


def test_an_article_named_in_a_claim_must_have_been_found() -> None:
    with pytest.raises(ValueError, match="KB-CFG-005"):
        check_citations(answer("x", "KB-CON-001", claim="As KB-CFG-005 says."), retrieved={"KB-CON-001"})
