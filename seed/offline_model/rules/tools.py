"""Decide which of the offered tools to call, and fill their arguments from the conversation."""

import json
import re
from collections.abc import Iterator, Sequence

from pydantic import JsonValue

from seed.offline_model.completion import ToolCall
from seed.offline_model.protocol import ChatRequest, FunctionSpec, NamedToolChoice
from seed.offline_model.rules.passages import has_passages
from seed.offline_model.rules.queries import form_query
from seed.offline_model.rules.reading import LookUp, Reading, Record, read_json

# The model looks things up by itself; what might change something is called only when the caller demands it.
_LOOKS_UP = re.compile(
    r"(?:^|_)(?:look_?up|get|find|search|query|list|fetch|read|check|describe|show)(?:_|$)", re.IGNORECASE
)
_QUERY_NAME = re.compile(r"query|question|search|keyword|text|prompt|^q$", re.IGNORECASE)
_MAX_ROUNDS = 2

Arguments = dict[str, JsonValue]


def choose_calls(request: ChatRequest, reading: Reading) -> tuple[ToolCall, ...]:
    """Return the calls to make now; none when everything worth looking up is there."""
    offered = _offered(request)
    is_forced = request.tool_choice == "required" or isinstance(request.tool_choice, NamedToolChoice)
    if not is_forced and reading.rounds >= _MAX_ROUNDS:
        return ()
    calls = [call for tool in offered for call in _useful_calls(tool, reading)]
    if is_forced and not calls:
        calls = [_as_call(offered[0], _arguments(offered[0], reading, area="", is_forced=True) or {})]
    return tuple(calls[:1] if request.parallel_tool_calls is False else calls)


def _offered(request: ChatRequest) -> list[FunctionSpec]:
    functions = [tool.function for tool in request.tools or []]
    match request.tool_choice:
        case "none":
            return []
        case NamedToolChoice(function=wanted):
            return [function for function in functions if function.name == wanted.name]
        case "required":
            return functions
        case _:
            return [function for function in functions if _LOOKS_UP.search(function.name)]


def _useful_calls(tool: FunctionSpec, reading: Reading) -> Iterator[ToolCall]:
    earlier = [look_up for look_up in reading.look_ups if look_up.name == tool.name]
    made = {json.dumps(read_json(look_up.arguments), sort_keys=True) for look_up in earlier}
    for area in _areas(tool, earlier):
        arguments = _arguments(tool, reading, area=area, narrow=bool(earlier))
        if arguments is not None and (key := json.dumps(arguments, sort_keys=True)) not in made:
            made.add(key)
            yield _as_call(tool, arguments)


def _areas(tool: FunctionSpec, earlier: Sequence[LookUp]) -> list[str]:
    """Return the labels to call a tool with: each once, and again those for which nothing was found."""
    labels = next((options for options in map(_options, _properties(tool).values()) if options), [""])
    if not earlier:
        return labels
    if not any(_QUERY_NAME.search(name) for name in _properties(tool)):
        return []
    fruitless = [look_up for look_up in earlier if not has_passages(look_up)]
    return [label for label in labels if any(label in look_up.arguments for look_up in fruitless)]


def _arguments(
    tool: FunctionSpec, reading: Reading, *, area: str, narrow: bool = False, is_forced: bool = False
) -> Arguments | None:
    """Fill a tool's arguments; None when one that is required cannot be known."""
    required = tool.parameters.get("required")
    needed = set(map(str, required)) if isinstance(required, list) else set[str]()
    filled: Arguments = {}
    for name, schema in _properties(tool).items():
        if _options(schema):
            filled[name] = area or _options(schema)[0]
        elif _QUERY_NAME.search(name):
            filled[name] = form_query(reading, area=area, narrow=narrow)
        elif name in needed:
            known = _known_value(name, schema, reading)
            if known is None and not is_forced and not _allows_null(schema):
                return None
            filled[name] = known if known is not None or _allows_null(schema) else ""
    return filled


def _known_value(name: str, schema: Record, reading: Reading) -> JsonValue:
    """Find a value under the same name in what was looked up, in the user's sections or in `name: value` lines."""
    for record in (record for look_up in reading.look_ups for record in look_up.records):
        if name in record:
            return record[name]
    if name in reading.sections:
        return reading.sections[name]
    spelled = re.escape(name).replace("_", "[ _-]?")
    found = re.search(rf"\b{spelled}\b\W{{1,4}}([\w.@/-]*\w)", reading.user_text, re.IGNORECASE)
    return found[1] if found else schema.get("default")


def _properties(tool: FunctionSpec) -> dict[str, Record]:
    properties = tool.parameters.get("properties")
    if not isinstance(properties, dict):
        return {}
    return {name: schema if isinstance(schema, dict) else {} for name, schema in properties.items()}


def _options(schema: Record) -> list[str]:
    alternatives = schema.get("anyOf")
    nested = alternatives if isinstance(alternatives, list) else []
    for candidate in (schema, *nested):
        options = candidate.get("enum") if isinstance(candidate, dict) else None
        if isinstance(options, list):
            return [option for option in options if isinstance(option, str)]
    return []


def _allows_null(schema: Record) -> bool:
    return "null" in json.dumps(schema.get("type", schema.get("anyOf")))


def _as_call(tool: FunctionSpec, arguments: Arguments) -> ToolCall:
    return ToolCall(name=tool.name, arguments=json.dumps(arguments, ensure_ascii=False))
