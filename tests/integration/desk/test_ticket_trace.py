"""A ticket as one OpenTelemetry trace, as a collector gets it from a desk that is told of one and of nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from dapr_bridge.testing import ControlPlane
from tests.kit.desk_stack import DeskStack
from tests.kit.otlp_receiver import OtlpReceiver, Sent, otlp_receiver

DESCRIPTION = "Service invocation fails with ERR_DIRECT_INVOKE after the upgrade to Dapr 1.16, says Ada Byron."
GRAPHS = {
    "triage": {"request_lookups", "lookup_customer", "lookup_system_info", "check_entitlement", "assess", "report"},
    "expert": {"recall_tickets", "plan_queries", "query_knowledge_base", "review_results", "write_analysis"},
}
"""The nodes that such a ticket goes through."""


@pytest.fixture
def receiver() -> Iterator[OtlpReceiver]:
    """A collector."""
    with otlp_receiver() as running:
        yield running


@pytest.fixture
def stack(
    control_plane: ControlPlane, receiver: OtlpReceiver, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[DeskStack]:
    """A desk with OpenTelemetry's own variables set."""
    settings = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url,
        "OTEL_SERVICE_NAME": "desk",
        # Sent soon: the test waits for it.
        "OTEL_BSP_SCHEDULE_DELAY": "200",
    }
    with DeskStack(tmp_path_factory.mktemp("traced-desk"), control_plane, settings) as stack:
        yield stack


def finished(spans: Sequence[Sent]) -> set[str]:
    """Return the graphs whose last activity has ended; their other spans have ended before."""
    ended = [each for each in spans if each.attributes.get("dapr_bridge.status") == "finished"]
    return {each.attributes["dapr_bridge.graph"] for each in ended if each.name.startswith("graph.advance ")}


def nodes_of(graph: str, spans: Sequence[Sent]) -> set[str]:
    """Return the nodes of a graph that have spans."""
    nodes = [each.attributes for each in spans if each.name.startswith("graph.node ")]
    return {each["dapr_bridge.node"] for each in nodes if each["dapr_bridge.graph"] == graph}


def test_a_ticket_is_one_trace_from_the_request_over_both_graphs_to_their_nodes(
    stack: DeskStack, receiver: OtlpReceiver
) -> None:
    stack.file("traced-1", description=DESCRIPTION)
    stack.wait_for_stage("traced-1", "awaiting_approval")
    sent = receiver.wait_for(lambda spans: finished(spans) >= GRAPHS.keys())

    (request,) = [each for each in sent if each.name == "POST /support/ticket"]
    spans = [each for each in sent if each.trace_id == request.trace_id]
    known = {each.span_id for each in spans}
    assert request.parent_id == ""
    assert {each.parent_id for each in spans if each is not request} <= known
    for graph, nodes in GRAPHS.items():
        assert [each.name for each in spans].count(f"graph.run {graph}") == 1
        assert nodes_of(graph, spans) == nodes
    assert [each for each in sent if each.name.startswith("graph.") and each not in spans] == []
    assert {each.service for each in spans} == {"desk"}
    assert not [each for each in sent if "Ada Byron" in each.text]
