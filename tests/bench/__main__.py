"""`python -m tests.bench`: measure the desk, and write docs/benchmarks.md."""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from pathlib import Path

from rich.console import Console

from dapr_bridge.testing import ControlPlane
from tests.bench import desk as desk_bench
from tests.bench.figures import Figure, write_table
from tests.bench.graphs import measure_graphs
from tests.kit.desk_stack import PROJECT, DeskStack
from tests.kit.knowledge_gate import knowledge_gate

console = Console()


def main() -> None:
    """Measure everything, showing each figure as it comes."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--output", type=Path, default=PROJECT / "docs" / "benchmarks.md", help="where the table goes")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-") as name, ControlPlane(Path(name) / "plane") as plane:
        folder = Path(name)
        desk_figures, memory = measure_desk(folder, plane)
    write_table(
        arguments.output,
        [
            (
                "The desk",
                "Over REST, with a real daprd, the knowledge base over MCP and the offline model.",
                desk_figures,
            ),
            ("Memory", "After 100 tickets at once.", memory),
        ],
    )
    console.print(f"Written to {arguments.output}")


def measure_desk(folder: Path, plane: ControlPlane) -> tuple[list[Figure], list[Figure]]:
    """Everything that one desk can show."""
    with knowledge_gate() as gate:
        # The gate stands in the way of one measurement only.
        desk = DeskStack(folder=folder / "desk", control_plane=plane)
        gate.lead_to(f"http://127.0.0.1:{desk.knowledge_port}")
        try:
            desk.start()
            figures = [*show(desk_bench.measure_one_ticket(desk))]
            figures += show(asyncio.run(measure_graphs(desk, folder / "graphs", plane)))
            figures += show(desk_bench.measure_many_tickets(desk))
            memory = show(list(desk_bench.measure_memory(desk)))
            desk.restart_app(KNOWLEDGE_BASE_URL=f"{gate.url}/mcp")
            figures += show(desk_bench.measure_overlap(desk, gate))
        finally:
            desk.stop()
    return figures, memory


def show(figures: list[Figure]) -> list[Figure]:
    """Print figures as they come."""
    for each in figures:
        console.print(f"{each.what}: [bold]{each.value}[/bold]" + (f" (aim: {each.aim})" if each.aim else ""))
    return figures


if __name__ == "__main__":
    main()
