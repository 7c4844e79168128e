"""Names that workflow history records: a contract with runs in flight, added to and never renamed."""

from __future__ import annotations


def advance_activity(graph: str) -> str:
    """Name of the activity that runs a graph as far as its unit lets it: to the end, a question, or a fan-out.

    LangGraph allows no colon in the name of a node, so no node's activity is called like this.
    """
    return f"{graph}:advance"


def naming_activity(graph: str) -> str:
    """Name of the activity that gives a call its default run id."""
    return f"{graph}:name"


def node_activity(graph: str, node: str) -> str:
    """Name of the activity that runs one task of a node (unit `task`)."""
    return f"{graph}.{node}"


def graph_workflow(graph: str) -> str:
    """Name of the workflow that runs a graph on its own, for `DurableGraph`."""
    return f"graph.{graph}"


def tasks_workflow(graph: str) -> str:
    """Name of the workflow that runs the tasks of a wide superstep."""
    return f"graph.{graph}:tasks"


def run_by(graph: str) -> tuple[str, ...]:
    """Names of what is handed a request to run a graph: the activity, and the workflows."""
    return advance_activity(graph), graph_workflow(graph), tasks_workflow(graph)


def superstep_name(instance_id: str, checkpoint_id: str) -> str:
    """Name of what a workflow runs of the superstep that follows a checkpoint; history does not record it."""
    return f"{instance_id}/{checkpoint_id}"


WIDE_SUPERSTEPS = "dapr_bridge:wide-supersteps"
"""Patch of a workflow that leaves the tasks of a wide superstep to a workflow of their own."""

NAMED_CALLS = "dapr_bridge:named-calls"
"""Patch of a workflow whose calls without a run id are given one by an activity, and no longer by their own."""

REFUSED_CALLS = "dapr_bridge:refused-calls"
"""Patch of a workflow whose calls are refused where something in them would be lost, and no longer made without it."""

TYPED_RESULTS = "dapr_bridge:typed-results"
"""Patch of a workflow whose calls give values with their types, and no longer plain data in their place."""

WAKING_EVENT = "dapr_bridge:wake"
"""Event for which no workflow waits: it brings about a turn, and says nothing."""

RUN_METADATA = "dapr_run"
"""Metadata of a config that name its run; the saver keeps it with each checkpoint, to tell whose input is applied."""

CALL_METADATA = "dapr_call"
"""Metadata of a config that name the activity's call, the same at each delivery; the saver keeps it in the same way."""

BRIDGE_METADATA = frozenset({RUN_METADATA, CALL_METADATA})
"""What LangGraph's metadata do not show."""
