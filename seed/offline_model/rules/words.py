"""Take text apart: words that matter, sentences, blocks."""

import re
from collections.abc import Iterable, Iterator

_WORD = re.compile(r"[^\W_](?:[\w./:+-]*[^\W_])?")
_FENCE = re.compile(r"^(`{3,}|~{3,})[^\n]*\n.*?(?:^\1[ \t]*$|\Z)", re.DOTALL | re.MULTILINE)
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[^\W\d_]|[`*\"'(\[])")
_ITEM_START = re.compile(r"\n\s*\n|\n(?=\s*(?:[-*+]|\d+[.)])\s)")
_BULLET = re.compile(r"^\s*(?:[-*+]|\d+[.)])\s+")
_HEADING = re.compile(r"^\s*#{1,6}\s+[^\n]*(?:\n+|\Z)")
_ENDINGS = ("ations", "ation", "ings", "ing", "ions", "ion", "ies", "ied", "ed", "es", "s")

STOP_WORDS = frozenset(
    """
    a about after again all also always am an and any anyone are as ask at be because been before being both but by
    can cannot come could day dear did do does doing done each else ever every few first
    following for from get gets getting give go goes going good got had has have having he hello help her hey hi him
    his how i if in into is it its just keep keeps know last let like look looking lot made make
    makes many may maybe me mean might more most much must my need needs never new next no not nothing now of off ok
    on once one only or other our out over own per please put quite rather really regards same say says see seem seems
    seen she should since so some someone something somewhere soon still such sure take team tell than thank thanks
    that the their them then there these they thing things think this those though time to today told too tried
    try trying two under until up us use used using very want wants was way we week well went were
    what when where whether which while who whole why will wish with without work worked working works would
    yesterday yet you your yours etc issue issues problem problems question customer support ticket kind best
    couldn didn doesn don hadn hasn haven isn fix hurry ll re rush shouldn sometimes ve wasn weren won wouldn according
    """.split()  # noqa: SIM905 - two hundred quoted words, one a line, are harder to read
)


def words(text: str) -> list[str]:
    """Return the words of a text as written; names such as `state.redis` or `v1.15.2` stay whole."""
    return _WORD.findall(text)


def significant_words(text: str) -> list[str]:
    """Return the different words that carry meaning, in lower case and in order of appearance."""
    lowered = (word.lower() for word in words(text))
    return list(dict.fromkeys(word for word in lowered if is_significant(word)))


def is_significant(word: str) -> bool:
    """Whether a lower-case word says something about a subject."""
    long_enough = len(word) > 2 or not word.isascii() or any(char.isdigit() for char in word)
    return long_enough and word not in STOP_WORDS


def is_technical(word: str) -> bool:
    """Whether a word looks like a name, an error code or a version rather than plain language."""
    inner = word[1:]
    return any(char.isdigit() or char in "._/:" for char in word) or any(char.isupper() for char in inner)


def stem(word: str) -> str:
    """Cut common English endings, so that `timeouts` meets `timeout` and `connecting` meets `connection`."""
    lowered = word.lower()
    for ending in _ENDINGS:
        if lowered.endswith(ending) and len(lowered) - len(ending) >= 4:
            lowered = lowered[: -len(ending)]
            break
    return lowered[:-1] if len(lowered) > 4 and lowered.endswith("e") else lowered


def stems(texts: Iterable[str]) -> set[str]:
    """Return the stems of the significant words in some texts; names count whole and in parts."""
    found: set[str] = set()
    for word in significant_words(" ".join(texts)):
        parts = re.split(r"[./:+-]", word)
        found.update(stem(part) for part in (word, *parts) if is_significant(part))
    return found


def sentences(text: str) -> list[str]:
    """Return the sentences and list items of a text, each on one line; code blocks stay with what precedes them."""
    return [sentence for sentence, _ in sentences_with_code(text)]


def sentences_with_code(text: str) -> Iterator[tuple[str, str]]:
    """Yield each sentence with the code blocks that directly follow it; code that opens a text has no sentence."""
    position, sentence, code = 0, "", ""
    for start, end in [*(match.span() for match in _FENCE.finditer(text)), (len(text), len(text))]:
        for following in _prose_sentences(text[position:start]):
            if sentence or code:
                yield sentence, code
            sentence, code = following, ""
        code = f"{code}\n\n{text[start:end].strip()}".strip()
        position = end
    if sentence or code:
        yield sentence, code


def shorten(text: str, limit: int) -> str:
    """Cut a text at a word so that it fits."""
    flat = " ".join(text.split())
    if len(flat) <= limit:
        return flat
    whole_words, space, _ = flat[:limit].rpartition(" ")
    return (whole_words if space else flat[: limit - 1]).rstrip(",;:") + "…"


def _prose_sentences(text: str) -> Iterator[str]:
    for item in _ITEM_START.split(text):
        begun = ""
        for piece in _SENTENCE_END.split(_HEADING.sub("", _BULLET.sub("", item))):
            begun = " ".join(f"{begun} {piece}".split())
            # A full stop within `inline code` ends nothing.
            if begun.count("`") % 2 == 0:
                yield from (begun,) if any(char.isalnum() for char in begun) else ()
                begun = ""
        if begun:
            yield begun
