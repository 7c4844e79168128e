"""Reading trees of Markdown: ours, other people's, and broken ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from mcp_server import ArticleError, load_articles
from tests.kit.articles import ETAG, KAFKA, write_articles


def test_an_article_says_everything_in_its_front_matter(tmp_path: Path) -> None:
    article, _ = load_articles(write_articles(tmp_path, a=KAFKA, b=ETAG))
    assert (article.article_id, article.title, article.category) == (
        "KB-1",
        "Kafka refuses the connection",
        "connectivity",
    )
    assert (article.tags, article.versions, article.see_also) == (("kafka", "sasl"), "1.15+", ("KB-2",))
    assert article.symptoms == "- `client has run out of available brokers`"
    assert [section.heading for section in article.sections] == ["Symptoms", "Cause", "Fix"]
    assert article.text.startswith("# Kafka refuses")
    assert article.url == "kb://articles/KB-1"


def test_a_file_without_front_matter_gets_its_id_from_the_path_and_its_title_from_the_heading(tmp_path: Path) -> None:
    write_articles(tmp_path, guides__first_steps="# First steps\n\nText.\n")
    (article,) = load_articles(tmp_path)
    assert (article.article_id, article.title, article.category) == ("guides.first_steps", "First steps", None)


def test_a_file_without_a_heading_is_titled_by_its_name(tmp_path: Path) -> None:
    write_articles(tmp_path, notes="Text only.\n")
    (article,) = load_articles(tmp_path)
    assert (article.title, article.sections[0].heading) == ("notes", "notes")


def test_the_category_can_come_from_the_innermost_folder_of_that_name(tmp_path: Path) -> None:
    write_articles(tmp_path, connectivity__configuration__x="# X\n\nText.\n")
    assert load_articles(tmp_path)[0].category == "configuration"


def test_a_name_with_spaces_gives_an_id_that_fits_an_address(tmp_path: Path) -> None:
    (tmp_path / "My notes (old) ü.md").write_text("Text.", encoding="utf-8")
    (article,) = load_articles(tmp_path)
    assert article.article_id == "My-notes-old-ü"
    assert article.url == "kb://articles/My-notes-old-%C3%BC"


def test_other_tools_front_matter_is_tolerated(tmp_path: Path) -> None:
    write_articles(tmp_path, page="---\ntype: docs\ntitle: 1.15\ntags: a, b\nweight: 3\nversions: 1.15\n---\nText.\n")
    (article,) = load_articles(tmp_path)
    assert (article.title, article.tags, article.versions) == ("1.15", ("a", "b"), "1.15")


def test_symptoms_in_the_front_matter_win_over_the_section(tmp_path: Path) -> None:
    write_articles(tmp_path, a="---\nsymptoms: [it hangs]\n---\n## Symptoms\n\nSomething else.\n")
    assert load_articles(tmp_path)[0].symptoms == "it hangs"


def test_windows_line_ends_and_a_byte_order_mark_do_not_matter(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_bytes(b"\xef\xbb\xbf---\r\nid: W\r\n---\r\n# Title\r\n\r\nText.\r\n")
    (article,) = load_articles(tmp_path)
    assert (article.article_id, article.title) == ("W", "Title")


def test_hidden_folders_and_other_files_are_left_out(tmp_path: Path) -> None:
    write_articles(tmp_path, a="Text.", **{".git__b": "Text."})
    (tmp_path / "picture.png").write_bytes(b"\x89PNG")
    assert [article.article_id for article in load_articles(tmp_path)] == ["a"]


def test_a_hidden_parent_of_the_tree_does_not_hide_the_tree(tmp_path: Path) -> None:
    assert load_articles(write_articles(tmp_path / ".cache" / "kb", a="Text."))


def test_a_page_of_front_matter_alone_is_left_out(tmp_path: Path) -> None:
    write_articles(tmp_path, a="Text.", _index="---\ntitle: Section\n---\n")
    assert [article.article_id for article in load_articles(tmp_path)] == ["a"]


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ("", "no text"),
        ("---\nid: A\n---\n", "no text"),
        ("---\nid: [broken\n---\nText.", "not YAML"),
        ("---\n- a\n- b\n---\nText.", "not a list of `name: value` lines"),
        ("---\ncategory: conectivity\n---\nText.", "category: Input should be 'connectivity'"),
        ("---\nid: a/b\n---\nText.", "id 'a/b'"),
        ("---\ntags: {a: b}\n---\nText.", "tags"),
        ("---\nsee_also: [KB-9]\n---\nText.", "see_also names 'KB-9'"),
    ],
)
def test_a_bad_article_is_an_error_with_its_file_and_the_reason(tmp_path: Path, document: str, reason: str) -> None:
    write_articles(tmp_path, good="Text.", bad=document)
    with pytest.raises(ArticleError) as caught:
        load_articles(tmp_path)
    assert caught.value.file == tmp_path / "bad.md"
    assert reason in caught.value.reason
    assert str(caught.value).startswith(str(tmp_path / "bad.md"))


def test_a_file_that_is_not_utf8_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "bad.md").write_bytes("Grüße".encode("latin-1"))
    with pytest.raises(ArticleError, match=r"bad\.md: not UTF-8 text \(byte 2\)"):
        load_articles(tmp_path)


def test_two_articles_must_not_share_an_id_whatever_its_case(tmp_path: Path) -> None:
    write_articles(tmp_path, one="---\nid: KB-1\n---\nText.", two="---\nid: kb-1\n---\nText.")
    with pytest.raises(ArticleError, match=r"two\.md: id 'kb-1' is already taken by .*one\.md"):
        load_articles(tmp_path)


@pytest.mark.parametrize(("name", "reason"), [("", "no Markdown file"), ("missing", "no such folder")])
def test_a_folder_without_articles_is_an_error(tmp_path: Path, name: str, reason: str) -> None:
    with pytest.raises(ArticleError, match=reason):
        load_articles(tmp_path / name)
