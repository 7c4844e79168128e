"""`make bench` measures the bridge on a real daprd, at tiny sizes: that it runs, not how fast anything is."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

TINY = [
    "--only",
    "bridge",
    "--chains",
    "1,2",
    "--fans",
    "2,3",
    "--sizes",
    "0,1000",
    "--replays",
    "1,2",
    "--repeats",
    "1",
]


def test_the_bridge_is_measured_drawn_and_written_beside_what_stands_on_the_page(tmp_path: Path) -> None:
    page = tmp_path / "benchmarks.md"
    page.write_text("# Benchmarks\n\n## The desk\n\nas it was\n\n## The bridge: chains\n\nout of date\n")

    command = [sys.executable, "-m", "tests.bench", *TINY, "--output", str(page)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)

    assert ended.returncode == 0, ended.stderr
    text = page.read_text()
    headings = [line.removeprefix("## ") for line in text.splitlines() if line.startswith("## ")]
    assert headings == [
        "The desk",
        "The bridge: chains",
        "The bridge: aims",
        "The bridge: fan-outs",
        "The bridge: what a superstep costs",
        "The bridge: what a task costs",
        "The bridge: replay",
    ]
    assert "as it was" in text
    assert "out of date" not in text
    assert "unit `run`, each superstep beyond 1, up to 2, over all sizes of the state" in text
    # Each chain is measured in all ways, and the figures come live.
    assert ended.stdout.count("chain of 2, state 0 B: plain Dapr activity") == 1
    pictures = {each.name for each in (tmp_path / "plots").iterdir()}
    assert pictures == {"chains.svg", "fans.svg", "superstep.svg", "task.svg", "replay.svg"}
    assert all(f"(plots/{name})" in text for name in pictures)
    for name in pictures:
        begins = re.findall(r'<text [^>]*\bx="([-\d.]+)"', (tmp_path / "plots" / name).read_text())
        assert min(map(float, begins)) >= 0, f"{name}: a name is cut off"
