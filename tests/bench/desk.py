"""The desk as its users see it: over REST, with the offline model and the real knowledge base."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psutil

from dapr_bridge.testing import Process
from tests.bench.figures import Figure, milliseconds
from tests.kit.desk_stack import DeskStack
from tests.kit.knowledge_gate import KnowledgeGate

ONE_BY_ONE = 15
AT_ONCE = 100


def measure_one_ticket(desk: DeskStack) -> list[Figure]:
    """From the POST of a ticket to the moment a person can approve, nothing else going on."""
    samples = [time_to_approval(desk, f"ONE-{number}") for number in range(ONE_BY_ONE + 1)]
    return [Figure(what="POST to waiting for approval, one ticket", value=milliseconds(samples[1:]), aim="1.5 s")]


def measure_many_tickets(desk: DeskStack) -> list[Figure]:
    """A hundred tickets posted at once."""
    names, before = [f"MANY-{number}" for number in range(AT_ONCE)], waiting_for_approval(desk)
    began = time.monotonic()
    with ThreadPoolExecutor(20) as pool:
        list(pool.map(desk.file, names))
    posted = time.monotonic() - began
    while waiting_for_approval(desk) < before + AT_ONCE:
        time.sleep(0.25)
    took = time.monotonic() - began
    return [
        Figure(what=f"{AT_ONCE} tickets at once: all accepted after", value=f"{posted:.1f} s"),
        Figure(
            what=f"{AT_ONCE} tickets at once: all wait for approval, none lost",
            value=f"{took:.1f} s, {AT_ONCE / took:.1f} tickets/s",
            aim="5 tickets/s",
        ),
    ]


def measure_overlap(desk: DeskStack, gate: KnowledgeGate) -> list[Figure]:
    """Three queries of 300 ms each, side by side: their wall time against the slowest."""
    gate.delay(0.3)
    ratios = []
    for number in range(5):
        gate.forget()
        time_to_approval(desk, f"OVERLAP-{number}")
        spans = gate.spans
        wall = max(end for _, end in spans) - min(start for start, _ in spans)
        ratios.append(wall / max(end - start for start, end in spans))
    gate.delay(0)
    return [
        Figure(
            what="wall time of the three queries, over the slowest of them (each slowed to 300 ms)",
            value=f"{sorted(ratios)[2]:.2f} (at most {max(ratios):.2f}, n=5)",
            aim="1.5",
        )
    ]


def measure_memory(desk: DeskStack) -> Iterator[Figure]:
    """Resident memory of each process, after all of the above."""
    processes: dict[str, Process] = {
        "API and worker": desk.app,
        "daprd": desk.sidecar.process,
        "placement": desk.control_plane.placement,
        "scheduler": desk.control_plane.scheduler,
        "knowledge base": desk.knowledge_base,
        "offline model": desk.model,
    }
    for name, process in processes.items():
        resident = psutil.Process(process.pid).memory_info().rss
        yield Figure(what=f"resident memory of {name}", value=f"{resident / (1 << 20):.0f} MiB")


def waiting_for_approval(desk: DeskStack) -> int:
    """How many tickets wait for approval; asked seldom, for the answer costs the desk time too."""
    return desk.get("/support/tickets?stage=awaiting_approval&limit=1").body["total"]


def time_to_approval(desk: DeskStack, ticket_id: str) -> float:
    """Seconds from filing a ticket to its waiting for approval."""
    began = time.monotonic()
    desk.file(ticket_id)
    while desk.get(f"/support/status/{ticket_id}").body["stage"] != "awaiting_approval":
        assert time.monotonic() < began + 60, f"{ticket_id} does not arrive"
        time.sleep(0.02)
    return time.monotonic() - began
