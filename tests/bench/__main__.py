"""Measure the bridge and the desk, and write docs/benchmarks.md with its plots."""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from dapr_bridge.testing import ControlPlane
from tests.bench import desk as desk_bench
from tests.bench.bridge import Sizes, measure_bridge
from tests.bench.figures import Figure, Section, figures_section, write_page
from tests.bench.graphs import measure_graphs
from tests.kit.desk_stack import PROJECT, DeskStack
from tests.kit.knowledge_gate import knowledge_gate

console = Console()


def main() -> None:
    """Measure what is asked for, showing each figure as it comes; sections that are not measured stay on the page."""
    arguments = _parser().parse_args()
    sizes = Sizes(
        chains=arguments.chains,
        fans=arguments.fans,
        ballasts=arguments.sizes,
        replays=arguments.replays,
        repeats=arguments.repeats,
        longest_plain=arguments.longest_plain,
    )
    with tempfile.TemporaryDirectory(prefix="bench-") as name, ControlPlane(Path(name) / "plane") as plane:
        folder = Path(name)
        if arguments.only in (None, "bridge"):
            plots = arguments.output.parent / "plots"
            with console.status("the bridge"):
                sections = asyncio.run(measure_bridge(folder / "bridge", plane, sizes, plots=plots, say=say))
            write_page(arguments.output, sections)
        if arguments.only in (None, "desk"):
            with console.status("the desk"):
                write_page(arguments.output, measure_desk(folder, plane))
    say(f"Written to {arguments.output}")


def _parser() -> argparse.ArgumentParser:
    usual = Sizes()
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__, epilog="Numbers are separated by commas.")
    parser.add_argument("--only", choices=["bridge", "desk"], help="measure only one of the two")
    parser.add_argument("--chains", type=_numbers, default=usual.chains, help="lengths of chains, in supersteps")
    parser.add_argument("--fans", type=_numbers, default=usual.fans, help="widths of fan-outs, in tasks")
    parser.add_argument("--sizes", type=_numbers, default=usual.ballasts, help="sizes of the state, in bytes")
    parser.add_argument("--replays", type=_numbers, default=usual.replays, help="lengths of histories, in activities")
    parser.add_argument(
        "--repeats", type=int, default=usual.repeats, help="runs of each; long ones three, and long plain ones once"
    )
    parser.add_argument(
        "--longest-plain", type=int, default=usual.longest_plain, help="longest chain of plain activities"
    )
    parser.add_argument("--output", type=Path, default=PROJECT / "docs" / "benchmarks.md", help="where the page goes")
    return parser


def _numbers(text: str) -> Sequence[int]:
    return tuple(int(each) for each in text.split(","))


def measure_desk(folder: Path, plane: ControlPlane) -> list[Section]:
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
    text = "Over REST, with a real daprd, the knowledge base over MCP and the offline model."
    return [
        figures_section("The desk", text, figures),
        figures_section("Memory", "After 100 tickets at once.", memory),
    ]


def show(figures: list[Figure]) -> list[Figure]:
    """Print figures as they come."""
    for each in figures:
        say(f"{each.what}: [bold]{each.value}[/bold]" + (f" (aim: {each.aim})" if each.aim else ""))
    return figures


def say(text: str) -> None:
    """Print a line above what shows the progress."""
    console.print(text, highlight=False)


if __name__ == "__main__":
    main()
