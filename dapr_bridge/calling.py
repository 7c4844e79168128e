"""`call_graph`: a LangGraph graph as one step of one's own workflow."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from dapr.ext.workflow import DaprWorkflowContext, TaskFailedError
from langgraph.checkpoint.serde.base import SerializerProtocol
from langgraph.errors import GraphDrained
from langgraph.types import Interrupt

from dapr_bridge import _names
from dapr_bridge._call_arguments import checked_if_busy, workflow_config
from dapr_bridge._payloads import Payload, decode_inline, decode_kept, encode_inline
from dapr_bridge._served import serde_around, wire_serde
from dapr_bridge._wire import Failure, IfBusy, RunOutcome, RunRequest
from dapr_bridge._workflow import NO_SUCH_WORKFLOW, NOT_HOSTED, Drive
from dapr_bridge.errors import (
    BridgeError,
    CallRefusedError,
    GraphChangedError,
    GraphFailedError,
    GraphNotFoundError,
    RunCancelledError,
    StateStoreNotFoundError,
    ThreadBusyError,
    UnansweredError,
    ValueNotKeptError,
)
from dapr_bridge.reference import Reference
from dapr_bridge.waiting import EventWait, Waiting


@dataclass(frozen=True, kw_only=True)
class GraphResult:
    """How a graph run ended.

    Attributes:
        thread_id: the LangGraph thread, which holds the whole state.
        checkpoint_id: its latest checkpoint.
        status: `finished`, or `interrupted` when it waits for an answer or stands at a breakpoint.
        output: what `ainvoke` would have returned; a `Reference` when it is larger than a few kB.
        interrupts: the questions that wait, to be answered with `Command(resume={interrupt.id: answer})`.
    """

    thread_id: str
    checkpoint_id: str
    status: Literal["finished", "interrupted"]
    output: Any | Reference
    interrupts: Sequence[Interrupt]


def call_graph(
    ctx: DaprWorkflowContext,
    graph: str,
    input: Any | Reference,  # noqa: A002 - LangGraph's name
    *,
    thread_id: str | int,
    run_id: str | None = None,
    config: Mapping[str, Any] | None = None,
    app_id: str | None = None,
    if_busy: IfBusy = "raise",
    on_interrupt: EventWait | None = None,
    as_child: bool = False,
    traceparent: str | None = None,
) -> Generator[Any, Any, GraphResult]:
    """Run a graph inside a workflow: `result = yield from call_graph(ctx, "expert", question, thread_id="t-1")`.

    Args:
        ctx: the workflow's context.
        graph: name under which a `GraphWorker` hosts it.
        input: LangGraph's input, a `Command`, or None to go on from the last checkpoint; a `Reference` to one that is
            larger than a few kB.
        thread_id: LangGraph thread. Use an id of the workflow's own, such as one that starts with `ctx.instance_id`.
        run_id: calls with the same run id are one run: its input is applied once, and a later call goes on where the
            earlier one stopped; another input than the run's, or an answer, is refused. By default each call is a run
            of its own, which is given its id by an activity more.
        config: what is JSON of LangGraph's config: `configurable`, `tags`, `metadata`, `recursion_limit`, `run_name`,
            `max_concurrency`.
        app_id: the app that hosts the graph, when it is not this one.
        if_busy: what to do while another run has the thread: raise, or wait for its end.
        on_interrupt: how to have answered what the run asks, `wait_for("event", timeout=...)`, as often as it asks. By
            default a run that asks something ends as interrupted; one that stands at a breakpoint always does.
        as_child: whether the run is a child workflow. This one's history then grows by two events, and not by two for
            each activity: for long runs in unit `task`, at the cost of a workflow more.
        traceparent: W3C trace context of the run's caller, from the workflow's own input; a replayed workflow is in no
            span. By default the run has a trace of its own.

    Raises:
        GraphFailedError: a node failed after its own retries; the thread can be gone on with.
        GraphChangedError: the worker's graph lacks what the run has to do next.
        GraphNotFoundError: the worker that took the run hosts no graph of that name.
        ThreadBusyError: another run of the thread is going on.
        CallRefusedError: something in the call would be lost, such as another input for a run that has begun.
        RunCancelledError: the run was cancelled with `DurableGraph.acancel`.
        GraphDrained: LangGraph's; a node has asked for it, and the thread can be gone on with.
        UnansweredError: nobody answered in time, and `on_interrupt` has no default.
        PayloadTooLargeError: the input has to travel by `Reference`.
        ValueNotKeptError: the output or a question holds a type that the saver of the worker that runs this workflow
            does not allow; or the input cannot be kept.
    """
    serde, thread_id = wire_serde(), str(thread_id)
    travels, busy = _checked(ctx, thread_id, config or {}, if_busy=if_busy)
    request = RunRequest(
        graph=graph,
        thread_id=thread_id,
        run_id=run_id,
        asked_at=ctx.current_utc_datetime.isoformat(),
        input=encode_inline(input, serde, what=f"the input of graph {graph!r}"),
        config=travels,
        # A child in another app is asked for there.
        options={
            **_options(if_busy=busy, app_id=None if as_child else app_id),
            **(_answered_by(ctx, on_interrupt) if on_interrupt and app_id is None else {}),
        },
        caller_trace=traceparent or "",
    )
    drive = Drive(ctx=ctx, request=request, app_id=app_id, as_child=as_child)
    try:
        outcome = yield from _run(drive, _waiting(drive, on_interrupt, serde))
    except TaskFailedError as error:
        raise _failed(drive, error) from error
    result = _typed(ctx, request, outcome)
    if on_interrupt and result.interrupts:
        raise _unanswered(graph, result, on_interrupt)
    return result


def _waiting(drive: Drive, wait: EventWait | None, serde: SerializerProtocol) -> Waiting | None:
    if wait is None:
        return None
    return Waiting(ctx=drive.ctx, wait=wait, request=drive.request, default=wait.default_answer(serde))


def _failed(drive: Drive, error: TaskFailedError) -> BridgeError:
    request, details = drive.request, error.details
    never_begun = {NO_SUCH_WORKFLOW} if drive.as_child else NOT_HOSTED
    if not drive.has_begun and details.error_type in never_begun and drive.ctx.is_patched(_names.REFUSED_CALLS):
        return _not_found(
            request.graph, app=f"app {drive.app_id!r}" if drive.app_id else "this app", again="call again"
        )
    return GraphFailedError(
        graph=request.graph,
        thread_id=request.thread_id,
        node=None,
        task_id=None,
        error_type=details.error_type,
        message=details.message,
    )


def _not_found(graph: str, *, app: str, again: str) -> GraphNotFoundError:
    return GraphNotFoundError(
        f"no graph {graph!r} on the worker of {app} that took the run: host it there "
        f"(GraphWorker(graphs={{{graph!r}: ...}})), and {again}"
    )


def _unanswered(graph: str, result: GraphResult, wait: EventWait) -> UnansweredError:
    first = result.interrupts[0].id
    return UnansweredError(
        f"graph {graph!r}, thread {result.thread_id!r}: no event {wait.event!r} has answered {first!r} within "
        f"{wait.timeout}; a call with Command(resume={{id: answer}}) goes on",
        interrupts=result.interrupts,
    )


def _run(drive: Drive, waiting: Waiting | None) -> Generator[Any, Any, RunOutcome]:
    yield from drive.name_call()
    outcome = yield from drive.steps()
    while waiting and outcome.status == "interrupted" and outcome.interrupts:
        answers = yield from waiting.answers(outcome)
        if answers is None:
            looked = yield from drive.look_for_cancellation(outcome)
            outcome = looked if looked.status == "cancelled" else outcome
            continue
        if not answers:
            break
        answered = yield from drive.answer(outcome, answers)
        if answered.status == "refused" and not waiting.is_default(answers):
            yield from waiting.refuse(answered, outcome)
            continue
        outcome = answered
    return outcome


def _checked(
    ctx: DaprWorkflowContext, thread_id: str, config: Mapping[str, Any], *, if_busy: IfBusy
) -> tuple[Mapping[str, Any], IfBusy]:
    """Return with which config a call is made, and what it does while another run has its thread.

    Raises:
        CallRefusedError: something in them would be lost.
    """
    try:
        return workflow_config(config, thread_id), checked_if_busy(if_busy)
    except CallRefusedError:
        if ctx.is_patched(_names.REFUSED_CALLS):
            raise
        # The call was made by an earlier release, and has its result in this workflow's history.
        return dict(config), if_busy


def _options(*, if_busy: IfBusy, app_id: str | None) -> dict[str, Any]:
    """Say what differs from the ordinary: what history holds already stays as it is."""
    waits = {} if if_busy == "raise" else {"if_busy": if_busy}
    # Its worker cannot ask whether this workflow is still alive.
    return waits if app_id is None else {**waits, "is_from_afar": True}


def _answered_by(ctx: DaprWorkflowContext, wait: EventWait) -> dict[str, Any]:
    """Say how whoever cancels the run wakes its workflow; he reaches those of the app that hosts the graph."""
    return {"answered_by": {"instance_id": ctx.instance_id, "event": wait.event}}


def _typed(ctx: DaprWorkflowContext, request: RunRequest, outcome: RunOutcome) -> GraphResult:
    """Turn an outcome into a result with the types that the worker's saver allows.

    A call that an earlier release has made gave plain data in place of types of one's own, and its workflow went on so.
    """
    try:
        return to_result(request, outcome, wire_serde())
    except (ValueNotKeptError, NotImplementedError, ValueError):
        is_typed = ctx.is_patched(_names.TYPED_RESULTS)
    return to_result(request, outcome, serde_around(ctx) if is_typed else wire_serde(), is_strict=is_typed)


def to_result(
    request: RunRequest, outcome: RunOutcome, serde: SerializerProtocol, *, is_strict: bool = True
) -> GraphResult:
    """Turn an outcome into a result, or raise what it stands for.

    Args:
        request: what was asked for.
        outcome: how it ended.
        serde: rebuilds values.
        is_strict: whether a type that this does not know is an error, or plain data.
    """
    where = f"graph {request.graph!r}, thread {request.thread_id!r}"
    if outcome.status == "cancelled":
        raise RunCancelledError(f"{where}: the run was cancelled; a new call goes on from the last checkpoint")
    if outcome.status == "drained":
        raise GraphDrained(outcome.reason)
    if outcome.status == "refused":
        raise CallRefusedError(f"{where}: {outcome.failure.message if outcome.failure else 'the worker refused'}")
    if outcome.failure is not None:
        raise _error_of(request, outcome.failure)
    if outcome.status not in ("finished", "interrupted"):
        raise ThreadBusyError(f"{where}: run {outcome.holder!r} is going on", run_id=outcome.holder)

    def load(payload: Payload, what: str) -> Any:
        return decode_kept(payload, serde, what=what) if is_strict else decode_inline(payload, serde)

    return GraphResult(
        thread_id=request.thread_id,
        checkpoint_id=outcome.checkpoint_id,
        status=outcome.status,
        output=load(outcome.output, f"the output of {where}") if outcome.output else None,
        interrupts=tuple(_question(each, load, where) for each in outcome.interrupts),
    )


def _question(asked: Mapping[str, Any], load: Callable[[Payload, str], Any], where: str) -> Interrupt:
    schema = load(asked["schema"], f"a schema of {where}") if "schema" in asked else None
    return Interrupt(value=load(asked["value"], f"a question of {where}"), id=asked["id"], response_schema=schema)


def _error_of(request: RunRequest, failure: Failure) -> BridgeError:
    error_type = failure.error_type if failure.node is None else ""
    if error_type == NO_SUCH_WORKFLOW:
        return _not_found(request.graph, app="this app", again="call again with another run id")
    if error_type == StateStoreNotFoundError.__name__:
        return StateStoreNotFoundError(
            f"graph {request.graph!r}, thread {request.thread_id!r}: its worker says: {failure.message}"
        )
    kind = GraphChangedError if error_type == GraphChangedError.__name__ else GraphFailedError
    return kind(
        graph=request.graph,
        thread_id=request.thread_id,
        node=failure.node,
        task_id=failure.task_id,
        error_type=failure.error_type,
        message=failure.message,
    )
