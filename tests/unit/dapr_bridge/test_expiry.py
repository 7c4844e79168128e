"""Which workflows and values a purge deletes, and what it takes from their histories."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from dapr.ext.workflow._durabletask.internal import protos
from google.protobuf.wrappers_pb2 import StringValue

from dapr_bridge import purge
from dapr_bridge._expiry import Reason, by_thread, ended_for_good, judge_by_workflows, only_of, values_of
from dapr_bridge._instances import Instance, instance_of
from dapr_bridge._wire import RunOutcome, RunRequest, TaskOrder, TaskRequest

START = datetime(2026, 1, 1, tzinfo=UTC)


def ended(name: str, day: int | None, *threads: str, references: tuple[str, ...] = ()) -> Instance:
    """A workflow that ended on a day of January; one without a day goes on."""
    ended_at = None if day is None else START + timedelta(days=day)
    return Instance(id=name, ended_at=ended_at, threads=frozenset(threads), references=frozenset(references))


def day(number: int) -> datetime:
    return START + timedelta(days=number)


def test_a_thread_is_as_old_as_the_last_of_its_workflows() -> None:
    threads = by_thread([ended("b", 9, "t"), ended("a", 3, "t", "u"), ended("c", None, "u")])

    assert [each.id for each in threads["t"]] == ["a", "b"]
    assert judge_by_workflows(threads["t"], before=day(9)) is Reason.RECENT
    assert judge_by_workflows(threads["t"], before=day(10)) is None
    assert judge_by_workflows(threads["u"], before=day(10)) is Reason.LIVE


def test_of_a_thread_that_is_kept_the_last_workflow_stays() -> None:
    threads = by_thread([ended("a", 1, "t"), ended("b", 2, "t"), ended("c", 3, "t", "gone")])

    assert [each.id for each in ended_for_good(threads, without_thread={"gone"}, before=day(30))] == ["a", "b"]
    assert [each.id for each in ended_for_good(threads, without_thread={"gone", "t"}, before=day(30))] == [
        "a",
        "b",
        "c",
    ]


def test_a_workflow_stays_that_is_recent_or_goes_on_though_its_threads_have_later_ones() -> None:
    threads = by_thread([ended("old", 1, "t"), ended("young", 20, "t"), ended("live", None, "t")])

    assert [each.id for each in ended_for_good(threads, without_thread=(), before=day(10))] == ["old"]
    assert [each.id for each in ended_for_good(threads, without_thread={"t"}, before=day(30))] == ["old", "young"]


def test_of_named_threads_those_workflows_go_that_have_run_no_others() -> None:
    several = [ended("one", 1, "t"), ended("two", 1, "t", "u"), ended("live", None, "t"), ended("none", 1)]

    assert [each.id for each in only_of(several, ["t"])] == ["one"]


def test_values_go_that_are_a_workflow_s_own_and_that_no_other_refers_to() -> None:
    doomed = ended("a", 1, "t", references=("a/output", "a:call/output", "ab/output", "theirs", "a/shared"))
    other = ended("b", None, "u", references=("a/shared", "b/input"))

    assert values_of([doomed], [doomed, other]) == ["a/output", "a:call/output"]


def event(kind: str, number: int = -1, **given: Any) -> Any:
    built = {
        name: StringValue(value=json.dumps(each)) if name in ("input", "result") else each
        for name, each in given.items()
    }
    messages: Mapping[str, Any] = {
        "executionStarted": protos.ExecutionStartedEvent,
        "taskScheduled": protos.TaskScheduledEvent,
        "taskCompleted": protos.TaskCompletedEvent,
        "childWorkflowInstanceCreated": protos.ChildWorkflowInstanceCreatedEvent,
    }
    return protos.HistoryEvent(eventId=number, **{kind: messages[kind](**built)})


def request(thread: str, *, run_id: str | None = None, **options: Any) -> RunRequest:
    return RunRequest(
        graph="g", thread_id=thread, run_id=run_id, asked_at="noon", input={"json": 1}, config={}, options=options
    )


def test_a_history_tells_of_the_runs_of_its_activities_and_children() -> None:
    order = TaskOrder(
        id="task-1", node="n", answers={"reference": "w/answers", "lost": {"reference": "w/answers/lost"}}
    )
    planned = RunOutcome(status="planned", run_id="w:noon:4", tasks=[order])
    task = TaskRequest(run=request("t", run_id="w:noon:4"), checkpoint_id="c", last_step=9, task=order)
    history = [
        event("executionStarted", name="mine", input={"graph": "g", "thread_id": "not one", "text": "{"}),
        event("taskScheduled", 4, name="g:advance", input=request("t").to_json()),
        event("taskCompleted", result=planned.to_json()),
        event("taskScheduled", 5, name="g.n", input=task.to_json()),
        event("taskScheduled", 6, name="g:advance", input=request("afar", is_from_afar=True).to_json()),
        event("taskScheduled", 7, name="other", input="no record"),
        event("childWorkflowInstanceCreated", 8, name="graph.g", input=request("child", run_id="named").to_json()),
    ]

    told = instance_of("w", history, ended_at=START)

    assert told.threads == {"t", "child"}
    assert told.runs == {"w:noon:4", "named"}
    assert told.leases == {"w:noon:4", "named", "w:noon:4/task-1"}
    assert told.references == {"w/answers", "w/answers/lost"}
    assert {"named/input", "w:noon:4/context"} <= told.own_values
    assert told.events == 7


def test_what_another_language_has_left_in_a_history_is_passed_over() -> None:
    started = protos.ExecutionStartedEvent(name="theirs", input=StringValue(value="not JSON"))
    event = protos.HistoryEvent(executionStarted=started)

    assert instance_of("w", [event], ended_at=None) == Instance(id="w", events=1, size=len(event.SerializeToString()))


@pytest.mark.parametrize("age", ["30", "d", "-1d", "1.5h", "3y", "99999999999999d", ""])
def test_what_is_no_age_is_refused_on_the_command_line(age: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        purge.main(["--store", "s", f"--older-than={age}"])

    assert f"argument --older-than: {age!r} is" in capsys.readouterr().err


@pytest.mark.parametrize("given", [[], ["--older-than", "30d", "--thread", "t"]])
def test_the_command_line_takes_either_an_age_or_threads(given: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        purge.main(["--store", "s", *given])

    assert "--older-than" in capsys.readouterr().err
