"""docs/chaos.md: what was killed, when, on what, and what came of it."""

from __future__ import annotations

import os
import platform
import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version

from dapr_bridge.testing import find_runtime
from tests.chaos.bridge.leases import TTL
from tests.chaos.bridge.trial import Chapter, Outcome

_INTRODUCTION = """# Chaos

Written by `make chaos`. One graph (a chain, three Sends, a subgraph, two questions side by side, answered one after
the other by external events) runs in a workflow on a real daprd, while processes are ended with SIGKILL and started
again at once. The moments are chosen, not hit by luck: every request of the worker to its sidecar passes through a
proxy that knows what it is, and stops it before it arrives, or keeps back its answer, until the kill is done. *Before
writes* is a task's writes on their way to the sidecar; *after acknowledgement* is an activity that daprd has taken for
done while its worker does not know yet; *turn* is what the workflow has decided; *in a node* is a node that is running.
A second proxy, before Redis and Postgres, does the same to *history*: what daprd itself saves of the workflow.

| | |
|---|---|
| wrong | the workflow did not finish, or its thread's history (steps, next, values) is not that of `ainvoke` |
| repeated | a node ran again, as counted by the server that it calls, although its writes had been saved |
| mixed | two channels of one task hold the writes of two of its runs |
| seconds | from the kill to the end of the run, median and most; of a pair of kills, from the first |

Redis runs with `appendonly yes` and `appendfsync always`: with less, a killed Redis loses writes that it has answered,
and nothing that stands on it can promise anything. Postgres runs as it comes. SQLite has no process of its own and dies
with daprd. What a scheduler takes is its own election.
"""

_SCENES = """## Two workers with one run

The first worker is cut off from its work, but not from the state store, as in a broken network; Dapr gives the run to
a second one. In a race both are held at the same kind of moment, then go on in the order named. A stale worker is
stopped there (SIGSTOP) and wakes up (SIGCONT) when the second one has ended the run, or two checkpoints farther. A
request of a killed worker arrives when its successor has ended the run. Workers take no leases here: two may run one
task, and what is saved first counts.
"""

_LEASES = f"""## Workers with leases

With `GraphWorker(lease=timedelta(seconds={TTL.total_seconds():g}))`. *Before lease taken* is a worker's wish for a
lease on its way to the store, of a run or, in unit `task`, of a task in a fan-out; *renewed* is its sign of life,
*released* the end. *While another waits*: the worker that holds the lease stands in a node and is cut off from its
work, which Dapr gives to a second one; that one finds the lease held and looks again and again, while one of them,
daprd or the store is killed, the holder is stopped for longer than its lease lasts, or goes on. Beyond what is wrong
everywhere, it is wrong that a lease is left when the run has ended, and a node is repeated when the second worker has
run it beside the first. A lease that cannot be given back in its time to live, because daprd or the store is away, is
left to the purge.
"""

_DRAINS = """## Runs that are drained

A client has its run drained (`ainvoke(..., control=RunControl())`) in a lone node, in a fan-out, or in a subgraph, goes
on with `ainvoke(None, ...)` and answers what is asked. *Drain wish* is the wish on its way to the store, *drained
outcome* how the run has ended for the next who asks, *drain wish removed* what the worker does after that; *resumed* is
the call that goes on. It is wrong that the call does not end as drained, that a node of a later superstep has run, or
that a wish is left. *Drained by a node* is a run whose node asks for it (`runtime.control`) and whose workflow goes on
under the same run id; a wish that dies with its worker before it is saved is none.
"""

_LOST_TURNS = """## Turns that are lost

Dapr 1.18 starts what a workflow's turn has asked for before it saves the turn: when daprd, the scheduler or the store
dies in between, the turn is done again by another clock. Both turns ask for one run: by the `run_id` of the call, such
as `f"{ctx.instance_id}/triage"`, or by the one that an activity has given it, whose result was saved before the turn
that begins the run. The workflow of the runs above names its runs; `test_lost_turn.py` loses turns of both kinds.
"""


_CHAPTERS: Sequence[tuple[Chapter, str, str]] = (
    ("kills", "## One kill in a run\n", "kills"),
    ("pairs", "## Two kills in a run\n", "kills"),
    ("rivals", _SCENES, "runs"),
    ("leases", _LEASES, "runs"),
    ("drains", _DRAINS, "runs"),
)
"""The parts of the report, and what their tables count."""


@dataclass
class _Row:
    """Trials of one trigger and victim."""

    counts: dict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))
    wrong: int = 0
    repeated: int = 0
    mixed: int = 0
    seconds: list[float] = field(default_factory=list[float])

    def add(self, outcome: Outcome) -> None:
        """Count one."""
        self.counts[outcome.trial.store, outcome.trial.unit] += outcome.kills or 1
        self.wrong += bool(outcome.judgement.wrong)
        self.repeated += bool(outcome.judgement.repeated)
        self.mixed += bool(outcome.judgement.mixed)
        self.seconds.append(outcome.seconds)

    def cells(self, places: Sequence[tuple[str, str]]) -> list[str]:
        """Return what stands in its row."""
        bad = [str(each) for each in (self.wrong, self.repeated, self.mixed)]
        spent = f"{statistics.median(self.seconds):.1f}, {max(self.seconds):.1f}"
        return [*(str(self.counts[each] or "") for each in places), str(sum(self.counts.values())), *bad, spent]


def write_report(outcomes: Sequence[Outcome], *, seed: int, seconds: float) -> str:
    """Return the document."""
    told = [each for each in outcomes if each.has_come]
    of = {chapter: [each for each in told if each.trial.chapter == chapter] for chapter, _, _ in _CHAPTERS}
    parts = [
        [_INTRODUCTION, _where(seed, seconds), "", _totals(outcomes), ""],
        *([text, *_table(of[chapter], count=count), ""] for chapter, text, count in _CHAPTERS if of[chapter]),
        _failures(outcomes),
        [_LOST_TURNS],
    ]
    return "\n".join(line for part in parts for line in part)


def describe(outcome: Outcome) -> str:
    """Say in a line what was wrong with a run."""
    found = outcome.judgement
    parts = [("wrong", found.wrong), ("repeated", found.repeated), ("mixed", found.mixed)]
    return "; ".join(f"{word}: {', '.join(texts)}" for word, texts in parts if texts)


def _where(seed: int, seconds: float) -> str:
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    return (
        f"{datetime.now(UTC).date()}, {machine}, Dapr {find_runtime().version}, LangGraph {version('langgraph')}; "
        f"seed {seed}, {seconds / 60:.0f} minutes, all stores side by side."
    )


def _totals(outcomes: Sequence[Outcome]) -> str:
    found = [each.judgement for each in outcomes]
    wrong, repeated, mixed = (
        sum(map(bool, which)) for which in zip(*((f.wrong, f.repeated, f.mixed) for f in found), strict=True)
    )
    kills, missed = sum(each.kills for each in outcomes), sum(not each.has_come for each in outcomes)
    text = (
        f"**{kills} kills and {len(outcomes)} runs: {wrong} wrong states, {repeated} runs of a task whose writes were "
        f"saved, {mixed} mixtures.**"
    )
    return text + (f" Of {missed} more kills the moment did not come." if missed else "")


def _failures(outcomes: Sequence[Outcome]) -> list[str]:
    bad = [each for each in outcomes if not each.judgement.is_clean]
    return ["## What went wrong", "", *(f"- {each.trial}: {describe(each)}" for each in bad), ""] if bad else []


def _table(outcomes: Sequence[Outcome], *, count: str = "kills") -> list[str]:
    places = sorted({(each.trial.store, each.trial.unit) for each in outcomes})
    rows: dict[tuple[str, str], _Row] = defaultdict(_Row)
    for each in outcomes:
        rows[each.trial.victim, each.trial.trigger].add(each)
    heads = [f"{store} `{unit}`" for store, unit in places]
    columns = ["what", "when", *heads, count, "wrong", "repeated", "mixed", "seconds"]
    lines = [f"| {' | '.join(columns)} |", f"|---|---|{'---:|' * (len(columns) - 2)}"]
    for (victim, trigger), row in sorted(rows.items()):
        lines.append(f"| {' | '.join([victim, trigger, *row.cells(places)])} |")
    return lines
