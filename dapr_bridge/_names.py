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


NAMED_CALLS = "dapr_bridge:named-calls"
"""Patch of a workflow whose calls without a run id are given one by an activity, and no longer by their own."""

RUN_METADATA = "dapr_run"
"""Metadata of a config that name its run; the saver keeps it with each checkpoint, to tell whose input is applied."""
