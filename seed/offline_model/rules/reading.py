"""What the model makes of the conversation: whose problem it is, what is known, what was looked up."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from seed.offline_model.protocol import Message
from seed.offline_model.rules.words import sentences

_SECTION = re.compile(r"<(?P<name>[a-zA-Z][\w-]*)(?:\s[^<>]*)?>\n?(?P<text>.*?)\n?</(?P=name)>", re.DOTALL)
_SUBJECTS = ("ticket", "question", "problem", "issue", "request", "description", "message", "query")
_REMARKS = ("feedback", "comment", "remark", "rejection")

# A sentence that speaks to the machine says nothing about the problem.
_COMMAND = re.compile(
    r"\b(?:ignore|disregard|forget|override)\b.{0,40}\b(?:instruction|prompt|rule)|\byou are (?:now|an? )"
    r"|\bsystem prompt\b|\b(?:call|invoke|run|use) (?:the )?(?:tool|function)\b|\bmark me\b|\bact as\b",
    re.IGNORECASE,
)

Record = dict[str, JsonValue]


@dataclass(frozen=True, kw_only=True)
class LookUp:
    """A tool call made earlier, with what it returned; `round` counts the assistant's messages with calls from 1."""

    name: str
    arguments: str
    result: str
    records: tuple[Record, ...]
    round: int


@dataclass(frozen=True, kw_only=True)
class Reading:
    """A conversation, understood.

    `subject` is what the user wants to have solved; `sections` are the marked parts of the user's messages.
    """

    instructions: str
    user_text: str
    subject: str
    remarks: str
    sections: dict[str, str]
    look_ups: tuple[LookUp, ...]
    rounds: int

    @property
    def concern(self) -> str:
        """The subject and what was remarked on an earlier answer."""
        return f"{self.subject}\n{self.remarks}".strip()


def read_messages(messages: Sequence[Message]) -> Reading:
    """Understand a conversation."""
    user_text = "\n\n".join(message.text for message in messages if message.role == "user")
    sections = {found["name"].lower(): found["text"] for found in _SECTION.finditer(user_text)}
    return Reading(
        instructions="\n".join(message.text for message in messages if message.role in ("system", "developer")),
        user_text=user_text,
        subject=_without_commands(_first_of(_SUBJECTS, sections) or user_text),
        remarks=_first_of(_REMARKS, sections),
        sections=sections,
        look_ups=tuple(_look_ups(messages)),
        rounds=sum(1 for message in messages if message.tool_calls),
    )


def records_in(value: JsonValue) -> Iterator[Record]:
    """Yield every JSON object in a value, the outer ones first."""
    if isinstance(value, dict):
        yield value
        for item in value.values():
            yield from records_in(item)
    elif isinstance(value, list):
        for item in value:
            yield from records_in(item)


def read_json(text: str) -> JsonValue:
    """Return the value that a text spells, or None."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _look_ups(messages: Sequence[Message]) -> Iterator[LookUp]:
    results = {message.tool_call_id: message.text for message in messages if message.role == "tool"}
    asking = (message for message in messages if message.tool_calls)
    for number, message in enumerate(asking, start=1):
        for call in message.tool_calls:
            result = results.get(call.id, "")
            yield LookUp(
                name=call.function.name,
                arguments=call.function.arguments,
                result=result,
                records=tuple(records_in(read_json(result))),
                round=number,
            )


def _without_commands(text: str) -> str:
    kept = [sentence for sentence in sentences(text) if not _COMMAND.search(sentence)]
    return "\n".join(kept) if kept else text


def _first_of(names: Sequence[str], sections: dict[str, str]) -> str:
    return next((sections[name] for name in names if name in sections), "")
