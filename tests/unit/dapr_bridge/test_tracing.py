"""The spans of runs and activities: in which trace they are, and what of it travels."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Generator, Iterator
from dataclasses import replace
from typing import Any

import pytest
from opentelemetry import trace

from dapr_bridge import call_graph, wait_for
from dapr_bridge._tracing import CallSpans, advancing, running_task
from dapr_bridge._wire import Failure, RunOutcome, RunRequest, TaskOrder, TaskOutcome, TaskRequest
from tests.kit.spans import Recorder, recorded
from tests.kit.workflow_replay import WorkflowRun

CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
CALLERS_TRACE = CALLER.split("-")[1]
CALLERS_SPAN = CALLER.split("-")[2]


@pytest.fixture
def spans() -> Iterator[Recorder]:
    with recorded() as recorder:
        yield recorder


def request(**given: Any) -> RunRequest:
    return RunRequest(graph="talk", thread_id="t", run_id="r", asked_at="", input={"json": None}, config={}, **given)


def advance(given: RunRequest, outcome: RunOutcome) -> RunOutcome:
    """Do what an activity does, with nothing to do between its begin and its end."""
    with advancing(given, "r", unit="task") as span:
        told = span.told(given, outcome)
        span.ended(told)
    return told


def test_an_activity_is_a_child_of_the_runs_span_which_its_request_names(spans: Recorder) -> None:
    told = advance(request(run_trace=CALLER), RunOutcome(status="finished", checkpoint_id="c-1"))

    (span,) = spans.seen()
    assert (span.name, span.trace_id, span.parent_id) == ("graph.advance talk", CALLERS_TRACE, CALLERS_SPAN)
    assert (span["status"], span["checkpoint_id"]) == ("finished", "c-1")
    assert told.run_trace == CALLER


def test_a_run_that_a_workflow_begins_has_a_span_of_its_own_which_later_activities_are_told_of(
    spans: Recorder,
) -> None:
    told = advance(request(caller_trace=CALLER), RunOutcome(status="planned"))

    run = spans.one("graph.run talk")
    assert (run.trace_id, run.parent_id) == (CALLERS_TRACE, CALLERS_SPAN)
    assert spans.one("graph.advance talk").parent_id == run.span_id
    assert run.is_named_by(RunOutcome.from_json(told.to_json()).run_trace)


def test_an_activity_within_a_span_of_daprs_sdk_is_below_it_where_it_is_of_the_trace(spans: Recorder) -> None:
    sdk = spans.provider.get_tracer("sdk")
    within = trace.set_span_in_context(trace.NonRecordingSpan(_context(CALLER)))
    with sdk.start_as_current_span("of the trace", within):
        advance(request(run_trace=CALLER), RunOutcome(status="finished"))
    with sdk.start_as_current_span("of another one"):
        advance(request(run_trace=CALLER), RunOutcome(status="finished"))

    near, linked = spans.named("graph.advance talk")
    assert near.parent_id == spans.one("of the trace").span_id
    assert (linked.trace_id, linked.parent_id) == (CALLERS_TRACE, CALLERS_SPAN)
    assert linked.links == [spans.one("of another one").span_id]


def test_a_run_is_linked_to_the_one_that_left_its_thread_unless_it_is_of_the_same_trace(spans: Recorder) -> None:
    elsewhere = CALLER.replace("0af7", "1af7")
    for earlier in (elsewhere, CALLER, "", "what is no trace"):
        with advancing(request(run_trace=CALLER), "r", unit="run") as span:
            span.claimed(2, goes_on_from=earlier)

    assert [each.links for each in spans.seen()] == [[CALLERS_SPAN], [], [], []]
    assert {each["attempt"] for each in spans.seen()} == {2}


def test_an_attempt_is_linked_to_the_one_before_unless_it_is_the_same_span(spans: Recorder) -> None:
    for _ in range(2):
        with advancing(request(run_trace=CALLER), "r", unit="run") as span:
            span.claimed(2, tried_in=CALLER)
            span.claimed(3, tried_in=span.traceparent)

    assert [each.links for each in spans.seen()] == [[CALLERS_SPAN]] * 2
    assert {each["attempt"] for each in spans.seen()} == {3}


def test_a_failed_run_says_where_and_with_what_kind_of_error_and_not_what_that_says(spans: Recorder) -> None:
    failure = Failure(node="n", task_id="id", error_type="ValueError", message="what a customer has said")

    advance(request(), RunOutcome(status="failed", failure=failure))

    for span in spans.seen():
        assert (span.status, span.error, span["node"], span["task_id"]) == ("ERROR", "ValueError", "n", "id")
        assert "customer" not in span.text


def test_a_task_is_a_child_of_the_runs_span_and_says_which_it_is(spans: Recorder) -> None:
    order = TaskRequest(
        run=request(run_trace=CALLER), checkpoint_id="c-1", last_step=9, task=TaskOrder(id="id", node="work")
    )
    with running_task(order, "r", unit="task") as span:
        span.ended(TaskOutcome(status="saved"))

    (seen,) = spans.seen()
    assert (seen.name, seen.trace_id, seen.parent_id) == ("graph.task talk.work", CALLERS_TRACE, CALLERS_SPAN)
    assert (seen["task_id"], seen["node"], seen["checkpoint_id"], seen["status"]) == ("id", "work", "c-1", "saved")


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [(ValueError("what a customer has said"), "ERROR", "ValueError"), (asyncio.CancelledError(), "UNSET", None)],
)
def test_an_activity_that_is_cut_short_says_so(
    spans: Recorder, error: BaseException, status: str, kind: str | None
) -> None:
    with pytest.raises(type(error)), advancing(request(run_trace=CALLER), "r", unit="run"):
        raise error

    (span,) = spans.seen()
    assert (span.status, span.error) == (status, kind)
    assert "customer" not in span.text


def test_a_call_spans_from_its_begin_to_the_known_end_in_the_callers_trace(spans: Recorder) -> None:
    calls = CallSpans()
    with spans.provider.get_tracer("caller").start_as_current_span("caller"):
        with calls.beginning(request()) as traced:
            pass
        assert spans.seen() == []
    with calls.waiting("r") as waiting:
        waiting.ended(RunOutcome(status="finished"))

    run = spans.one("graph.run talk")
    assert run.parent_id == spans.one("caller").span_id
    assert run.is_named_by(traced.run_trace)
    assert RunRequest.from_json(json.loads(json.dumps(traced.to_json()))) == traced


def test_a_call_that_finds_its_run_begun_is_linked_to_it(spans: Recorder) -> None:
    calls = CallSpans()
    calls.joined(request(), CALLER)
    with calls.waiting("r") as waiting:
        waiting.ended(RunOutcome(status="busy", holder="other"))

    run = spans.one("graph.run talk")
    assert run.links == [CALLERS_SPAN]
    assert (run.trace_id == CALLERS_TRACE, run.status, run.error) == (False, "ERROR", "ThreadBusyError")


def test_a_run_that_could_not_be_started_has_a_span_that_says_so(spans: Recorder) -> None:
    with pytest.raises(ConnectionError), CallSpans().beginning(request()):
        raise ConnectionError("away")

    assert spans.one("graph.run talk").error == "ConnectionError"


def test_without_an_sdk_nothing_is_recorded_and_a_trace_from_outside_goes_through() -> None:
    calls = CallSpans()
    with calls.beginning(request()) as plain:
        assert plain == request()
    within = trace.set_span_in_context(trace.NonRecordingSpan(_context(CALLER)))
    with trace.use_span(trace.get_current_span(within)), calls.beginning(request()) as traced:
        assert traced.run_trace == CALLER
    assert advance(request(), RunOutcome(status="planned")).run_trace == ""
    assert advance(request(caller_trace=CALLER), RunOutcome(status="planned")).run_trace == CALLER


def test_a_workflow_tells_the_activity_that_gets_its_answers_of_the_runs_trace_and_makes_no_span(
    spans: Recorder,
) -> None:
    question = {"id": "q", "value": {"json": "well?"}}

    def answer(_: str, record: dict[str, Any]) -> dict[str, Any]:
        if record.get("answers"):
            return RunOutcome(status="finished").to_json()
        return RunOutcome(status="interrupted", run_id="r", interrupts=[question], run_trace=CALLER).to_json()

    def ticket(ctx: Any, traceparent: str) -> Generator[Any, Any, str]:
        wait = wait_for("approval")
        result = yield from call_graph(
            ctx, "talk", None, thread_id="t", run_id="r", traceparent=traceparent, on_interrupt=wait
        )
        return result.status

    elsewhere = CALLER.replace("b7ad", "c7ad")
    workflow = WorkflowRun(ticket, elsewhere, answer, events=deque([("approval", "yes")]))

    assert workflow.to_end() == "finished"
    requests = [RunRequest.from_json(each) for each in workflow.named("talk:advance")]
    assert [(each.caller_trace, each.run_trace) for each in requests] == [(elsewhere, ""), (elsewhere, CALLER)]
    assert spans.seen() == []


def test_records_without_a_trace_are_as_they_were() -> None:
    assert not {"caller_trace", "run_trace"} & (
        request().to_json().keys() | RunOutcome(status="planned").to_json().keys()
    )
    assert replace(request(), run_trace=CALLER).to_json()["run_trace"] == CALLER


def _context(traceparent: str) -> trace.SpanContext:
    _, trace_id, span_id, _ = traceparent.split("-")
    return trace.SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=True, trace_flags=trace.TraceFlags(1))
