"""Why some of LangGraph's own tests fail through the bridge: each failure is looked into and has its reason here."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tests.parity.langgraph_suite.run import TestEnd

UNKNOWN = "not looked into yet"


@dataclass(frozen=True)
class Reason:
    """A reason, and how to know it: by the test's name, by its error, or both."""

    text: str
    test: str = ""
    error: str = ""

    def explains(self, end: TestEnd) -> bool:
        """Tell whether it is this one."""
        return bool(re.search(self.test, end.test)) and bool(re.search(self.error, end.error))


REASONS = (
    Reason(
        "a node drains its caller's own `RunControl`, which only a test can, for the caller is elsewhere: the wish is "
        "still on its way when the next superstep begins",
        test="test_drain_from_subgraph_can_resume_parent|test_drain_requested_inside_first_node",
    ),
    Reason(
        "callbacks of the caller stay with the caller, to which the run is one step: they hear of no node",
        test="test_send_to_nested_graphs|test_imp_task\\b|test_imp_exception",
    ),
    Reason(
        "leaving a stream leaves the run alone, for its caller may have been killed: `acancel(run_id)` ends it",
        test="test_cancel_graph_astream",
    ),
    Reason(
        "measures to a tenth of a second when events come: a run's first event comes later through a workflow",
        test="stream_subgraphs_during_execution|stream_buffering_single_node",
    ),
    Reason(
        "looks into LangGraph's saver in memory: its dictionaries, or which of its methods are called",
        test="snapshot_version_based|in_the_order_given|anever_written",
    ),
    Reason(
        "`DaprSaver` shows a `DeltaChannel`'s snapshot in the checkpoint that wrote it only; LangGraph's saver in "
        "memory shows it in later ones too",
        test="counter_reset_after_supersteps",
    ),
    Reason(
        "makes a saver fail: the bridge calls the asynchronous methods, and names what cannot be kept in its own error",
        test="test_checkpoint_errors",
    ),
    Reason(
        "a task that is run again from an earlier checkpoint writes more than before: the first complete list of its "
        "writes wins as a whole, LangGraph's saver in memory mixes both",
        test="addressed_resume_keeps_a_rerun_tasks_write",
    ),
)


def reason_of(end: TestEnd) -> str:
    """Return why a test fails."""
    return next((each.text for each in REASONS if each.explains(end)), UNKNOWN)
