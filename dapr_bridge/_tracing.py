"""OpenTelemetry spans of runs and of the activities that work on them: names, ids and ends, nothing of a graph's state.

Only OpenTelemetry's API is used, which does nothing in a process that has set up no SDK. A run's trace travels in its
request, as a W3C `traceparent`: Dapr's Python SDK does not tell the sidecar of the caller's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from opentelemetry import context as otel
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import INVALID_SPAN, Link, Span, SpanContext, SpanKind, Status, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from dapr_bridge._wire import Failure, RunOutcome, RunRequest, TaskOutcome, TaskRequest

PREFIX = "dapr_bridge."

_FIELD = "traceparent"
_IDS = otel.create_key("dapr_bridge.ids")
_W3C = TraceContextTextMapPropagator()

Ids = Mapping[str, str]
"""The attributes that all spans of one activity have."""


def tracer() -> Tracer:
    """Return what makes the bridge's spans."""
    return trace.get_tracer("dapr_bridge")


def ids_of_activity() -> Ids:
    """Return the ids that the spans within the current activity have; none where nobody records them."""
    found = otel.get_value(_IDS)
    return found if isinstance(found, Mapping) else {}


def tell_error(span: Span, error: BaseException) -> None:
    """Note of an exception what kind it is; its message may hold a graph's state."""
    if isinstance(error, asyncio.CancelledError):
        span.set_attribute(f"{PREFIX}status", "stopped")
    else:
        _tell_failure(span, type(error).__name__)


@dataclass(frozen=True, kw_only=True)
class ActivitySpan:
    """The span of an activity at work.

    Attributes:
        span: the span.
        new_run: the span of the run that this activity begins; None when its request names one.
    """

    span: Span
    new_run: Span | None = None

    @property
    def traceparent(self) -> str:
        """The span as others are told of it; empty where nobody records it."""
        return _traceparent(self.span) if self.span.is_recording() else ""

    def claimed(self, attempt: int, *, goes_on_from: str = "", tried_in: str = "") -> None:
        """Note which attempt it is.

        Args:
            attempt: how many times the run, or the task, was begun or gone on with.
            goes_on_from: the trace in which the run's thread was left.
            tried_in: the span of the attempt before.
        """
        own = self.span.get_span_context()
        self.span.set_attribute(f"{PREFIX}attempt", attempt)
        left, before = _context_of(goes_on_from), _context_of(tried_in)
        if left.is_valid and left.trace_id != own.trace_id:
            self.span.add_link(left)
        # An activity that waited for its store, or for a faster worker, tries again within its own span.
        if before.is_valid and before.span_id != own.span_id:
            self.span.add_link(before)

    def told(self, request: RunRequest, outcome: RunOutcome) -> RunOutcome:
        """Note how far the run has come; returns the outcome, saying where the run's trace goes on."""
        run_trace = _traceparent(self.new_run) if self.new_run else request.run_trace
        return replace(outcome, run_trace=run_trace)

    def ended(self, outcome: RunOutcome | TaskOutcome) -> None:
        """Note how the activity has ended."""
        for each in (self.span, self.new_run):
            if each is not None:
                _tell(each, outcome)


@contextmanager
def advancing(request: RunRequest, run_id: str, *, unit: str) -> Generator[ActivitySpan]:
    """Trace an activity that goes on with a run, within a span of the run itself if nobody else has begun one."""
    ids = {**_ids(request, run_id), f"{PREFIX}unit": unit}
    if request.run_trace:
        with _activity(f"graph.advance {request.graph}", ids, parent=request.run_trace) as span:
            yield ActivitySpan(span=span)
        return
    with (
        _activity(f"graph.run {request.graph}", ids, parent=request.caller_trace) as run,
        _activity(f"graph.advance {request.graph}", ids) as span,
    ):
        yield ActivitySpan(span=span, new_run=run)


@contextmanager
def running_task(request: TaskRequest, run_id: str, *, unit: str) -> Generator[ActivitySpan]:
    """Trace an activity that runs one task."""
    ids = {
        **_ids(request.run, run_id),
        f"{PREFIX}unit": unit,
        f"{PREFIX}checkpoint_id": request.checkpoint_id,
        f"{PREFIX}task_id": request.task.id,
        f"{PREFIX}node": request.task.node,
    }
    parent = request.run.run_trace or request.run.caller_trace
    with _activity(f"graph.task {request.run.graph}.{request.task.node}", ids, parent=parent) as span:
        yield ActivitySpan(span=span)


@dataclass(frozen=True)
class CallSpans:
    """The spans of the runs that this process has asked for and waits for.

    None of them is ever current: a stream that is left off would leave its span behind with whoever reads it.
    """

    _open: dict[str, list[Span]] = field(default_factory=dict[str, list[Span]])

    @contextmanager
    def beginning(self, request: RunRequest) -> Generator[RunRequest]:
        """Begin the span of a run; yields the request that carries its trace."""
        span = self._start(request)
        try:
            yield replace(request, run_trace=_traceparent(span))
        except BaseException as error:
            tell_error(span, error)
            span.end()
            raise
        self._keep(request, span)

    def joined(self, request: RunRequest, run_trace: str) -> None:
        """Begin the span of a call whose run another call has begun, linked to that one's."""
        earlier = _context_of(run_trace)
        self._keep(request, self._start(request, [Link(earlier)] if earlier.is_valid else []))

    @contextmanager
    def waiting(self, run_id: str) -> Generator[ActivitySpan]:
        """End a run's span when its end is known, or when nobody waits for it any more."""
        spans = self._open.pop(run_id, [])
        span = spans.pop() if spans else INVALID_SPAN
        if spans:
            self._open[run_id] = spans
        with _ending(span):
            yield ActivitySpan(span=span)

    def _start(self, request: RunRequest, links: Sequence[Link] = ()) -> Span:
        ids = _ids(request, request.run_id or "")
        return tracer().start_span(f"graph.run {request.graph}", kind=SpanKind.CLIENT, attributes=ids, links=links)

    def _keep(self, request: RunRequest, span: Span) -> None:
        self._open.setdefault(request.run_id or "", []).append(span)


@contextmanager
def _activity(name: str, ids: Ids, *, parent: str = "") -> Generator[Span]:
    here = otel.get_current()
    around, given = trace.get_current_span(here).get_span_context(), _context_of(parent)
    links: list[Link] = []
    # What Dapr's SDK has begun around the activity is nearer, where it knows of the trace.
    if given.is_valid and given.trace_id != around.trace_id:
        links = [Link(around)] if around.is_valid else []
        here = trace.set_span_in_context(trace.NonRecordingSpan(given), Context())
    span = tracer().start_span(name, here, kind=SpanKind.SERVER, attributes=ids, links=links)
    current = trace.set_span_in_context(span, here)
    token = otel.attach(otel.set_value(_IDS, ids, current) if span.is_recording() else current)
    try:
        with _ending(span):
            yield span
    finally:
        otel.detach(token)


@contextmanager
def _ending(span: Span) -> Generator[None]:
    try:
        yield
    except BaseException as error:
        tell_error(span, error)
        raise
    finally:
        span.end()


def _ids(request: RunRequest, run_id: str) -> dict[str, str]:
    return {
        f"{PREFIX}graph": request.graph,
        f"{PREFIX}thread_id": request.thread_id,
        f"{PREFIX}run_id": run_id,
    }


def _tell(span: Span, outcome: RunOutcome | TaskOutcome) -> None:
    span.set_attribute(f"{PREFIX}status", outcome.status)
    if isinstance(outcome, RunOutcome) and outcome.checkpoint_id:
        span.set_attribute(f"{PREFIX}checkpoint_id", outcome.checkpoint_id)
    if outcome.failure:
        _tell_failed_node(span, outcome.failure)
        _tell_failure(span, outcome.failure.error_type)
    elif outcome.status == "busy":
        _tell_failure(span, "ThreadBusyError")


def _tell_failed_node(span: Span, failure: Failure) -> None:
    for name, each in (("node", failure.node), ("task_id", failure.task_id)):
        if each:
            span.set_attribute(f"{PREFIX}{name}", each)


def _tell_failure(span: Span, error_type: str) -> None:
    span.set_attribute("error.type", error_type)
    span.set_status(Status(StatusCode.ERROR, error_type))


def _traceparent(span: Span) -> str:
    carrier: dict[str, str] = {}
    _W3C.inject(carrier, trace.set_span_in_context(span, Context()))
    return carrier.get(_FIELD, "")


def _context_of(traceparent: str) -> SpanContext:
    found = _W3C.extract({_FIELD: traceparent}, Context()) if traceparent else Context()
    return trace.get_current_span(found).get_span_context()
