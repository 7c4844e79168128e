"""What the bridge's README points at exists, and the code that it quotes is that of the examples."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[3]
README = PROJECT / "dapr_bridge" / "README.md"
PAGES = [README, PROJECT / "examples" / "README.md", PROJECT / "examples" / "studio" / "README.md"]


def anchors(page: Path) -> set[str]:
    """The names that GitHub gives to a page's headings."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT)))
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)", page.read_text())
    targets = [((page.parent / path) if path else page, anchor) for path, anchor in links]

    assert [str(path) for path, _ in targets if not path.exists()] == []
    assert [anchor for path, anchor in targets if anchor and anchor not in anchors(path)] == []


def test_the_tests_that_prove_a_promise_are_there() -> None:
    named = set(re.findall(r"`(test_\w+\.py)`", README.read_text()))

    assert len(named) > 10
    assert named - {path.name for path in (PROJECT / "tests").rglob("test_*.py")} == set()


def test_quoted_code_is_that_of_the_example() -> None:
    quotes = re.findall(r"```python\n# (examples/\w+\.py)\n(.*?)```", README.read_text(), flags=re.DOTALL)

    assert quotes
    assert [path for path, code in quotes if code not in (PROJECT / path).read_text()] == []
