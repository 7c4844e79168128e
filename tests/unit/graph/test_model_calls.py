"""One call to the model: its headers, and what becomes of each way to fail."""

from collections.abc import Callable
from typing import Any, TypedDict

import httpx2
import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.runtime import Runtime

from graph.errors import BadModelAnswerError, GraphError, ModelRefusedError, ModelUnavailableError
from graph.model import build_chat_model, call_model
from graph.settings import ModelSettings, load_settings

pytestmark = pytest.mark.anyio

Handler = Callable[[httpx2.Request], httpx2.Response]
SETTINGS = load_settings(ModelSettings, openai_base_url="http://model.test/v1", openai_model="m", _env_file=None)


def completion(content: str = "hello", finish: str = "stop") -> httpx2.Response:
    message = {"role": "assistant", "content": content}
    choice = {"index": 0, "message": message, "finish_reason": finish}
    return httpx2.Response(
        200, json={"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}
    )


def failure(status: int, code: str = "x") -> httpx2.Response:
    return httpx2.Response(status, json={"error": {"message": "no", "type": "t", "code": code}})


async def ask(handler: Handler, **options: Any) -> AIMessage:
    async with httpx2.AsyncClient(transport=httpx2.MockTransport(handler)) as client:
        model = build_chat_model(SETTINGS, http_client=client)
        return await call_model(model, [HumanMessage("hi")], node="expert.test", runtime=Runtime(), **options)


def raising(error: Exception) -> Handler:
    def handler(_: httpx2.Request) -> httpx2.Response:
        raise error

    return handler


async def test_a_call_names_its_node_and_goes_to_chat_completions() -> None:
    seen: list[httpx2.Request] = []

    def handler(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        return completion()

    assert (await ask(handler)).text == "hello"
    assert str(seen[0].url) == "http://model.test/v1/chat/completions"
    assert seen[0].headers["X-Graph-Node"] == "expert.test"
    assert "X-Task-Id" not in seen[0].headers


@pytest.mark.parametrize(
    ("handler", "expected"),
    [
        (lambda _: failure(429, "rate_limit_exceeded"), ModelUnavailableError),
        (lambda _: failure(500), ModelUnavailableError),
        (lambda _: failure(503), ModelUnavailableError),
        (lambda _: failure(408), ModelUnavailableError),
        (raising(httpx2.ConnectError("refused")), ModelUnavailableError),
        (raising(httpx2.ReadTimeout("late")), ModelUnavailableError),
        (lambda _: httpx2.Response(200, text="<html>proxy</html>"), ModelUnavailableError),
        (lambda _: httpx2.Response(200, json={}), ModelUnavailableError),
        (lambda _: failure(401, "invalid_api_key"), ModelRefusedError),
        (lambda _: failure(400), ModelRefusedError),
        (lambda _: failure(403), ModelRefusedError),
        (lambda _: failure(404, "model_not_found"), ModelRefusedError),
        (lambda _: failure(429, "insufficient_quota"), ModelRefusedError),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
async def test_each_failure_is_either_retried_or_clear(handler: Handler, expected: type[GraphError]) -> None:
    with pytest.raises(expected, match=r"expert\.test") as caught:
        await ask(handler)
    assert type(caught.value) is expected
    assert caught.value.__cause__ is not None


async def test_each_failure_is_sent_once_for_the_graph_retries() -> None:
    requests: list[httpx2.Request] = []

    def handler(request: httpx2.Request) -> httpx2.Response:
        requests.append(request)
        return failure(500)

    with pytest.raises(ModelUnavailableError):
        await ask(handler)
    assert len(requests) == 1


async def test_a_refused_key_says_what_to_check() -> None:
    with pytest.raises(ModelRefusedError, match="OPENAI_API_KEY"):
        await ask(lambda _: failure(401))


async def test_an_answer_that_ran_out_of_room_is_a_bad_answer() -> None:
    with pytest.raises(BadModelAnswerError) as caught:
        await ask(lambda _: completion('{"half":', finish="length"), response_format={"type": "json_object"})
    assert caught.value.answer == '{"half":'


class Numbers(TypedDict, total=False):
    number: int


async def test_the_task_id_is_the_one_that_langgraph_plans_and_stays_when_the_task_is_run_again() -> None:
    sent: list[str] = []

    def handler(request: httpx2.Request) -> httpx2.Response:
        sent.append(request.headers["X-Task-Id"])
        return failure(401) if len(sent) == 1 else completion()

    async with httpx2.AsyncClient(transport=httpx2.MockTransport(handler)) as client:
        model = build_chat_model(SETTINGS, http_client=client)

        async def node(state: Numbers, *, runtime: Runtime[None]) -> Numbers:
            await call_model(model, [HumanMessage("hi")], node="test.node", runtime=runtime)
            return {"number": 1}

        graph = StateGraph(Numbers).add_node("node", node).add_edge(START, "node").compile(InMemorySaver())
        config: Any = {"configurable": {"thread_id": "t"}}
        with pytest.raises(ModelRefusedError):
            await graph.ainvoke({"number": 0}, config, durability="sync")
        planned = (await graph.aget_state(config)).tasks[0].id
        await graph.ainvoke(None, config, durability="sync")
    assert sent == [planned, planned]
