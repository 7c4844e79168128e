"""`python -m tests.parity`: run LangGraph's own tests through the bridge and write docs/parity.md."""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

from rich.console import Console

from tests.parity.hosting import UNITS
from tests.parity.langgraph_suite.report import Comparison, write_report
from tests.parity.langgraph_suite.run import NoTestEndedError, TestEnd, log_of, run_suite

_PAGE = Path("docs", "parity.md")
_WAYS = {
    "native": "as they are",
    "saver": "with DaprSaver, in LangGraph's own loop",
    **{unit: f"through the bridge, unit {unit}" for unit in UNITS},
}


def main() -> None:
    """Run them in every way, one after the other, or only what the arguments say."""
    options = _parser().parse_args()
    ways = [options.only] if options.only else list(_WAYS)
    try:
        ends = {how: _run(how, select=options.select) for how in ways}
    except NoTestEndedError as error:
        raise SystemExit(str(error)) from error
    if options.only or options.select:
        _say_what_failed(ends)
        return
    saver, *units = (Comparison(native=ends["native"], routed=ends[how]) for how in ("saver", *UNITS))
    text = write_report(release=version("langgraph"), units=dict(zip(UNITS, units, strict=True)), saver=saver)
    options.output.write_text(text)
    say(f"Written to {options.output}")


def _parser() -> argparse.ArgumentParser:
    description = (
        "Run LangGraph's own tests, of its source archive, in four ways, and write docs/parity.md: 12 minutes."
    )
    parser = argparse.ArgumentParser(
        prog="python -m tests.parity", description=description, epilog="With --only or --select no page is written."
    )
    ways = "; ".join(f"{how}: {told}" for how, told in _WAYS.items())
    parser.add_argument("--only", choices=list(_WAYS), help=f"run them in one way only ({ways})")
    parser.add_argument("--select", default="", metavar="EXPRESSION", help="run some of them: pytest's -k")
    parser.add_argument("--output", type=Path, default=_PAGE, help="where the page goes (default: %(default)s)")
    return parser


def _say_what_failed(ends: Mapping[str, Mapping[str, TestEnd]]) -> None:
    for how, by_test in ends.items():
        for end in by_test.values():
            if end.outcome == "failed":
                say(f"{how}: {end.test}: {end.error}")


def _run(how: str, *, select: str) -> dict[str, TestEnd]:
    say(f"LangGraph's own tests {_WAYS[how]}: some minutes; what pytest says goes to {log_of(how)}")
    began = time.monotonic()
    ends = run_suite(how, select=select)
    counts = Counter(each.outcome for each in ends.values())
    outcomes = ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items()))
    say(f"  {outcomes}, in {(time.monotonic() - began) / 60:.0f} min")
    return ends


def say(text: str) -> None:
    """Print a line."""
    Console().print(text, highlight=False, soft_wrap=True)


if __name__ == "__main__":
    main()
