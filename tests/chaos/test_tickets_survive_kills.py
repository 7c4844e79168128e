"""SIGKILL of every process at every stage of a ticket: it ends as if nothing had happened.

Proved at the far end: the offline model counts its calls by node and task, a gate before the knowledge base counts
queries, the outbox counts messages. Only what was in flight in a killed process may have been paid for twice.
"""

from __future__ import annotations

import itertools
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from dapr_bridge.testing import ControlPlane
from tests.kit.desk_stack import DeskStack, events_of_solved
from tests.kit.knowledge_gate import KnowledgeGate, knowledge_gate

pytestmark = pytest.mark.chaos

VICTIMS = ["app", "daprd", "placement", "scheduler", "knowledge base"]
STAGES = ["triage", "between two queries", "analysis", "waiting for approval", "notifying"]

# The model call that is in flight at a stage; the Conversation API names no node.
IN_FLIGHT = {"triage": "triage.assess", "analysis": "expert.write_analysis", "notifying": None}
NODES = [
    "triage.request_lookups",
    "triage.assess",
    "expert.plan_queries",
    "expert.review_results",
    "expert.write_analysis",
]
HELD = "configuration"

numbers = itertools.count(1)


@dataclass(kw_only=True)
class Scene:
    """The whole desk, behind a gate."""

    desk: DeskStack
    plane: ControlPlane
    gate: KnowledgeGate

    def kill(self, victim: str) -> None:
        """End a process with SIGKILL and start it again at once."""
        processes = {
            "app": self.desk.app,
            "daprd": self.desk.sidecar.process,
            "placement": self.plane.placement,
            "scheduler": self.plane.scheduler,
            "knowledge base": self.desk.knowledge_base,
        }
        processes[victim].kill()
        processes[victim].start()
        if victim == "app":
            self.desk.app.wait_for_http(f"{self.desk.url}/health")

    def deliveries(self, ticket_id: str) -> int:
        """How many messages the outbox holds for a ticket."""
        with sqlite3.connect(f"{self.desk.folder}/desk.db") as database:
            return database.execute("SELECT count(*) FROM deliveries WHERE ticket_id = ?", [ticket_id]).fetchone()[0]

    def messages_sent(self, ticket_id: str) -> int:
        """How many messages went out through the delivery channel."""
        lines = self.desk.app.text().splitlines()
        return sum("customer notified" in line and f"ticket_id={ticket_id} " in f"{line} " for line in lines)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """One desk for all kills; each test has a ticket of its own."""
    folder: Path = tmp_path_factory.mktemp("chaos")
    with ControlPlane(folder / "plane") as plane, knowledge_gate() as gate:
        settings = {"KNOWLEDGE_BASE_URL": f"{gate.url}/mcp"}
        desk = DeskStack(folder=folder / "desk", control_plane=plane, settings=settings)
        gate.lead_to(f"http://127.0.0.1:{desk.knowledge_port}")
        with desk:
            yield Scene(desk=desk, plane=plane, gate=gate)


@pytest.fixture(autouse=True)
def clean_counts(scene: Scene) -> Iterator[None]:
    """Count from zero, and leave no fault behind."""
    scene.plane.wait_until_healthy()
    scene.desk.wait_until_ready()
    scene.desk.forget_calls()
    scene.gate.forget()
    yield
    scene.gate.release()
    scene.desk.forget_faults()


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("victim", VICTIMS)
@pytest.mark.timeout(180)
def test_a_ticket_ends_as_if_nothing_had_happened(scene: Scene, victim: str, stage: str) -> None:
    desk, ticket_id = scene.desk, f"KILL-{next(numbers)}"
    bring_to = {
        "triage": at_triage,
        "between two queries": between_two_queries,
        "analysis": at_analysis,
        "waiting for approval": waiting_for_approval,
        "notifying": notifying,
    }
    answered_before = bring_to[stage](scene, ticket_id)

    scene.kill(victim)
    scene.gate.release()
    if stage != "notifying":
        desk.wait_for_stage(ticket_id, "awaiting_approval", seconds=120)
        approve(desk, ticket_id)
    ticket = desk.wait_for_stage(ticket_id, "solved", seconds=120)

    assert ticket["notification"]["fallback"] is False
    assert scene.deliveries(ticket_id) == scene.messages_sent(ticket_id) == 1
    assert model_calls(desk) == expected_calls(victim, stage, model_calls(desk))
    assert_queries_not_repeated(scene, victim, stage, answered_before)
    assert desk.events(ticket_id) == events_of_solved(queries=3)


@pytest.mark.timeout(180)
def test_everything_is_stopped_while_a_ticket_waits_and_started_again(scene: Scene) -> None:
    desk, ticket_id = scene.desk, f"STOP-{next(numbers)}"
    waiting_for_approval(scene, ticket_id)
    everything = [desk.app, desk.sidecar.process, desk.knowledge_base, scene.plane.placement, scene.plane.scheduler]

    for process in everything:
        process.stop()
    for process in reversed(everything):
        process.start()
    desk.wait_until_ready()
    approve(desk, ticket_id)
    desk.wait_for_stage(ticket_id, "solved", seconds=120)

    assert scene.deliveries(ticket_id) == scene.messages_sent(ticket_id) == 1
    assert model_calls(desk) == dict.fromkeys([*NODES, None], 1)
    assert set(scene.gate.answered.values()) == {1}


@pytest.mark.timeout(180)
def test_an_accepted_ticket_is_not_lost_when_everything_is_killed_the_next_instant(scene: Scene) -> None:
    desk, ticket_id = scene.desk, f"LOST-{next(numbers)}"
    everything = [desk.app, desk.sidecar.process, desk.knowledge_base, scene.plane.placement, scene.plane.scheduler]

    desk.file(ticket_id)
    for process in everything:
        process.kill()
    for process in reversed(everything):
        process.start()
    desk.wait_until_ready()
    desk.wait_for_stage(ticket_id, "awaiting_approval", seconds=120)

    approve(desk, ticket_id)
    desk.wait_for_stage(ticket_id, "solved", seconds=120)
    assert scene.deliveries(ticket_id) == scene.messages_sent(ticket_id) == 1


# ----- bringing a ticket to the point where something is killed -----------------------------------------------------


def at_triage(scene: Scene, ticket_id: str) -> Counter[tuple[str, str]]:
    scene.desk.order_fault("slow", count=1, node="triage.assess", seconds=2)
    scene.desk.file(ticket_id)
    wait_for_call(scene.desk, "triage.assess")
    return scene.gate.answered


def between_two_queries(scene: Scene, ticket_id: str) -> Counter[tuple[str, str]]:
    """One query is held at the gate; the other two are answered, and their results are saved."""
    scene.gate.hold(HELD)
    scene.desk.file(ticket_id)
    scene.gate.wait_until_held(HELD)
    scene.desk.wait_for_ticket(ticket_id, lambda ticket: queries_done(ticket) == 2, what="two queries to be saved")
    return scene.gate.answered


def at_analysis(scene: Scene, ticket_id: str) -> Counter[tuple[str, str]]:
    scene.desk.order_fault("slow", count=1, node="expert.write_analysis", seconds=2)
    scene.desk.file(ticket_id)
    wait_for_call(scene.desk, "expert.write_analysis")
    return scene.gate.answered


def waiting_for_approval(scene: Scene, ticket_id: str) -> Counter[tuple[str, str]]:
    scene.desk.file(ticket_id)
    scene.desk.wait_for_stage(ticket_id, "awaiting_approval")
    return scene.gate.answered


def notifying(scene: Scene, ticket_id: str) -> Counter[tuple[str, str]]:
    answered = waiting_for_approval(scene, ticket_id)
    scene.desk.order_fault("slow", count=1, seconds=2)
    approve(scene.desk, ticket_id)
    wait_for_call(scene.desk, None)
    return answered


def approve(desk: DeskStack, ticket_id: str) -> None:
    """Approve as a client does: again while Dapr is away."""
    body = {"approved": True, "solution_digest": desk.ticket(ticket_id)["solution_digest"]}
    until(lambda: desk.post(f"/support/approve/{ticket_id}", body).status == 200, "the approval to be taken")


# ----- counting at the far end ----------------------------------------------------------------------------------------


def model_calls(desk: DeskStack) -> dict[str | None, int]:
    """How often the model was called, by node."""
    return dict(Counter(call["node"] for call in desk.model_calls()))


def expected_calls(victim: str, stage: str, seen: dict[str | None, int]) -> dict[str | None, int]:
    """One call for each node; one more for a call whose answer died with the process that waited for it."""
    wanted: dict[str | None, int] = dict.fromkeys([*NODES, None], 1)
    node = IN_FLIGHT.get(stage, "none in flight")
    # The notification passes through daprd, so its answer dies with daprd too.
    died = victim == "app" or (victim == "daprd" and stage == "notifying")
    if died and node in wanted:
        wanted[node] = min(max(seen.get(node, 0), 1), 2)
    return wanted


def assert_queries_not_repeated(
    scene: Scene, victim: str, stage: str, answered_before: Counter[tuple[str, str]]
) -> None:
    answered = scene.gate.answered
    assert len(answered) == 3
    assert [query for query in answered_before if answered[query] != 1] == []
    if victim == "app" and stage == "between two queries":
        # The held query was in flight in the killed process.
        assert {query[0]: count for query, count in scene.gate.arrived.items()}[HELD] == 2
    else:
        assert set(answered.values()) == {1}


def queries_done(ticket: dict[str, object]) -> int:
    queries = ticket.get("queries") or []
    assert isinstance(queries, list)
    return sum(bool(query["done"]) for query in queries)


def wait_for_call(desk: DeskStack, node: str | None) -> None:
    """Wait until a call of a node is being answered."""
    until(
        lambda: any(call["node"] == node and call["status"] is None for call in desk.model_calls()),
        f"a call of {node}",
    )


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, f"waited for {what}"
        time.sleep(0.02)
