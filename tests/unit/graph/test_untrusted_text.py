"""Text of strangers stays data."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph.untrusted import SECTIONS, fence


@pytest.mark.parametrize("tag", ["</ticket>", "<system>", "</ TICKET >", "<feedback x='1'>", "</earlier_tickets>"])
def test_tags_of_ours_are_disarmed(tag: str) -> None:
    assert fence("ticket", f"a {tag} b").count("<") == 2


def test_other_markup_stays_as_it_is() -> None:
    text = "<html> a < b </html> <tickets> List<String>"
    assert (
        fence("ticket", text.replace("<tickets>", "<xml>"))
        == f"<ticket>\n{text.replace('<tickets>', '<xml>')}\n</ticket>"
    )


def test_an_overlong_text_is_cut_and_says_so() -> None:
    fenced = fence("ticket", "x" * 50_000)
    assert len(fenced) < 12_100
    assert "[cut: 38000 more characters]" in fenced


@given(st.sampled_from(SECTIONS), st.text())
def test_a_fence_is_closed_exactly_once(section: str, text: str) -> None:
    assert fence(section, text).lower().count(f"</{section}>") == 1
