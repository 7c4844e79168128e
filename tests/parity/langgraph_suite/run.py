"""Run LangGraph's own tests in a process of their own, and read how each ended."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.parity.langgraph_suite.source import CACHE, provide_suite

_HOME = Path(__file__).resolve().parents[3]
_TAIL_LINES = 20

# What LangGraph's tests import beside LangGraph; no part of this project, so none of its lock.
_NEEDS = (
    "httpx",
    "langgraph-checkpoint-postgres",
    "psycopg[binary,pool]",
    "pycryptodome",
    "pytest-mock",
    "redis",
    "requests",
    "syrupy",
)


class NoTestEndedError(Exception):
    """Pytest could not begin, or none of the tests is chosen."""


@dataclass(frozen=True, kw_only=True)
class TestEnd:
    """How one of LangGraph's tests ended.

    Attributes:
        test: its node id.
        outcome: passed, failed, skipped.
        calls: how many calls of a graph went through the bridge.
        left_out: what of it means nothing in a durable run.
        error: type and message of what failed it.
    """

    __test__ = False

    test: str
    outcome: str
    calls: int
    left_out: Sequence[str]
    error: str

    @property
    def file(self) -> str:
        """The file it is in."""
        return Path(self.test.split("::")[0]).name


def run_suite(how: str, *, select: str = "", seconds: int = 120) -> dict[str, TestEnd]:
    """Run the suite and return how each test ended.

    Args:
        how: `native`, `saver` or a unit, see the plugin.
        select: what to run of it, in pytest's `-k` language.
        seconds: how long a test may take.

    Raises:
        NoTestEndedError: pytest could not begin, or `select` chooses none.
    """
    uv = subprocess.run(
        ["sh", "local/provide-uv.sh"], cwd=_HOME, check=True, capture_output=True, text=True
    ).stdout.strip()
    # The savers in SQLite give way to the same saver of ours as the one in memory.
    chosen = f"not sqlite and ({select})" if select else "not sqlite"
    suite = provide_suite()
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "log")
        command = [
            *(uv, "run", "--project", str(_HOME), "--no-sync", *(f"--with={each}" for each in _NEEDS)),
            *(
                "python",
                "-m",
                "pytest",
                "-q",
                "--tb=no",
                "-p",
                "no:cacheprovider",
                "-p",
                "parity.langgraph_suite.plugin",
            ),
            *(f"--timeout={seconds}", "-k", chosen, "tests"),
        ]
        with log_of(how).open("w") as output:
            environment = _environment(how, log)
            subprocess.run(command, cwd=suite, env=environment, check=False, stdout=output, stderr=subprocess.STDOUT)
        if not log.exists():
            raise NoTestEndedError("no test ended; pytest said:\n" + _tail(log_of(how)))
        return _read(log)


def log_of(how: str) -> Path:
    """Return where pytest's output goes."""
    return _HOME / CACHE / f"{how}.log"


def _tail(log: Path) -> str:
    return "\n".join(log.read_text().splitlines()[-_TAIL_LINES:])


def _environment(how: str, log: Path) -> Mapping[str, str]:
    return {
        **os.environ,
        "NO_DOCKER": "true",
        "PARITY_LOG": str(log),
        "PARITY_ROUTE": how,
        "PYTHONPATH": str(_HOME / "tests"),
    }


def _read(log: Path) -> dict[str, TestEnd]:
    records: list[dict[str, Any]] = [json.loads(line) for line in log.read_text().splitlines()]
    return {each["test"]: TestEnd(**each) for each in records}
