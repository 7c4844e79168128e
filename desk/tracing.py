"""The trace in which a ticket is worked on: that of the request which files it, handed on as a string."""

from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from desk.steps import Traced


def caller_trace() -> Traced:
    """Return the W3C trace context of whoever calls; empty outside of any trace."""
    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    return Traced(traceparent=carrier["traceparent"]) if "traceparent" in carrier else Traced()
