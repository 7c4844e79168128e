"""How `call_graph` waits for answers, driven without Dapr and replayed from its history each time."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, timedelta
from typing import Any

import pytest

from dapr_bridge import (
    CallRefusedError,
    PayloadTooLargeError,
    Reference,
    RunCancelledError,
    UnansweredError,
    call_graph,
    wait_for,
)
from dapr_bridge._answers import cancellation_of, read_answers
from tests.kit.workflow_replay import BEGINNING, WorkflowRun

ONE, TWO = "1" * 32, "2" * 32
HOUR = timedelta(hours=1)


def asking(*ids: str) -> dict[str, Any]:
    questions = [{"id": each, "value": {"json": f"{each[0]}?"}} for each in ids]
    return {"status": "interrupted", "checkpoint_id": "c", "run_id": "r", "interrupts": questions}


REFUSED = {
    "status": "refused",
    "failure": {"node": None, "task_id": None, "error_type": "E", "message": "no value 'v'"},
}
FINISHED = {"status": "finished", "checkpoint_id": "d", "output": {"json": "done"}}


def drive(outcomes: list[dict[str, Any]], **rules: Any) -> WorkflowRun:
    """A workflow whose graph ends in these ways, one after the other."""
    left = list(outcomes)

    def answer(name: str, given: Any) -> Any:
        if name == "asks:name":
            return {"run_id": "r", **given}
        return left.pop(0) if name == "asks:advance" else None

    def workflow(ctx: Any, _: Any) -> Any:
        wait = wait_for("answered", notify="note", **rules)
        try:
            result = yield from call_graph(ctx, "asks", None, thread_id="t", on_interrupt=wait)
        except UnansweredError as error:
            return [each.value for each in error.interrupts]
        return result.output

    return WorkflowRun(workflow, None, answer=answer)


def test_reminders_come_until_the_deadline_and_then_the_default() -> None:
    run = drive([asking(ONE, TWO), FINISHED], timeout=HOUR, remind_every=timedelta(minutes=25), default="none")

    assert run.to_end() == "done"
    assert [(each["reason"], each["reminder"]) for each in run.named("note")] == [
        ("asked", 0),
        ("reminder", 1),
        ("reminder", 2),
    ]
    assert run.named("asks:advance")[1]["answers"] == {ONE: {"json": "none"}, TWO: {"json": "none"}}


@pytest.mark.parametrize(("rules", "deadline"), [({"timeout": HOUR}, HOUR), ({}, None)])
def test_whoever_is_told_of_a_question_knows_its_deadline_in_every_time_zone(
    rules: dict[str, Any], deadline: timedelta | None
) -> None:
    run = drive([asking(ONE), FINISHED], **rules)
    run.events.append(("answered", "yes"))
    run.to_end()

    (question,) = run.named("note")[0]["questions"]

    asked_at = BEGINNING.replace(tzinfo=UTC) + run.takes * 2
    assert question["deadline"] == ((asked_at + deadline).isoformat() if deadline else None)
    assert deadline is None or question["deadline"].endswith("+00:00")


def test_without_a_default_it_is_an_error_with_the_questions() -> None:
    assert drive([asking(ONE)], timeout=HOUR).to_end() == ["1?"]


def test_each_question_has_a_deadline_of_its_own() -> None:
    run = drive([asking(ONE), asking(ONE, TWO), FINISHED], timeout=HOUR, default="none")
    # The first deadline passes; the run asks on, and another question with it.
    assert run.to_end() == "done"

    first, second = run.named("asks:advance")[1:]
    assert first["answers"] == {ONE: {"json": "none"}}
    assert second["answers"] == {ONE: {"json": "none"}}


def test_an_answer_that_came_before_the_deadline_is_taken_after_it() -> None:
    run = drive([asking(ONE), FINISHED], timeout=HOUR, default="none")
    answer = run.answer

    def slowly(name: str, given: Any) -> Any:
        if name == "note":
            # Its turn took longer than the deadline, and meanwhile the event came.
            run.context.current_utc_datetime += 2 * HOUR
            run.events.append(("answered", "in time"))
        return answer(name, given)

    run.answer = slowly

    assert run.to_end() == "done"
    assert run.named("asks:advance")[1]["answers"] == {ONE: {"json": "in time"}}


def test_an_answer_waits_for_the_thread_and_belongs_to_the_same_run() -> None:
    run = drive([asking(ONE), FINISHED])
    run.events.append(("answered", "yes"))

    run.to_end()

    second = run.named("asks:advance")[1]
    options = {"if_busy": "wait", "answered_by": {"instance_id": "instance", "event": "answered"}}
    assert (second["run_id"], second["options"], second["input"]) == ("r", options, {"json": None})


def test_a_cancelled_run_is_waited_for_no_more() -> None:
    run = drive([asking(ONE), {"status": "cancelled"}])
    run.events.extend([("answered", cancellation_of("another")), ("answered", cancellation_of("r"))])

    with pytest.raises(RunCancelledError):
        run.to_end()

    look = run.named("asks:advance")[1]
    assert (look["run_id"], look["options"]["cancels"], look.get("answers")) == ("r", True, None)


def test_a_wait_that_is_woken_for_nothing_goes_on() -> None:
    run = drive([asking(ONE), {"status": "interrupted", "run_id": "r"}, FINISHED])
    run.events.extend([("answered", cancellation_of("r")), ("answered", "yes")])

    assert run.to_end() == "done"
    assert run.named("asks:advance")[2]["answers"] == {ONE: {"json": "yes"}}


def test_an_answer_that_the_worker_refuses_leaves_its_question_waiting() -> None:
    run = drive([asking(ONE), REFUSED, FINISHED])
    run.events.extend([("answered", {"reference": "v"}), ("answered", "yes")])

    assert run.to_end() == "done"

    assert [(each["reason"], each["refusal"]) for each in run.named("note")] == [
        ("asked", None),
        ("refused", "no value 'v'"),
    ]
    assert run.named("asks:advance")[2]["answers"] == {ONE: {"json": "yes"}}


def test_a_default_answer_that_the_worker_refuses_is_an_error() -> None:
    run = drive([asking(ONE), REFUSED], timeout=HOUR, default=Reference(name="v"))

    with pytest.raises(CallRefusedError, match="no value 'v'"):
        run.to_end()


@pytest.mark.parametrize(
    ("given", "waiting", "reason"),
    [
        ("yes", [ONE, TWO], "2 questions wait"),
        ({}, [ONE], r"its data is \{\}"),
        (None, [ONE], "its data is null"),
        ({TWO: "yes"}, [ONE], f"no question '{TWO}' waits for an answer; those that wait: '{ONE}'"),
        ({ONE: "yes", "three": "no"}, [ONE, TWO], "2 questions wait"),
        ({1: "yes"}, [ONE], "its data is a dict: send JSON"),
        ({ONE: "x" * 10_000}, [ONE], "10002 bytes"),
    ],
)
def test_what_is_no_answer_is_refused(given: Any, waiting: list[str], reason: str) -> None:
    answers = read_answers(given, waiting)

    assert isinstance(answers, str)
    assert re.search(reason, answers)


@pytest.mark.parametrize(
    ("given", "waiting", "answers"),
    [
        ("yes", [ONE], {ONE: {"json": "yes"}}),
        (False, [ONE], {ONE: {"json": False}}),
        ({"three": 3}, [ONE], {ONE: {"json": {"three": 3}}}),
        ({TWO: None}, [ONE, TWO], {TWO: {"json": None}}),
        ({"reference": "a/b"}, [ONE], {ONE: {"reference": "a/b"}}),
        ({"reference": "a/b", "more": 1}, [ONE], {ONE: {"json": {"reference": "a/b", "more": 1}}}),
        ({"reference": 1}, [ONE], {ONE: {"json": {"reference": 1}}}),
    ],
)
def test_an_answer_is_read_by_id_or_for_the_one_question(given: Any, waiting: list[str], answers: Any) -> None:
    assert read_answers(given, waiting) == answers


@pytest.mark.parametrize(
    ("wait", "reason"),
    [
        (lambda: wait_for("e", timeout=timedelta(0)), "above zero"),
        (lambda: wait_for("e", notify="n", remind_every=-HOUR), "above zero"),
        (lambda: wait_for("e", remind_every=HOUR), "nobody is reminded without `notify`"),
        (lambda: wait_for("e", default="x"), "never taken without a `timeout`"),
    ],
)
def test_a_wait_that_contradicts_itself_is_refused(wait: Callable[[], Any], reason: str) -> None:
    with pytest.raises(CallRefusedError, match=reason):
        wait()


def test_a_default_that_is_too_large_is_refused_before_the_run_begins() -> None:
    run = drive([asking(ONE)], timeout=HOUR, default="x" * 10_000)

    with pytest.raises(PayloadTooLargeError, match="the default answer of event 'answered'"):
        run.to_end()
    assert run.names() == []
