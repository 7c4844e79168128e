"""From a request to an answer: tool calls where something is to be looked up, else JSON or prose."""

import json

from pydantic import JsonValue

from seed.offline_model.calls import AnswerKind
from seed.offline_model.completion import MODEL_NAME, Answer
from seed.offline_model.protocol import ChatRequest, JsonObjectFormat, JsonSchemaFormat
from seed.offline_model.rules.evidence import relevant_claims
from seed.offline_model.rules.filling import fill_schema
from seed.offline_model.rules.prose import write_prose
from seed.offline_model.rules.reading import Reading, read_messages
from seed.offline_model.rules.tools import choose_calls


def give_answer(request: ChatRequest) -> Answer:
    """Answer a request; the same request gets the same answer."""
    reading = read_messages(request.messages)
    calls = choose_calls(request, reading)
    if calls:
        return Answer(tool_calls=calls)
    match request.response_format:
        case JsonSchemaFormat(json_schema=spec):
            return _as_json(fill_schema(spec.json_schema, reading))
        case JsonObjectFormat():
            return _as_json(_plain_object(reading))
        case _:
            return Answer(text=write_prose(reading))


def answer_kind(request: ChatRequest, answer: Answer) -> AnswerKind:
    """Name the form of an answer for the call log."""
    if answer.tool_calls:
        return "tools"
    return "json" if isinstance(request.response_format, JsonObjectFormat | JsonSchemaFormat) else "text"


def _plain_object(reading: Reading) -> JsonValue:
    sources: list[JsonValue] = [*dict.fromkeys(claim.source_id for claim in relevant_claims(reading))]
    return {"answer": write_prose(reading), "sources": sources, "model": MODEL_NAME}


def _as_json(value: JsonValue) -> Answer:
    return Answer(text=json.dumps(value, ensure_ascii=False))
