"""Form search queries from the subject's own words and from facts that were looked up."""

import re
from collections.abc import Iterator

from seed.offline_model.rules.lexicon import AREAS, phrases_of
from seed.offline_model.rules.reading import Reading
from seed.offline_model.rules.words import is_significant, is_technical, significant_words, stem, stems, words

_COMPONENT_TYPE = re.compile(
    r"\b(?:state|pubsub|bindings|secretstores|lock|crypto|conversation|configuration)\.[\w.-]+"
)
_VERSION_LABEL = re.compile(r'"?[\w-]*version"?\s*[:=]\s*"?v?(\d+\.\d+(?:\.\d+)*)', re.IGNORECASE)
_VERSION = re.compile(r"v?\d+\.\d")
_NEVER = re.compile(r"(?!)")
_MAX_WORDS = 9


def form_query(reading: Reading, *, area: str = "", narrow: bool = False) -> str:
    """Form a query for an area such as `compatibility`, or for the subject as a whole.

    Args:
        reading: the conversation.
        area: the label that the search is limited to, when there is one.
        narrow: keep to the few words that identify the problem; for another try after nothing was found.
    """
    picked = _ranked_words(reading, area)[: 3 if narrow else _MAX_WORDS]
    in_order = [word for word in significant_words(reading.concern) if word in picked]
    facts = [fact for fact in _facts(reading, area) if fact.lower() not in in_order]
    return " ".join([*in_order, *facts[: 0 if narrow else 2]]) or area or "help"


def _ranked_words(reading: Reading, area: str) -> list[str]:
    cues = _cues(area)
    foreign = {cue for other in AREAS if area in AREAS and other != area for cue in _cues(other)} - cues
    # A version says little, except about what fits together.
    dull = _VERSION if area in AREAS and area != "compatibility" else _NEVER
    technical = {word.lower() for word in words(reading.concern) if is_technical(word) and not dull.match(word)}
    remarked = set(significant_words(reading.remarks))

    def rank(word: str) -> int:
        return 3 * (stem(word) in cues) - (stem(word) in foreign) + 2 * (word in technical) + 2 * (word in remarked)

    return sorted(significant_words(reading.concern), key=rank, reverse=True)


def _cues(area: str) -> set[str]:
    return {stem(word) for phrase in phrases_of(area) for word in phrase.split() if is_significant(word)}


def _facts(reading: Reading, area: str) -> Iterator[str]:
    known = "\n".join(_known_texts(reading))
    mentioned = stems([reading.concern])
    for component in dict.fromkeys(_COMPONENT_TYPE.findall(known)):
        if mentioned & (stems([component]) - {"state"}):
            yield component
    if area == "compatibility" and not _VERSION.search(reading.concern):
        yield from dict.fromkeys(_VERSION_LABEL.findall(known))


def _known_texts(reading: Reading) -> Iterator[str]:
    subjects = (reading.subject, reading.remarks)
    yield from (text for text in reading.sections.values() if text not in subjects)
    yield from (look_up.result for look_up in reading.look_ups)
