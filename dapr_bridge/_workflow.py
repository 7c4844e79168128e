"""The workflow that runs a graph on its own; replayed from history, it runs no graph code."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

from dapr.ext.workflow import DaprWorkflowContext

from dapr_bridge import _names
from dapr_bridge._wire import RunRequest


def graph_workflow(name: str) -> Callable[[DaprWorkflowContext, dict[str, Any]], Generator[Any, Any, dict[str, Any]]]:
    """Return the workflow function of one graph."""

    def run_graph(ctx: DaprWorkflowContext, record: dict[str, Any]) -> Generator[Any, Any, dict[str, Any]]:
        request = RunRequest.from_json(record)
        outcome: dict[str, Any] = yield ctx.call_activity(_names.run_activity(name), input=request.to_json())
        return outcome

    return run_graph
