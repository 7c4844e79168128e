"""How `call_graph` asks for a run, driven without Dapr and replayed from its history."""

from __future__ import annotations

from collections.abc import Generator
from datetime import timedelta
from typing import Any

import pytest
from langchain_core.messages import HumanMessage
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from dapr_bridge import (
    BridgeError,
    CallRefusedError,
    GraphFailedError,
    GraphNotFoundError,
    ValueNotKeptError,
    call_graph,
    wait_for,
)
from dapr_bridge._payloads import encode_inline
from dapr_bridge._served import ServedRuntime
from tests.kit.own_types import Offer
from tests.kit.workflow_replay import BEGINNING, Answer, WorkflowRun, not_registered, replay_history, write_history

QUESTION = {"id": "0" * 32, "value": {"json": "well?"}}
FINISHED = {"status": "finished", "checkpoint_id": "c", "output": {"json": "done"}}


def answer(name: str, given: dict[str, Any]) -> dict[str, Any]:
    return {"run_id": f"run of {given['asked_at']}", **given} if name == "shout:name" else FINISHED


def unnamed(ctx: Any, _: Any) -> Generator[Any, Any, Any]:
    return (yield from call_graph(ctx, "shout", None, thread_id="t")).output


def named(ctx: Any, _: Any) -> Generator[Any, Any, Any]:
    return (yield from call_graph(ctx, "shout", None, thread_id="t", run_id="mine")).output


def test_a_call_without_a_run_id_has_one_before_it_begins() -> None:
    run = WorkflowRun(unnamed, None, answer)

    assert run.to_end() == "done"

    assert run.names() == ["shout:name", "shout:advance"]
    (request,) = run.named("shout:advance")
    assert (request["run_id"], request["asked_at"]) == (f"run of {BEGINNING.isoformat()}", BEGINNING.isoformat())


def test_the_run_is_the_same_when_a_turn_is_lost_and_done_again_by_another_clock() -> None:
    run = WorkflowRun(unnamed, None, answer)
    run.to_end()
    name, advance = run.history

    run.context.current_utc_datetime += timedelta(seconds=30)
    again = unnamed(run.context, None)

    # The result of what a lost turn has asked for waits for the turn.
    assert next(again).name == "shout:name"
    assert again.send(name.result) == advance.action


def test_a_call_with_a_run_id_costs_one_activity() -> None:
    run = WorkflowRun(named, None, answer)

    assert run.to_end() == "done"

    assert run.names() == ["shout:advance"]
    assert run.named("shout:advance")[0]["run_id"] == "mine"


def test_a_call_in_flight_from_before_calls_were_named_goes_on() -> None:
    run = WorkflowRun(named, None, answer)
    run.to_end()
    recorded = write_history(run)
    recorded[0]["given"]["run_id"] = None

    assert replay_history(unnamed, None, recorded) == "done"


def sent(value: Any) -> Answer:
    """Return how a worker answers whose graph has given this."""
    output = encode_inline(value, JsonPlusSerializer(allowed_msgpack_modules=None), what="it")
    return lambda *_: {**FINISHED, "output": output}


def test_an_output_of_a_type_that_nobody_has_allowed_is_an_error_and_no_dict() -> None:
    with pytest.raises(ValueNotKeptError, match=r"own_types\.Offer; pass it to DaprSaver\(allowed_types"):
        WorkflowRun(named, None, sent({"offer": Offer(7)})).to_end()


def test_a_call_in_flight_that_gave_plain_data_gives_that_again_when_it_is_replayed() -> None:
    run = WorkflowRun(named, None, sent({"offer": Offer(7)}))
    run.context.is_replaying = True

    assert run.to_end() == {"offer": {"price": 7}}


def test_an_output_of_default_types_comes_back_from_history_as_it_was() -> None:
    given = {"messages": [HumanMessage("hi", id="1")], "words": {"a", "b"}, 1: b"one"}

    assert WorkflowRun(named, None, sent(given)).to_end() == given


def test_a_workflow_is_registered_once_and_known_by_its_function() -> None:
    runtime = ServedRuntime(JsonPlusSerializer(allowed_msgpack_modules=[Offer]))

    def workflow(ctx: Any) -> None: ...

    runtime.register_workflow(workflow, name="mine")

    assert vars(workflow)["_dapr_alternate_name"] == "mine"
    with pytest.raises(ValueError, match="already registered as mine"):
        runtime.register_workflow(workflow)


def calling(**given: Any) -> WorkflowRun:
    """A workflow that makes one call, and tells why it was refused."""
    asked: dict[str, Any] = {"thread_id": "t", "run_id": "mine", **given}

    def workflow(ctx: Any, _: Any) -> Generator[Any, Any, Any]:
        try:
            return (yield from call_graph(ctx, "shout", None, **asked)).output
        except CallRefusedError as error:
            return str(error)

    return WorkflowRun(workflow, None, answer)


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"config": {"foo": 1}}, "config['foo'] is unknown; it would be lost"),
    ({"config": {"callbacks": [object()]}}, "config['callbacks']: a workflow is replayed in any process"),
    ({"config": {"run_id": "mine"}}, "config['run_id']: a workflow is replayed in any process"),
    ({"config": {"configurable": {"thread_id": "other"}}}, "config names thread 'other', and thread_id='t' another"),
    ({"config": {"configurable": {"model": object()}}}, "config['configurable']['model'] is a object"),
    ({"config": {"metadata": 5}}, "config['metadata'] is 5: pass a dict"),
    ({"config": {"tags": [object()]}}, "pass a list of strings"),
    ({"config": {"run_name": object()}}, "pass a string"),
    ({"config": {"max_concurrency": "2"}}, "config['max_concurrency'] is '2': pass a whole number"),
    ({"if_busy": "nonsense"}, "if_busy='nonsense' is unknown; there are 'raise' and 'wait'"),
]


@pytest.mark.parametrize(("given", "message"), REFUSED)
def test_what_would_be_lost_is_refused_by_name(given: dict[str, Any], message: str) -> None:
    run = calling(**given)

    assert message in run.to_end()
    assert run.names() == []


@pytest.mark.parametrize("given", [given for given, _ in REFUSED])
def test_a_call_in_flight_from_before_it_would_be_refused_goes_on(given: dict[str, Any]) -> None:
    run = calling(**given)
    run.context.is_replaying = True

    assert run.to_end() == "done"


@pytest.mark.parametrize(
    ("given", "thread_id", "config"),
    [
        ({}, "t", {}),
        ({"thread_id": 5}, "5", {}),
        ({"config": {"metadata": None, "configurable": None, "callbacks": None}}, "t", {}),
        ({"config": {"configurable": {"thread_id": "t"}}}, "t", {"configurable": {"thread_id": "t"}}),
        ({"thread_id": 5, "config": {"configurable": {"thread_id": 5}}}, "5", {"configurable": {"thread_id": 5}}),
        ({"config": {"tags": ["a"], "max_concurrency": 2}}, "t", {"tags": ["a"], "max_concurrency": 2}),
    ],
)
def test_what_travels_of_a_call(given: dict[str, Any], thread_id: str, config: dict[str, Any]) -> None:
    run = calling(**given)

    assert run.to_end() == "done"
    (request,) = run.named("shout:advance")
    assert (request["thread_id"], request["config"]) == (thread_id, config)


def hosted_by_nobody(**given: Any) -> WorkflowRun:
    """A workflow that calls a graph which its worker has not, and returns the error."""

    def workflow(ctx: Any, _: Any) -> Generator[Any, Any, Any]:
        try:
            yield from call_graph(ctx, "late", None, thread_id="t", **given)
        except BridgeError as error:
            return type(error), str(error)

    return WorkflowRun(workflow, None, lambda name, _: not_registered(name))


@pytest.mark.parametrize(("given", "app"), [({}, "this app"), ({"app_id": "afar"}, "app 'afar'")])
def test_a_graph_that_no_worker_hosts_is_named_with_what_to_do(given: dict[str, Any], app: str) -> None:
    run = hosted_by_nobody(**given)

    assert run.to_end() == (
        GraphNotFoundError,
        f"no graph 'late' on the worker of {app} that took the run: host it there "
        "(GraphWorker(graphs={'late': ...})), and call again",
    )
    # A worker of an earlier release has no activity that names calls.
    assert run.names() == ["late:name", "late:advance"]


def test_a_graph_that_is_gone_in_the_middle_of_its_run_is_an_error_of_the_run() -> None:
    asked = {"status": "interrupted", "checkpoint_id": "c", "run_id": "mine", "interrupts": [QUESTION]}

    def workflow(ctx: Any, _: Any) -> Generator[Any, Any, Any]:
        try:
            yield from call_graph(ctx, "shout", None, thread_id="t", run_id="mine", on_interrupt=wait_for("answer"))
        except GraphFailedError as error:
            return error.error_type

    run = WorkflowRun(workflow, None, lambda name, given: not_registered(name) if given.get("answers") else asked)
    run.events.append(("answer", "yes"))

    assert run.to_end() == "ActivityNotRegisteredError"


def test_a_workflow_that_was_told_otherwise_of_such_a_graph_is_told_the_same_in_its_replays() -> None:
    run = hosted_by_nobody(run_id="mine")
    run.context.is_replaying = True

    assert run.to_end()[0] is GraphFailedError
