"""Say in one or two of its own sentences what a text is about."""

import re

from seed.offline_model.rules.words import is_technical, sentences, shorten, significant_words, words

_GREETING = re.compile(
    r"(?:(?:hi|hello|hey|dear|good (?:morning|day|evening))\b[^,.!?:]{0,40}[,.!?:]+|(?:many )?(?:thanks|thank you)\b.*"
    r"|(?:best |kind )?regards\b.*)\s*",
    re.IGNORECASE,
)
# People mostly begin with what is wrong.
_FIRST_BONUS = 6
_EMPTY = "The text says nothing."


def summarize(text: str, *, limit: int = 280) -> str:
    """Return the most telling sentence of a text, and the next one when both fit."""
    candidates = [_GREETING.sub("", sentence, count=1) for sentence in sentences(text)]
    telling = [sentence for sentence in candidates if sentence] or [text]
    best = max(range(len(telling)), key=lambda place: _weight(telling[place]) + (_FIRST_BONUS if place == 0 else 0))
    chosen = telling[best]
    if best + 1 < len(telling) and len(chosen) + len(telling[best + 1]) < limit:
        chosen = f"{chosen} {telling[best + 1]}"
    opening = (words(chosen) or [""])[0]
    return shorten(chosen if is_technical(opening) else chosen[:1].upper() + chosen[1:], limit) or _EMPTY


def _weight(sentence: str) -> float:
    technical = sum(1 for word in words(sentence) if is_technical(word))
    return min(len(significant_words(sentence)), 15) + 2 * min(technical, 4)
