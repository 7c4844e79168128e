"""docs/chaos.md: what was killed, when, on what, and what came of it."""

from __future__ import annotations

import os
import platform
import statistics
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from tests.chaos.bridge.trial import Outcome

_INTRODUCTION = """# Chaos

Written by `make chaos`. One graph (a chain, three Sends, a subgraph, two questions side by side, answered one after the
other by external events) runs in a workflow on a real daprd, while processes are ended with SIGKILL and started again at
once. The moments are chosen, not hit by luck: every request of the worker to its sidecar passes through a proxy that knows
what it is, and stops it before it arrives, or keeps back its answer, until the kill is done. *Before writes* is a task's
writes on their way to the sidecar; *after acknowledgement* is an activity that daprd has taken for done while its worker does
not know yet; *in a node* is a node that is running.

| | |
|---|---|
| wrong | the workflow did not finish, or the thread's history (steps, next nodes, values) is not that of `ainvoke` with a saver in memory |
| repeated | a node ran again, by the count of the server that it calls, although its writes were saved at the time of the kill |
| mixed | two channels of one task hold the writes of two of its runs |
| seconds | from the kill to the end of the run, median and most; of a pair, from the first |

Redis runs with `appendonly yes` and `appendfsync always`: with less, a killed Redis loses writes that it has answered, and
nothing that stands on it can promise anything. Postgres runs as it comes. SQLite has no process of its own and dies with daprd.
"""


@dataclass
class _Row:
    """Trials of one trigger and victim."""

    kills: dict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))
    wrong: int = 0
    repeated: int = 0
    mixed: int = 0
    seconds: list[float] = field(default_factory=list[float])

    def add(self, outcome: Outcome) -> None:
        """Count one."""
        self.kills[outcome.trial.store, outcome.trial.unit] += outcome.kills
        self.wrong += bool(outcome.judgement.wrong)
        self.repeated += bool(outcome.judgement.repeated)
        self.mixed += bool(outcome.judgement.mixed)
        self.seconds.append(outcome.seconds)


def write_report(outcomes: Sequence[Outcome], *, seed: int, seconds: float) -> str:
    """Return the document."""
    struck = [each for each in outcomes if each.kills]
    places = sorted({(each.trial.store, each.trial.unit) for each in struck})
    lines = [_INTRODUCTION, _where(seed, seconds), "", *_totals(struck, outcomes), ""]
    lines += ["## One kill in a run", "", *_table([each for each in struck if len(each.trial.blows) == 1], places), ""]
    pairs = [each for each in struck if len(each.trial.blows) > 1]
    if pairs:
        lines += ["## Two kills in a run", "", *_table(pairs, places), ""]
    bad = [each for each in outcomes if not each.judgement.is_clean]
    if bad:
        lines += ["## What went wrong", "", *(f"- {each.trial}: {describe(each)}" for each in bad), ""]
    return "\n".join(lines)


def describe(outcome: Outcome) -> str:
    """Say in a line what was wrong with a run."""
    found = outcome.judgement
    parts = [("wrong", found.wrong), ("repeated", found.repeated), ("mixed", found.mixed)]
    return "; ".join(f"{word}: {', '.join(texts)}" for word, texts in parts if texts)


def _where(seed: int, seconds: float) -> str:
    today = datetime.now(UTC).date()
    return (
        f"{today}, Python {platform.python_version()}, {platform.system()} {platform.machine()}, {os.cpu_count()} cores, "
        f"seed {seed}, {seconds / 60:.0f} minutes, stores side by side."
    )


def _totals(struck: Sequence[Outcome], outcomes: Sequence[Outcome]) -> list[str]:
    kills = sum(each.kills for each in struck)
    wrong, repeated, mixed = (
        sum(bool(getattr(each.judgement, name)) for each in outcomes) for name in ("wrong", "repeated", "mixed")
    )
    missed = sum(len(each.trial.blows) - each.kills for each in outcomes)
    return [
        f"**{kills} kills in {len(struck)} runs: {wrong} wrong states, {repeated} runs of a task whose writes were saved, "
        f"{mixed} mixtures.**" + (f" {missed} more were planned at moments that did not come." if missed else "")
    ]


def _table(outcomes: Iterable[Outcome], places: Sequence[tuple[str, str]]) -> list[str]:
    rows: dict[tuple[str, str], _Row] = defaultdict(_Row)
    for each in outcomes:
        rows[each.trial.trigger, each.trial.victim].add(each)
    heads = [f"{store} `{unit}`" for store, unit in places]
    columns = ["killed", "when", *heads, "kills", "wrong", "repeated", "mixed", "seconds"]
    lines = [f"| {' | '.join(columns)} |", f"|---|---|{'---:|' * (len(columns) - 2)}"]
    for (trigger, victim), row in sorted(rows.items(), key=lambda item: (item[0][1], item[0][0])):
        counts = [str(row.kills[place] or "") for place in places]
        spent = f"{statistics.median(row.seconds):.1f}, {max(row.seconds):.1f}"
        cells = [
            victim,
            trigger,
            *counts,
            str(sum(row.kills.values())),
            *map(str, (row.wrong, row.repeated, row.mixed)),
        ]
        lines.append(f"| {' | '.join([*cells, spent])} |")
    return lines
