"""The offline model speaks OpenAI's chat completions, as OpenAI's own client understands them."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import openai
import pytest

from tests.kit.offline_model_app import connect, openai_over

pytestmark = pytest.mark.anyio

MODEL = "offline-support"
TICKET = "Our orders service gets 'connection refused' from the Redis state store since we upgraded Dapr to 1.17."
ASK: list[Any] = [{"role": "user", "content": TICKET}]
SEARCH: Any = {
    "type": "function",
    "function": {
        "name": "search_docs",
        "description": "Search.",
        "parameters": {
            "type": "object",
            "properties": {"query": {"type": "string"}, "area": {"type": "string", "enum": ["network", "storage"]}},
            "required": ["query", "area"],
        },
    },
}
DELETE: Any = {"type": "function", "function": {"name": "delete_everything", "parameters": {}}}


@pytest.fixture
async def client() -> AsyncIterator[openai.AsyncOpenAI]:
    async with connect() as http:
        yield openai_over(http)


@pytest.fixture
async def http() -> AsyncIterator[httpx2.AsyncClient]:
    async with connect() as opened:
        yield opened


def result_of(call_id: str, *results: dict[str, Any]) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": json.dumps({"results": results})}


async def test_the_models_are_listed_and_described(client: openai.AsyncOpenAI) -> None:
    assert [model.id async for model in client.models.list()] == [MODEL]
    assert (await client.models.retrieve(MODEL)).owned_by == "offline"
    with pytest.raises(openai.NotFoundError, match="gpt-9"):
        await client.models.retrieve("gpt-9")


async def test_an_answer_counts_its_tokens_and_names_the_offline_model(client: openai.AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(model="whatever", messages=ASK)
    assert answer.model == MODEL
    assert answer.usage is not None
    assert answer.usage.prompt_tokens == -(-len(TICKET) // 4)
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    assert answer.choices[0].finish_reason == "stop"
    assert "offline model" in str(answer.choices[0].message.content)


async def test_the_same_request_gets_the_same_answer(client: openai.AsyncOpenAI) -> None:
    first = await client.chat.completions.create(model=MODEL, messages=ASK, tools=[SEARCH])
    second = await client.chat.completions.create(model=MODEL, messages=ASK, tools=[SEARCH])
    assert first.model_dump() == second.model_dump()


async def test_a_search_tool_is_called_once_for_each_of_its_areas(client: openai.AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(model=MODEL, messages=ASK, tools=[SEARCH, DELETE])
    made = [call.function for call in answer.choices[0].message.tool_calls or [] if call.type == "function"]
    assert answer.choices[0].finish_reason == "tool_calls"
    assert [call.name for call in made] == ["search_docs", "search_docs"]
    arguments = [json.loads(call.arguments) for call in made]
    assert [item["area"] for item in arguments] == ["network", "storage"]
    assert all("redis" in item["query"] and "1.17" in item["query"] for item in arguments)


async def test_calls_come_one_at_a_time_when_asked_for(client: openai.AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(model=MODEL, messages=ASK, tools=[SEARCH], parallel_tool_calls=False)
    assert len(answer.choices[0].message.tool_calls or []) == 1


@pytest.mark.parametrize(
    ("choice", "names"),
    [
        ("none", []),
        ("auto", ["search_docs", "search_docs"]),
        ({"type": "function", "function": {"name": "delete_everything"}}, ["delete_everything"]),
        ("required", ["search_docs", "search_docs", "delete_everything"]),
    ],
    ids=["none", "auto", "named", "required"],
)
async def test_the_tool_choice_is_followed(client: openai.AsyncOpenAI, choice: Any, names: list[str]) -> None:
    answer = await client.chat.completions.create(model=MODEL, messages=ASK, tools=[SEARCH, DELETE], tool_choice=choice)
    made = answer.choices[0].message.tool_calls or []
    assert [call.function.name for call in made if call.type == "function"] == names


async def test_what_was_found_is_quoted_with_its_source(client: openai.AsyncOpenAI) -> None:
    first = await client.chat.completions.create(model=MODEL, messages=ASK, tools=[SEARCH], parallel_tool_calls=False)
    call = (first.choices[0].message.tool_calls or [])[0]
    found = {"article_id": "DOC-7", "title": "Redis refuses connections", "text": "Check the Redis host and port."}
    messages: list[Any] = [*ASK, first.choices[0].message.model_dump(), result_of(call.id, found)]
    answer = await client.chat.completions.create(model=MODEL, messages=messages)
    assert "Check the Redis host and port. [DOC-7]" in str(answer.choices[0].message.content)


async def test_the_answer_streams_in_pieces_with_usage_at_the_end(client: openai.AsyncOpenAI) -> None:
    whole = await client.chat.completions.create(model=MODEL, messages=ASK)
    stream = await client.chat.completions.create(
        model=MODEL, messages=ASK, stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    pieces = [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]
    assert len(pieces) > 10
    assert "".join(pieces) == whole.choices[0].message.content
    assert chunks[-1].usage == whole.usage
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"


async def test_tool_calls_stream_as_well(client: openai.AsyncOpenAI) -> None:
    stream = await client.chat.completions.create(model=MODEL, messages=ASK, tools=[SEARCH], stream=True)
    deltas = [call async for chunk in stream for call in (chunk.choices[0].delta.tool_calls or [])]
    assert [(delta.index, delta.function.name if delta.function else None) for delta in deltas] == [
        (0, "search_docs"),
        (1, "search_docs"),
    ]


async def test_a_json_object_is_answered_with_one(client: openai.AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(model=MODEL, messages=ASK, response_format={"type": "json_object"})
    assert json.loads(str(answer.choices[0].message.content))["model"] == MODEL


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"messages": ASK}, "model"),
        ({"model": MODEL}, "messages"),
        ({"model": MODEL, "messages": []}, "messages"),
        ({"model": MODEL, "messages": [{"role": "wizard", "content": "x"}]}, "messages.0.role"),
        ({"model": MODEL, "messages": "hello"}, "messages"),
        ({"model": MODEL, "messages": ASK, "n": 2}, "n"),
        ({"model": MODEL, "messages": ASK, "response_format": {"type": "json_schema"}}, "response_format"),
        ({"model": MODEL, "messages": ASK, "tool_choice": "required"}, None),
        ({"model": MODEL, "messages": ASK, "tools": [SEARCH],
          "tool_choice": {"type": "function", "function": {"name": "other"}}}, None),
        ({"model": MODEL, "messages": [*ASK, result_of("call_unknown")]}, None),
        ({"model": MODEL, "messages": ASK, "tools": [{"type": "magic"}]}, "tools"),
    ],
    ids=["no model", "no messages", "empty messages", "unknown role", "text for messages", "two answers",
         "no schema", "nothing to call", "unknown tool", "result without call", "unknown tool type"],
)  # fmt: skip
async def test_a_bad_request_is_refused_in_openais_shape(
    http: httpx2.AsyncClient, body: dict[str, Any], param: str | None
) -> None:
    response = await http.post("/v1/chat/completions", json=body)
    error = response.json()["error"]
    assert (response.status_code, error["type"]) == (400, "invalid_request_error")
    assert set(error) == {"message", "type", "param", "code"}
    assert error["param"] is None if param is None else error["param"].startswith(param)


async def test_a_body_that_is_no_json_is_refused_in_openais_shape(http: httpx2.AsyncClient) -> None:
    response = await http.post("/v1/chat/completions", content=b'{"mod', headers={"content-type": "application/json"})
    assert (response.status_code, response.json()["error"]["code"]) == (400, "invalid_json")


async def test_an_unknown_path_is_refused_in_openais_shape(http: httpx2.AsyncClient) -> None:
    response = await http.post("/v1/embeddings", json={})
    assert (response.status_code, response.json()["error"]["message"]) == (404, "Not Found")
