"""`python -m tests.parity`: run LangGraph's own tests through the bridge and write docs/parity.md."""

from __future__ import annotations

import time
from collections import Counter
from importlib.metadata import version
from pathlib import Path

from rich.console import Console

from tests.parity.hosting import UNITS
from tests.parity.langgraph_suite.report import Comparison, write_report
from tests.parity.langgraph_suite.run import TestEnd, log_of, run_suite

_PAGE = Path("docs", "parity.md")
_ROUTES = {
    "native": "as they are",
    "saver": "with DaprSaver, in LangGraph's own loop",
    **{unit: f"through the bridge, unit {unit}" for unit in UNITS},
}


def main() -> None:
    """Run them in every way, one after the other."""
    ends = {how: _run(how, told) for how, told in _ROUTES.items()}
    saver, *units = (Comparison(native=ends["native"], routed=ends[how]) for how in ("saver", *UNITS))
    text = write_report(release=version("langgraph"), units=dict(zip(UNITS, units, strict=True)), saver=saver)
    _PAGE.write_text(text)
    say(f"Written to {_PAGE}")


def _run(how: str, told: str) -> dict[str, TestEnd]:
    say(f"LangGraph's own tests {told}: some minutes; what pytest says goes to {log_of(how)}")
    began = time.monotonic()
    ends = run_suite(how)
    counts = Counter(each.outcome for each in ends.values())
    outcomes = ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items()))
    say(f"  {outcomes}, in {(time.monotonic() - began) / 60:.0f} min")
    return ends


def say(text: str) -> None:
    """Print a line."""
    Console().print(text, highlight=False, soft_wrap=True)


if __name__ == "__main__":
    main()
