"""A span for each execution of a node, by the callbacks of LangGraph's own loop; also of subgraphs and of `@task`s."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Protocol
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.runnables import RunnableConfig
from langgraph.constants import TAG_HIDDEN
from langgraph.errors import GraphBubbleUp
from opentelemetry import context as otel
from opentelemetry import trace
from opentelemetry.trace import Span, SpanContext, Status, StatusCode
from opentelemetry.util.types import AnyValue, Attributes

from dapr_bridge._tracing import PREFIX, Ids, ids_of_activity, tell_error, tracer


class Driven(Protocol):
    """What knows where the runs of this process stand."""

    def driven_from(self, thread_id: str, namespace: str, *, step: int) -> str:
        """Return the checkpoint after which a superstep runs; empty when not known."""
        ...


def with_node_spans(config: RunnableConfig, driven: Driven) -> RunnableConfig:
    """Return a config under which each execution of a node has a span; as it is where nobody records spans."""
    ids = ids_of_activity()
    return {**config, "callbacks": [NodeSpans(ids, driven)]} if ids else config


class NodeSpans(BaseCallbackHandler):
    """Begins and ends the spans of one activity's nodes.

    It sees what goes into a node and what comes out, and keeps nothing of it.
    """

    # In the task that goes on to run the node: its own spans, and its calls of others, belong to the node's.
    run_inline = True

    def __init__(self, ids: Ids, driven: Driven) -> None:
        self._ids = ids
        self._driven = driven
        self._running: dict[UUID, _NodeSpan] = {}
        self._open: set[str] = set()
        self._attempts: Counter[str] = Counter()

    @property
    def ignore_llm(self) -> bool:
        """Whether to hear nothing of models, their words least of all."""
        return True

    @property
    def ignore_chat_model(self) -> bool:
        """Whether to hear nothing of chat models."""
        return True

    def on_chain_start(
        self,
        serialized: dict[str, Any],
        inputs: dict[str, Any],
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        tags: Sequence[str] | None = None,
        metadata: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        if not metadata or "langgraph_checkpoint_ns" not in metadata or TAG_HIDDEN in (tags or ()):
            return
        node, namespace = str(metadata["langgraph_node"]), str(metadata["langgraph_checkpoint_ns"])
        # What a node calls has its metadata too; it is called otherwise, or while the node runs.
        if kwargs.get("name") != node or namespace in self._open:
            return
        self._open.add(namespace)
        self._attempts[namespace] += 1
        around, step = namespace.rpartition("|")[0], metadata["langgraph_step"]
        ids = {
            **self._ids,
            f"{PREFIX}node": node,
            f"{PREFIX}task_id": namespace.rpartition(":")[2],
            f"{PREFIX}namespace": around,
            f"{PREFIX}step": step,
            f"{PREFIX}attempt": self._attempts[namespace],
        }
        # LangGraph tells it to the saver only.
        checkpoint_id = self._driven.driven_from(self._ids[f"{PREFIX}thread_id"], around, step=step)
        if checkpoint_id:
            ids[f"{PREFIX}checkpoint_id"] = checkpoint_id
        span = tracer().start_span(f"graph.node {node}", attributes=ids)
        self._running[run_id] = _NodeSpan(span, namespace=namespace, around=trace.get_current_span())
        # For the node's own task. It cannot be taken back from within another one, where LangChain tells the end.
        otel.attach(trace.set_span_in_context(self._running[run_id]))

    def on_chain_end(self, outputs: dict[str, Any], *, run_id: UUID, **kwargs: Any) -> None:
        self._end(run_id)

    def on_chain_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        # A question to a person, or a command to the graph around, is no failure.
        self._end(run_id, None if isinstance(error, GraphBubbleUp) else error)

    def _end(self, run_id: UUID, error: BaseException | None = None) -> None:
        span = self._running.pop(run_id, None)
        if span is None:
            return
        if error is not None:
            tell_error(span, error)
        span.end()
        self._open.discard(span.namespace)


class _NodeSpan(Span):
    """A node's span while the node runs, and the one around it afterwards.

    Where LangGraph runs nodes one after the other in one task, and in what a node does after a graph that it has
    called, the last node's span is still the current one; what comes then is not of that node.
    """

    def __init__(self, own: Span, *, namespace: str, around: Span) -> None:
        self.namespace = namespace
        self._span = own
        self._around = around._span if isinstance(around, _NodeSpan) else around

    def end(self, end_time: int | None = None) -> None:
        self._span.end(end_time)
        self._span = self._around

    def get_span_context(self) -> SpanContext:
        return self._span.get_span_context()

    def set_attributes(self, attributes: Mapping[str, AnyValue]) -> None:
        self._span.set_attributes(attributes)

    def set_attribute(self, key: str, value: AnyValue) -> None:
        self._span.set_attribute(key, value)

    def add_event(self, name: str, attributes: Attributes = None, timestamp: int | None = None) -> None:
        self._span.add_event(name, attributes, timestamp)

    def add_link(self, context: SpanContext, attributes: Attributes = None) -> None:
        self._span.add_link(context, attributes)

    def update_name(self, name: str) -> None:
        self._span.update_name(name)

    def is_recording(self) -> bool:
        return self._span.is_recording()

    def set_status(self, status: Status | StatusCode, description: str | None = None) -> None:
        self._span.set_status(status, description)

    def record_exception(
        self,
        exception: BaseException,
        attributes: Attributes = None,
        timestamp: int | None = None,
        escaped: bool = False,  # noqa: FBT001, FBT002 - OpenTelemetry's
    ) -> None:
        self._span.record_exception(exception, attributes, timestamp, escaped)
