"""How a Markdown document is taken apart."""

from __future__ import annotations

from textwrap import dedent

from mcp_server.markdown import MAX_PASSAGE, first_title, split_front_matter, split_long, split_sections


def test_front_matter_is_told_from_the_text() -> None:
    assert split_front_matter("---\ntitle: x\n---\ntext\n") == ("title: x\n", "text\n")


def test_a_document_without_front_matter_is_all_text() -> None:
    document = "# Title\n\n---\n\nA rule, not front matter.\n"
    assert split_front_matter(document) == (None, document)


def test_empty_front_matter_is_front_matter() -> None:
    assert split_front_matter("---\n---\ntext") == ("", "text")


def test_nested_headings_are_named_with_their_parents() -> None:
    body = "# T\n\nIntro.\n\n## Fix\n\nOne.\n\n### On Kubernetes\n\nTwo.\n\n## Versions\n\nThree.\n"
    found = [(section.heading, section.text) for section in split_sections(body, title="T")]
    assert found == [("T", "Intro."), ("Fix", "One."), ("Fix > On Kubernetes", "Two."), ("Versions", "Three.")]


def test_a_comment_in_a_code_block_is_not_a_heading() -> None:
    body = dedent("""\
        ## Fix

        ```bash
        # not a heading
        ```

        ~~~~
        ## nor this
        ~~~
        ~~~~
        """)
    (section,) = split_sections(body, title="T")
    assert "# not a heading" in section.text
    assert "## nor this" in section.text


def test_closing_marks_are_no_part_of_a_heading() -> None:
    assert first_title("# Title ##\n") == "Title"


def test_text_without_any_heading_is_one_section_under_the_title() -> None:
    (section,) = split_sections("Only text.", title="notes")
    assert (section.heading, section.text) == ("notes", "Only text.")


def test_a_long_section_is_cut_at_blank_lines() -> None:
    paragraph = "word " * 200
    pieces = list(split_long("\n\n".join([paragraph] * 9)))
    assert len(pieces) > 1
    assert all(len(piece) <= MAX_PASSAGE for piece in pieces)
    assert all(piece.startswith("word") for piece in pieces)


def test_a_code_block_is_not_cut_at_its_blank_lines() -> None:
    code = "```yaml\na: 1\n\nb: 2\n```"
    assert list(split_long(f"{'x' * 40}\n\n{code}", limit=50)) == ["x" * 40, code]


def test_one_endless_line_is_cut_by_force_and_nothing_is_lost() -> None:
    pieces = list(split_long("y" * 10_001))
    assert "".join(pieces) == "y" * 10_001
    assert max(map(len, pieces)) <= MAX_PASSAGE
