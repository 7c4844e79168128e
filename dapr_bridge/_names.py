"""Names that workflow history records: a contract with runs in flight, added to and never renamed."""

from __future__ import annotations


def run_activity(graph: str) -> str:
    """Name of the activity that runs a graph up to its end or an interrupt (unit `run`)."""
    return f"{graph}.run"


def graph_workflow(graph: str) -> str:
    """Name of the workflow that runs a graph on its own, for `DurableGraph`."""
    return f"graph.{graph}"


RUN_METADATA = "dapr_run"
"""Checkpoint metadata that names the run which wrote the checkpoint, and so tells that its input is applied."""
