"""The knowledge base's own data (dataclasses) and what its tools answer (pydantic, so that clients get a schema)."""

from dataclasses import dataclass
from typing import Annotated, Literal, get_args
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field

Category = Literal["connectivity", "configuration", "compatibility"]
CATEGORIES: tuple[Category, ...] = get_args(Category)


@dataclass(frozen=True, kw_only=True)
class Section:
    """A stretch of an article under one heading."""

    heading: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Article:
    """One Markdown file, read and checked."""

    article_id: str
    title: str
    category: Category | None
    tags: tuple[str, ...]
    versions: str
    see_also: tuple[str, ...]
    symptoms: str
    text: str
    sections: tuple[Section, ...]

    @property
    def url(self) -> str:
        """The address of the article as an MCP resource."""
        return f"kb://articles/{quote(self.article_id, safe='')}"


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PassageFound(_Answer):
    """A section of an article that bears on the question."""

    article_id: Annotated[str, Field(description="Cite this id, e.g. [KB-CON-001].")]
    title: Annotated[str, Field(description="The article's title.")]
    section: Annotated[str, Field(description="The heading that the passage stands under.")]
    passage: Annotated[str, Field(description="The section's Markdown, with its commands and YAML.")]
    score: Annotated[
        float,
        Field(
            gt=0,
            description="How well the article answers the query: positive, higher is better, equal for all passages "
            "of one article. Comparable within one answer only.",
        ),
    ]
    url: Annotated[str, Field(description="The whole article, as an MCP resource.")]


class QueryAnswer(_Answer):
    """What the knowledge base knows about a question; no results means that it knows nothing."""

    query: Annotated[str, Field(description="The query as it was asked.")]
    category: Annotated[Category | None, Field(description="The area the search was kept to; null for all.")]
    results: Annotated[list[PassageFound], Field(description="Best article first. Empty: nothing relevant is known.")]


class WholeArticle(_Answer):
    """An article in full."""

    article_id: str
    title: str
    category: Category | None
    tags: list[str]
    versions: Annotated[str, Field(description="The Dapr versions the article is about; empty when it does not say.")]
    see_also: Annotated[list[str], Field(description="Ids of related articles.")]
    url: str
    text: Annotated[str, Field(description="The article's Markdown, without its front matter.")]
