"""What can be seen of a ticket while its queries are being asked."""

from collections.abc import Iterator

import pytest

from dapr_bridge.testing import ControlPlane
from tests.kit.desk_stack import DeskStack
from tests.kit.knowledge_gate import KnowledgeGate, knowledge_gate


@pytest.fixture
def gate() -> Iterator[KnowledgeGate]:
    """A gate before the knowledge base."""
    with knowledge_gate() as gate:
        yield gate


@pytest.fixture
def stack(
    control_plane: ControlPlane, gate: KnowledgeGate, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[DeskStack]:
    """A desk that asks through the gate."""
    settings = {"KNOWLEDGE_BASE_URL": f"{gate.url}/mcp"}
    stack = DeskStack(tmp_path_factory.mktemp("gated-desk"), control_plane, settings)
    gate.lead_to(f"http://127.0.0.1:{stack.knowledge_port}")
    with stack:
        yield stack


def test_each_query_is_seen_as_soon_as_it_is_answered(stack: DeskStack, gate: KnowledgeGate) -> None:
    gate.hold("configuration")
    stack.file("live-1")
    gate.wait_until_held("configuration")
    seen = stack.wait_for_ticket(
        "live-1",
        lambda ticket: sorted(query["done"] for query in ticket["queries"]) == [False, True, True],
        what="two of three queries",
    )
    assert seen["stage"] == "analysis"
    assert [query["category"] for query in seen["queries"] if not query["done"]] == ["configuration"]
    assert all(query["results"] for query in seen["queries"] if query["done"])
    gate.release()
    waiting = stack.wait_for_stage("live-1", "awaiting_approval")
    assert all(query["done"] for query in waiting["queries"])
