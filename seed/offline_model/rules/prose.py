"""Answer in prose: a customer's message around a given text, statements with their sources, or an honest nothing."""

import re

from seed.offline_model.rules.evidence import Claim, relevant_claims
from seed.offline_model.rules.reading import Reading
from seed.offline_model.rules.summary import summarize

SIGNATURE = "(Written by the offline model, which adds nothing to what it was given.)"

_LETTER = re.compile(r"\b(?:message|notification|e-?mail|letter|reply|answer)\b.{0,80}\bcustomer|"
                     r"\bcustomer\b.{0,80}\b(?:message|notification|e-?mail|letter|reply)\b",
                     re.IGNORECASE | re.DOTALL)  # fmt: skip
_GIVEN_NAMES = ("approved_solution", "final_solution", "proposed_solution", "solution", "resolution", "answer", "text")
_LABEL = re.compile(
    r"^[ \t]*(?:#{1,6}[ \t]*)?(?:\*\*)?(?P<label>[A-Z][A-Za-z _-]{1,40}?)(?:\*\*)?[ \t]*:(?:\*\*)?[ \t]*", re.MULTILINE
)
_HEADING = re.compile(r"^#{1,6}[ \t]+(?P<label>[A-Z][A-Za-z _-]{1,40})[ \t]*$", re.MULTILINE)
_SUBJECT_NAMES = ("summary", "subject", "problem", "request", "issue", "ticket_summary")
_NAME_NAMES = ("customer_name", "customer", "name", "recipient")
_KNOWN = frozenset((*_GIVEN_NAMES, *_SUBJECT_NAMES, *_NAME_NAMES, "ticket", "ticket_id", "plan", "facts", "status"))


def write_prose(reading: Reading) -> str:
    """Write the answer to a conversation that asks for text."""
    facts = _labelled(reading)
    given = _pick(_GIVEN_NAMES, facts)
    if given or (_LETTER.search(reading.instructions) and reading.user_text.strip()):
        return _write_letter(given or reading.user_text.strip(), facts)
    claims = relevant_claims(reading)
    if claims:
        return _cite(claims)
    return _admit_nothing(reading)


def _write_letter(given: str, facts: dict[str, str]) -> str:
    name, subject = _pick(_NAME_NAMES, facts), _pick(_SUBJECT_NAMES, facts)
    about = f" about the following: {subject}" if subject else "."
    return "\n\n".join([
        f"Hello {name}," if name else "Hello,",
        f"Thank you for contacting us{about}",
        given,
        "If this does not settle the matter, please reply to this message and we will look into it again.",
        "Kind regards,\nYour support team",
        SIGNATURE,
    ])  # fmt: skip


def _cite(claims: list[Claim]) -> str:
    lines = [f"- {claim.text} [{claim.source_id}]" + (f"\n\n{claim.code}\n" if claim.code else "") for claim in claims]
    return "\n".join(["This is what was found:", "", *lines, "", SIGNATURE])


def _admit_nothing(reading: Reading) -> str:
    if reading.look_ups:
        said = "What was looked up says nothing on this, so I cannot answer. A person should look at it."
    else:
        said = "I can only work with what a message contains, and this one contains no source to answer from."
    return f"{said}\n\nAs I understand it, this is about: {summarize(reading.subject)}\n\n{SIGNATURE}"


def _labelled(reading: Reading) -> dict[str, str]:
    """Collect what the user's message marks with tags, `Label: text` lines or headings."""
    marks = [
        (found.start(), found.end(), name)
        for pattern in (_LABEL, _HEADING)
        for found in pattern.finditer(reading.user_text)
        if (name := _as_name(found["label"])) in _KNOWN
    ]
    marks.sort()
    ends = [start for start, _, _ in [*marks, (len(reading.user_text), 0, "")]][1:]
    texts = {name: reading.user_text[begin:end].strip() for (_, begin, name), end in zip(marks, ends, strict=True)}
    return {**texts, **{name: text.strip() for name, text in reading.sections.items()}}


def _as_name(label: str) -> str:
    return re.sub(r"[\W_]+", "_", label.strip().lower())


def _pick(names: tuple[str, ...], facts: dict[str, str]) -> str:
    return next((facts[name] for name in names if facts.get(name)), "")
