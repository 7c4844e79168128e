"""Which words of a query are searched for."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mcp_server.terms import MAX_TERMS, significant_terms


def test_grammar_and_courtesy_carry_no_meaning() -> None:
    assert significant_terms("Hello, please help: why can I not reach the sidecar?") == ("reach", "sidecar")


def test_names_are_taken_apart_as_the_index_takes_them_apart() -> None:
    assert significant_terms("ERR_DIRECT_INVOKE state.redis") == ("err", "direct", "invoke", "state", "redis")


def test_camel_case_is_kept_whole_and_given_in_parts() -> None:
    assert significant_terms("actorStateStore") == ("actorstatestore", "actor", "state", "store")


def test_a_word_counts_once_and_single_letters_do_not_count() -> None:
    assert significant_terms("Redis redis REDIS x 4") == ("redis", "4")


def test_nothing_is_left_of_punctuation_and_pictures() -> None:
    assert significant_terms("?!... \"' -- 🙂 * ^ ( ) \x00") == ()


def test_a_pasted_document_is_cut_to_its_first_words() -> None:
    assert len(significant_terms(" ".join(f"word{number}" for number in range(5000)))) == MAX_TERMS


@given(st.text(max_size=300))
def test_terms_are_bare_words_for_any_text(text: str) -> None:
    terms = significant_terms(text)
    assert len(set(terms)) == len(terms)
    assert all(term and '"' not in term and not any(character.isspace() for character in term) for term in terms)
