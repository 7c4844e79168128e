"""How `call_graph` asks for a run, driven without Dapr and replayed from its history."""

from __future__ import annotations

from collections.abc import Generator
from datetime import timedelta
from typing import Any

import pytest
from langchain_core.messages import HumanMessage
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from dapr_bridge import ValueNotKeptError, call_graph
from dapr_bridge._payloads import encode_inline
from dapr_bridge._served import ServedRuntime
from tests.kit.own_types import Offer
from tests.kit.workflow_replay import BEGINNING, Answer, WorkflowRun, replay_history, write_history

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
