"""Read a tree of Markdown files into checked articles; any file that cannot be served is an error with its name."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from mcp_server.errors import ArticleError
from mcp_server.markdown import first_title, split_front_matter, split_sections
from mcp_server.models import CATEGORIES, Article, Category, Section

_SUFFIXES = frozenset({".md", ".markdown"})
_ID = re.compile(r"[\w][\w.\-]*")


def _as_list(value: object) -> object:
    """Accept `tags: a, b` for a list: other Markdown tools write it so."""
    if value is None:
        return []
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


_Names = Annotated[tuple[str, ...], BeforeValidator(_as_list)]


class FrontMatter(BaseModel):
    """What an article says about itself; every field may be missing, and other tools' fields are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore", coerce_numbers_to_str=True)

    id: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    title: Annotated[str, Field(min_length=1)] | None = None
    category: Category | None = None
    tags: _Names = ()
    versions: str = ""
    see_also: _Names = ()
    symptoms: _Names = ()


def load_articles(folder: Path) -> tuple[Article, ...]:
    """Read every Markdown file under a folder, in the order of their paths.

    Raises:
        ArticleError: The folder holds no articles, a file cannot be read as one, or two articles claim one id.
    """
    files = sorted(path for path in folder.rglob("*") if _is_article(path, folder=folder))
    if not files:
        raise ArticleError(folder, "no Markdown file (.md) in this folder" if folder.is_dir() else "no such folder")
    articles = {path: article for path in files if (article := read_article(path, folder=folder))}
    _reject_conflicts(articles)
    return tuple(articles.values())


def read_article(path: Path, *, folder: Path) -> Article | None:
    """Read one file; what its front matter leaves out comes from its headings and its place under `folder`.

    Returns:
        None for a page of front matter alone, with no id: site generators describe a folder in one.

    Raises:
        ArticleError: The file is not UTF-8, is empty, or has front matter that cannot be understood.
    """
    front, body = _split(path)
    if not body.strip():
        if front.model_fields_set and front.id is None:
            return None
        raise ArticleError(path, "the article has no text")
    place = path.relative_to(folder)
    title = front.title or first_title(body) or path.stem
    sections = split_sections(body, title=title)
    return Article(
        article_id=_article_id(front, path, place=place),
        title=title,
        category=front.category or _category_of(place),
        tags=front.tags,
        versions=front.versions,
        see_also=front.see_also,
        symptoms="\n".join(front.symptoms) or _section_text(sections, "symptoms"),
        text=body.strip(),
        sections=tuple(section for section in sections if section.text),
    )


def _is_article(path: Path, *, folder: Path) -> bool:
    hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
    return path.suffix.lower() in _SUFFIXES and not hidden and path.is_file()


def _split(path: Path) -> tuple[FrontMatter, str]:
    try:
        document = path.read_text(encoding="utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise ArticleError(path, f"not UTF-8 text (byte {error.start})") from error
    except OSError as error:
        raise ArticleError(path, f"cannot be read: {error.strerror}") from error
    front, body = split_front_matter(document)
    return (_parse_front_matter(front, path) if front else FrontMatter()), body


def _parse_front_matter(text: str, path: Path) -> FrontMatter:
    try:
        fields: Any = yaml.safe_load(text)
        if fields is not None and not isinstance(fields, Mapping):
            raise ArticleError(path, "the front matter is not a list of `name: value` lines")
        return FrontMatter.model_validate(fields or {})
    except yaml.YAMLError as error:
        raise ArticleError(path, f"the front matter is not YAML: {' '.join(str(error).split())}") from error
    except ValidationError as error:
        reasons = "; ".join(f"{detail['loc'][0]}: {detail['msg']}" for detail in error.errors())
        raise ArticleError(path, f"the front matter is wrong: {reasons}") from error


def _article_id(front: FrontMatter, path: Path, *, place: Path) -> str:
    if front.id is None:
        # Dots for slashes: an id stands in one segment of `kb://articles/{article_id}`.
        return re.sub(r"[^\w.\-]+", "-", ".".join(place.with_suffix("").parts))
    if not _ID.fullmatch(front.id):
        raise ArticleError(path, f"id {front.id!r}: use letters, digits, '.', '_' and '-'")
    return front.id


def _category_of(place: Path) -> Category | None:
    """Take the category from the innermost folder that is named like one."""
    return next((category for part in reversed(place.parts[:-1]) for category in CATEGORIES if part == category), None)


def _section_text(sections: Iterable[Section], heading: str) -> str:
    return "\n".join(section.text for section in sections if section.heading.lower() == heading)


def _reject_conflicts(articles: Mapping[Path, Article]) -> None:
    owners: dict[str, Path] = {}
    for path, article in articles.items():
        # Ids are looked up without regard to case, so they must differ in more than case.
        first = owners.setdefault(article.article_id.casefold(), path)
        if first != path:
            raise ArticleError(path, f"id {article.article_id!r} is already taken by {first}")
    for path, article in articles.items():
        for other in article.see_also:
            if other.casefold() not in owners:
                raise ArticleError(path, f"see_also names {other!r}, which no article has")
