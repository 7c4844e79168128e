"""How a workflow's code reaches the serializer of the worker that it runs on: by its context."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from dapr.ext.workflow import DaprWorkflowContext, WorkflowRuntime
from langgraph.checkpoint.serde.base import SerializerProtocol

from dapr_bridge._langgraph import KeepingSerializer

Workflow = Callable[..., Any]


class ServedContext(DaprWorkflowContext):
    """A workflow's context that knows the worker's serializer.

    Args:
        ctx: the context that the SDK has made.
        serde: the serializer.
    """

    def __init__(self, ctx: DaprWorkflowContext, serde: SerializerProtocol) -> None:
        vars(self).update(vars(ctx))
        self.serde = serde


class ServedRuntime(WorkflowRuntime):
    """A workflow runtime that gives a `ServedContext` to each workflow.

    Args:
        serde: the serializer.
        given: what the SDK's runtime takes.
    """

    def __init__(self, serde: SerializerProtocol, **given: Any) -> None:
        super().__init__(**given)
        self._serde = serde

    def register_workflow(self, fn: Workflow, *, name: str | None = None) -> None:
        """Register a workflow, as the SDK's runtime does."""
        served = self._served(fn)
        super().register_workflow(served, name=name)
        _copy_marks(served, fn)

    def register_versioned_workflow(
        self, fn: Workflow, *, name: str, version_name: str | None = None, is_latest: bool
    ) -> None:
        """Register one version of a workflow, as the SDK's runtime does."""
        served = self._served(fn)
        super().register_versioned_workflow(served, name=name, version_name=version_name, is_latest=is_latest)
        _copy_marks(served, fn)

    def _served(self, fn: Workflow) -> Workflow:
        @functools.wraps(fn)
        def run(ctx: DaprWorkflowContext, *given: Any) -> Any:
            return fn(ServedContext(ctx, self._serde), *given)

        return run


def serde_around(ctx: DaprWorkflowContext) -> SerializerProtocol:
    """Return the serializer of the worker that runs a workflow; outside a `GraphWorker`, the one for the wire."""
    return ctx.serde if isinstance(ctx, ServedContext) else wire_serde()


def wire_serde() -> SerializerProtocol:
    """Return the serializer that writes what a workflow sends: any reader knows how to read it."""
    return KeepingSerializer(allowed_msgpack_modules=None)


def _copy_marks(served: Workflow, fn: Workflow) -> None:
    """Leave the SDK's marks on the function itself, by which it is known when somebody starts it."""
    vars(fn).update({name: mark for name, mark in vars(served).items() if name != "__wrapped__"})
