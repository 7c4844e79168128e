"""`python -m tests.parity`: run LangGraph's own tests through the bridge and write docs/parity.md."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

from tests.parity.hosting import UNITS
from tests.parity.langgraph_suite.report import Comparison, write_report
from tests.parity.langgraph_suite.run import run_suite

native = run_suite("native")
saver = Comparison(native=native, routed=run_suite("saver"))
units = {unit: Comparison(native=native, routed=run_suite(unit)) for unit in UNITS}
Path("docs", "parity.md").write_text(write_report(release=version("langgraph"), units=units, saver=saver))
