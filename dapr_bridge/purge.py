"""Entry point: `python -m dapr_bridge.purge --store execution-state --older-than 30d`, beside a sidecar of the app."""

from __future__ import annotations

import argparse
import asyncio
import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import timedelta

from dapr_bridge.errors import BridgeError
from dapr_bridge.purging import PurgeReport, purge_threads
from dapr_bridge.saver import DaprSaver

_UNITS = {"w": "weeks", "d": "days", "h": "hours", "m": "minutes", "s": "seconds"}
_AGE = re.compile(r"(\d+)([wdhms])")

_DESCRIPTION = """Delete LangGraph threads that nobody has used for long, with their checkpoints, and the workflow
histories, values and leases of their runs. Without --yes nothing is deleted, and what would be is told. Threads whose
runs go on, or wait for an answer, stay. A worker of the app has to be connected to a sidecar."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Purge, and tell what was done."""
    given = _parser().parse_args(arguments)
    try:
        report = asyncio.run(_purge(given))
    except BridgeError as error:
        sys.stderr.write(f"purge: {error}\n")
        return 1
    sys.stdout.write("\n".join(_lines(report)) + "\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m dapr_bridge.purge", description=_DESCRIPTION)
    parser.add_argument("--store", required=True, help="the state store component of the threads")
    parser.add_argument("--address", metavar="HOST:PORT", help="the sidecar's gRPC address; Dapr's settings by default")
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument(
        "--older-than", type=_age, metavar="AGE", help="threads that were not used for so long: 30d, 12h, 2w, 45m, 90s"
    )
    which.add_argument(
        "--thread",
        action="append",
        default=[],
        metavar="ID",
        help="this thread, whatever it waits for, unless a run has it just now; may be given several times",
    )
    parser.add_argument("--yes", action="store_true", help="delete, in place of telling what would be deleted")
    return parser


def _age(text: str) -> timedelta:
    match = _AGE.fullmatch(text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no age: a number and one of w, d, h, m, s, such as 30d")
    try:
        return timedelta(**{_UNITS[match[2]]: int(match[1])})
    except OverflowError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is longer than any time: {error}") from error


async def _purge(given: argparse.Namespace) -> PurgeReport:
    with DaprSaver(given.store, address=given.address) as saver:
        return await purge_threads(
            saver=saver, older_than=given.older_than, threads=given.thread, dry_run=not given.yes
        )


def _lines(report: PurgeReport) -> Iterator[str]:
    verb = "would be deleted" if report.is_dry_run else "deleted"
    for each in report.threads:
        used = f"last used {each.ended_at:%Y-%m-%d %H:%M} UTC" if each.ended_at else "of no known workflow"
        yield f"thread {each.thread_id!r}: {used}, {_count(each.checkpoints, 'checkpoint')}"
    checkpoints = sum(each.checkpoints for each in report.threads)
    yield (
        f"{verb}: {_count(len(report.threads), 'thread')} with {_count(checkpoints, 'checkpoint')}, "
        f"{_count(len(report.workflows), 'workflow history', 'workflow histories')} with "
        f"{_count(report.events, 'event')} of {report.event_bytes / 1000:,.1f} kB, "
        f"{_count(report.values, 'value')} by reference"
    )
    for reason, number in sorted(Counter(report.kept.values()).items()):
        yield f"kept: {_count(number, 'thread')}, {reason}"
    if report.is_dry_run:
        yield "This was a dry run, and nothing was deleted; --yes deletes."


def _count(number: int, one: str, several: str = "") -> str:
    return f"{number} {one if number == 1 else several or one + 's'}"


if __name__ == "__main__":
    sys.exit(main())
