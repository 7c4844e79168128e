"""Statements that can be cited: sentences of passages that were looked up, each with the id of its source."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from seed.offline_model.rules.passages import Passage, passages_by_source, prominence
from seed.offline_model.rules.reading import Reading
from seed.offline_model.rules.words import sentences_with_code, stems

_ACTION_SECTION = re.compile(r"fix|solution|resol|workaround|steps|what to do|remed|mitigat", re.IGNORECASE)
_ACTION_START = re.compile(
    r"(?:then |next,? |first,? |also )?(?:add|allow|apply|avoid|change|check|compare|configure|confirm|create|delete"
    r"|disable|enable|ensure|give|increase|install|look|lower|make|move|open|pin|put|raise|read|remove|rename|replace"
    r"|restart|roll|run|set|start|switch|test|turn|update|upgrade|use|verify|wait|write)\b",
    re.IGNORECASE,
)
# Words that nearly every article and ticket share prove nothing.
_COMMON = stems(
    [
        "dapr application service error errors message log logs cluster server",
        "running version failed fails wrong send new",
    ]
)
_MIN_SHARED = 2
_MANY_SHARED = 5
# A title is a person's own summary of the source.
_IN_TITLE = 4
_MAX_CLAIM = 600
_FEWEST_WORDS = 5
_MAX_EXPLANATIONS = 2
# Sections that describe other people's troubles as well: what is quoted from them must be close to the subject.
_DESCRIPTION_SECTION = re.compile(r"symptom|version", re.IGNORECASE)
_MIN_SHARED_DESCRIPTION = 4
# How many actions the best source and the next one may give; a source takes part when it is nearly as good.
_MAX_ACTIONS = (5, 3)
_NEAR_BEST = 0.7

Kind = Literal["explanation", "action"]


@dataclass(frozen=True, kw_only=True)
class Claim:
    """One statement with its source."""

    text: str
    code: str
    source_id: str
    title: str
    section: str
    kind: Kind

    @property
    def markdown(self) -> str:
        """The statement, with the code that belongs to it."""
        return f"{self.text}\n\n{self.code}" if self.code else self.text


def relevant_claims(reading: Reading) -> list[Claim]:
    """Return what the looked-up passages say on the subject, the most relevant source first; nothing if none bears."""
    by_source = passages_by_source(reading)
    wanted = stems([reading.concern]) - _COMMON
    weights = _weigh_sources(by_source, wanted, prominence(reading))
    best = max(weights.values(), default=0)
    bearing = sorted((source for source in weights if weights[source] >= _NEAR_BEST * best), key=lambda s: -weights[s])
    return [
        claim
        for source, most in zip(bearing, _MAX_ACTIONS, strict=False)
        for claim in _telling_claims(by_source[source], wanted, actions=most)
    ]


def _weigh_sources(
    by_source: Mapping[str, Sequence[Passage]], wanted: set[str], found: Mapping[str, float]
) -> dict[str, float]:
    """Weigh the sources that bear on the subject: in their title, or in many words.

    A word counts the more, the fewer sources have it, and more in a title.
    """
    titles = {source: wanted & stems([passages[0].title]) for source, passages in by_source.items()}
    shared = {
        source: titles[source] | (wanted & stems(passage.text for passage in passages))
        for source, passages in by_source.items()
    }
    spread = Counter(word for words in shared.values() for word in words)
    return {
        source: found[source] * sum((_IN_TITLE if word in titles[source] else 1) / spread[word] for word in words)
        for source, words in shared.items()
        if len(words) >= (min(_MIN_SHARED, len(wanted)) if titles[source] else _MANY_SHARED)
    }


def _telling_claims(passages: Sequence[Passage], wanted: set[str], *, actions: int) -> list[Claim]:
    """Name the source, then choose the explanations nearest to the subject and the actions as they come."""
    first = passages[0]
    named = Claim(
        text=first.title, code="", source_id=first.source_id, title=first.title, section="", kind="explanation"
    )
    claims = [claim for passage in passages for claim in _claims_in(passage)]
    near = {claim: len(wanted & stems([claim.text])) for claim in claims if claim.kind == "explanation"}
    explanations = sorted((claim for claim in near if _explains(claim, near[claim])), key=lambda claim: -near[claim])
    to_do = [claim for claim in claims if claim.kind == "action"] or [named]
    return [named, *explanations[:_MAX_EXPLANATIONS], *to_do[:actions]]


def _explains(claim: Claim, shared: int) -> bool:
    needed = _MIN_SHARED_DESCRIPTION if _DESCRIPTION_SECTION.search(claim.section) else _MIN_SHARED
    return shared >= needed and len(claim.text.split()) >= _FEWEST_WORDS


def _claims_in(passage: Passage) -> Iterator[Claim]:
    for text, code in sentences_with_code(passage.text):
        if _points_elsewhere(text + code, passage.source_id) or len(text) > _MAX_CLAIM:
            continue
        is_table = text.startswith("|")
        if is_table and not code:
            continue
        acts = bool(_ACTION_SECTION.search(passage.section) or _ACTION_START.match(text))
        yield Claim(
            text=f'Follow "{passage.title}":' if is_table or not text else text,
            code=code,
            source_id=passage.source_id,
            title=passage.title,
            section=passage.section,
            kind="action" if acts else "explanation",
        )


def _points_elsewhere(text: str, source_id: str) -> bool:
    """Whether a sentence sends the reader to a source that may not have been looked up."""
    prefix = source_id.split("-", 1)[0]
    mentioned = re.findall(rf"\b{re.escape(prefix)}-[\w-]*\w", text) if "-" in source_id else []
    return any(name != source_id for name in mentioned)
