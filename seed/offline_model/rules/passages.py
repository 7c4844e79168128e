"""Passages of text among the results of look-ups, and how prominently each source was found."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from seed.offline_model.rules.lexicon import AREAS, choose_label
from seed.offline_model.rules.reading import LookUp, Reading, Record

_TEXT_KEYS = ("passage", "text", "content", "snippet", "excerpt", "body")
_ID_KEYS = ("article_id", "document_id", "doc_id", "source_id", "id")
_SKIPPED_SECTION = re.compile(r"see also|related|reference", re.IGNORECASE)
_LIKELY_AREA_FACTOR = 1.5


@dataclass(frozen=True, kw_only=True)
class Passage:
    """A piece of a source."""

    source_id: str
    title: str
    section: str
    text: str


def passages_by_source(reading: Reading) -> dict[str, list[Passage]]:
    """Return what was looked up, each passage once."""
    found: dict[str, list[Passage]] = {}
    for look_up in reading.look_ups:
        for record in look_up.records:
            passage = _as_passage(record)
            if passage and passage not in found.setdefault(passage.source_id, []):
                found[passage.source_id].append(passage)
    return found


def prominence(reading: Reading) -> dict[str, float]:
    """Return how prominently each source was found.

    The first result counts most, a first round more than a second, and the area that the subject speaks for more than
    the others.
    """
    likely = choose_label(AREAS, reading.concern)
    found: dict[str, float] = {}
    for look_up in reading.look_ups:
        factor = (_LIKELY_AREA_FACTOR if likely in look_up.arguments else 1.0) / look_up.round
        for place, source_id in enumerate(dict.fromkeys(_source_ids(look_up)), start=1):
            found[source_id] = max(found.get(source_id, 0.0), factor / place**0.5)
    return found


def has_passages(look_up: LookUp) -> bool:
    """Whether a look-up brought anything that can be cited, be it something seen before."""
    return any(_source_ids(look_up))


def _source_ids(look_up: LookUp) -> Iterator[str]:
    return filter(None, (_first_text(record, _ID_KEYS) for record in look_up.records))


def _as_passage(record: Record) -> Passage | None:
    source_id, text = _first_text(record, _ID_KEYS), _first_text(record, _TEXT_KEYS)
    section = _first_text(record, ("section", "heading"))
    if not source_id or not text or _SKIPPED_SECTION.search(section):
        return None
    return Passage(source_id=source_id, title=_first_text(record, ("title", "name")), section=section, text=text)


def _first_text(record: Record, keys: Iterable[str]) -> str:
    return next((value for key in keys if isinstance(value := record.get(key), str) and value.strip()), "")
