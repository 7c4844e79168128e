"""`call_graph`: a LangGraph graph as one step of one's own workflow."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from dapr.ext.workflow import DaprWorkflowContext, TaskFailedError
from langgraph.checkpoint.serde.base import SerializerProtocol
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.types import Interrupt

from dapr_bridge import _names
from dapr_bridge._wire import RunOutcome, RunRequest, decode_inline, encode_inline
from dapr_bridge.errors import GraphFailedError, ThreadBusyError
from dapr_bridge.reference import Reference


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
    thread_id: str,
    run_id: str | None = None,
    config: Mapping[str, Any] | None = None,
    context: Any = None,
    app_id: str | None = None,
) -> Generator[Any, Any, GraphResult]:
    """Run a graph inside a workflow: `result = yield from call_graph(ctx, "expert", question, thread_id="t-1")`.

    Args:
        ctx: the workflow's context.
        graph: name under which a `GraphWorker` hosts it.
        input: LangGraph's input, a `Command`, or None to go on from the last checkpoint; a `Reference` to one that is
            larger than a few kB.
        thread_id: LangGraph thread. Use an id of the workflow's own, such as one that starts with `ctx.instance_id`.
        run_id: calls with the same run id are one run: its input is applied once, and a later call goes on where the
            earlier one stopped. By default each call is a run of its own.
        config: JSON for LangGraph's config: `configurable`, `tags`, `metadata`, `recursion_limit`.
        context: the run's context, for a graph with a context schema; at most a few kB.
        app_id: the app that hosts the graph, when it is not this one.

    Raises:
        GraphFailedError: a node failed after its own retries; the thread can be gone on with.
        ThreadBusyError: another run of the thread is going on.
        PayloadTooLargeError: the input has to travel by `Reference`.
    """
    serde = _wire_serde()
    request = RunRequest(
        graph=graph,
        thread_id=thread_id,
        run_id=run_id,
        asked_at=ctx.current_utc_datetime.isoformat(),
        input=encode_inline(input, serde, what=f"the input of graph {graph!r}"),
        config=dict(config or {}),
        context=None if context is None else encode_inline(context, serde, what=f"the context of graph {graph!r}"),
    )
    try:
        record = yield ctx.call_activity(_names.run_activity(graph), input=request.to_json(), app_id=app_id)
    except TaskFailedError as error:
        raise GraphFailedError(
            graph=graph,
            thread_id=thread_id,
            node=None,
            task_id=None,
            error_type=error.details.error_type,
            message=error.details.message,
        ) from error
    return to_result(request, RunOutcome.from_json(record), serde)


def to_result(request: RunRequest, outcome: RunOutcome, serde: SerializerProtocol) -> GraphResult:
    """Turn an outcome into a result, or raise what it stands for."""
    if outcome.failure is not None:
        raise GraphFailedError(
            graph=request.graph,
            thread_id=request.thread_id,
            node=outcome.failure.node,
            task_id=outcome.failure.task_id,
            error_type=outcome.failure.error_type,
            message=outcome.failure.message,
        )
    if outcome.status not in ("finished", "interrupted"):
        raise ThreadBusyError(f"thread {request.thread_id!r} of graph {request.graph!r} has another run going on")
    return GraphResult(
        thread_id=request.thread_id,
        checkpoint_id=outcome.checkpoint_id,
        status=outcome.status,
        output=decode_inline(outcome.output, serde) if outcome.output else None,
        interrupts=tuple(
            Interrupt(value=decode_inline(each["value"], serde), id=each["id"]) for each in outcome.interrupts
        ),
    )


def _wire_serde() -> SerializerProtocol:
    return JsonPlusSerializer(allowed_msgpack_modules=None)
