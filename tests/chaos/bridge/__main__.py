"""`python -m tests.chaos.bridge`: kill what runs a graph, at every moment of its run, and write docs/chaos.md."""

from __future__ import annotations

import argparse
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from tests.chaos.bridge.drains import DrainScene, OwnDrain, drain_scenes, own_drains, play_drain_scene, play_own_drain
from tests.chaos.bridge.judgement import Judge
from tests.chaos.bridge.leases import LeaseScene, lease_scenes, play_lease_scene
from tests.chaos.bridge.matrix import trials
from tests.chaos.bridge.report import describe, write_report
from tests.chaos.bridge.rivals import Scene, play_scene, scenes
from tests.chaos.bridge.stage import VICTIMS, Stage, Victim
from tests.chaos.bridge.stores import STORES
from tests.chaos.bridge.trial import Outcome, Trial, play, survey
from tests.chaos.bridge.worker import UNITS

Planned = Trial | Scene | LeaseScene | DrainScene

console = Console(highlight=False)
SCENES = ("rivals", "leases", "drains")
"""What `--scenes` takes: two workers with one run, workers with leases, runs that are drained."""

_REPORT = Path(__file__).resolve().parents[3] / "docs" / "chaos.md"


def main() -> int:
    """Do what the arguments say; 1 when something went wrong."""
    options = _parser().parse_args()
    campaign = Campaign(options=options, judge=Judge.prepare())
    for number in (signal.SIGINT, signal.SIGTERM):
        # What has begun is finished: nothing is to be left running.
        signal.signal(number, lambda *_: campaign.stopping.set())
    with ThreadPoolExecutor(len(options.stores)) as threads:
        list(threads.map(campaign.run, options.stores))
    seconds = time.monotonic() - campaign.began
    options.output.write_text(write_report(campaign.outcomes, seed=options.seed, seconds=seconds))
    console.print(f"Written to {options.output}")
    bad = [each for each in campaign.outcomes if not each.judgement.is_clean]
    console.print(f"{sum(each.kills for each in campaign.outcomes)} kills, {len(bad)} runs went wrong")
    return 1 if bad else 0


@dataclass(kw_only=True)
class Campaign:
    """All kills, one stage for each store side by side: most of the time something comes back."""

    options: argparse.Namespace
    judge: Judge
    outcomes: list[Outcome] = field(default_factory=list[Outcome])
    began: float = field(default_factory=time.monotonic)
    stopping: threading.Event = field(default_factory=threading.Event)
    _telling: threading.Lock = field(default_factory=threading.Lock)

    def run(self, store: str) -> None:
        """Do the kills on one store."""
        folder = Path(tempfile.mkdtemp(prefix=f"chaos-{store}-", dir=self.options.folder))
        stage = self._raise_stage(store, folder / "0")
        try:
            for number, trial in enumerate(planned(stage, self.options, self.judge), start=1):
                if self.stopping.is_set() or time.monotonic() - self.began > self.options.minutes * 60:
                    break
                outcome = played(trial, stage, self.judge)
                self._tell(outcome)
                if not outcome.judgement.is_clean:
                    # What hangs is not to hang in the way of the next one.
                    stage.stop()
                    stage = self._raise_stage(store, folder / str(number))
        finally:
            stage.stop()

    def _raise_stage(self, store: str, folder: Path) -> Stage:
        stage = Stage(store, folder)
        try:
            stage.start()
            stage.wait_until_well()
        except BaseException:
            stage.stop()
            raise
        return stage

    def _tell(self, outcome: Outcome) -> None:
        with self._telling:
            self.outcomes.append(outcome)
            kills = sum(each.kills for each in self.outcomes)
            text = f"{kills:4} kills, {time.monotonic() - self.began:5.0f} s  {outcome.trial}: {outcome.seconds:.1f} s"
            if not outcome.has_come:
                text += ", its moment did not come"
            console.print(escape(text), style=None if outcome.judgement.is_clean else "red", soft_wrap=True)
            if not outcome.judgement.is_clean:
                console.print(escape(describe(outcome)), style="red", soft_wrap=True)


def played(trial: Planned, stage: Stage, judge: Judge) -> Outcome:
    """Do what is planned."""
    match trial:
        case Scene():
            return play_scene(trial, stage, judge)
        case LeaseScene():
            return play_lease_scene(trial, stage, judge)
        case DrainScene():
            return play_drain_scene(trial, stage, judge)
        case OwnDrain():
            return play_own_drain(trial, stage, judge)
        case Trial():
            return play(trial, stage, judge)


def planned(stage: Stage, options: argparse.Namespace, judge: Judge) -> Sequence[Planned]:
    """Return what is to be done on a stage."""
    words: Sequence[str] = options.trigger or ("",)
    victims: Sequence[Victim] = [each for each in options.victims if each != "store" or stage.store.process]
    share = options.kills // len(options.stores)
    kills: Sequence[Planned] = _kills(stage, options, judge, victims, share) if share else ()
    chosen = [each for each in _scenes(stage.name, options, victims) if any(word in str(each) for word in words)]
    return [*kills, *chosen[: options.most_scenes]]


def _kills(
    stage: Stage, options: argparse.Namespace, judge: Judge, victims: Sequence[Victim], share: int
) -> Sequence[Trial]:
    words: Sequence[str] = options.trigger or ("",)
    seen = {unit: survey(stage, unit, judge) for unit in options.units}
    chosen = {unit: [each for each in seen[unit] if any(word in str(each) for word in words)] for unit in seen}
    return trials(stage.name, chosen, victims, share, options.seed)


def _scenes(store: str, options: argparse.Namespace, victims: Sequence[Victim]) -> Sequence[Planned]:
    units, seed = options.units, options.seed
    # In this order, for workers are sent away and hired anew between those with leases and the others.
    every: Mapping[str, Callable[[], Sequence[Planned]]] = {
        "rivals": lambda: scenes(store, units, seed),
        "drains": lambda: [*drain_scenes(store, units, victims, seed), *own_drains(store, units, victims, seed)],
        "leases": lambda: lease_scenes(store, units, victims, seed),
    }
    return [each for name, make in every.items() if name in options.scenes for each in make()]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--kills", type=int, default=420, help="how many, over all stores (default: %(default)s)")
    parser.add_argument(
        "--scenes",
        nargs="*",
        choices=SCENES,
        default=list(SCENES),
        metavar="SCENE",
        help="two workers with one run, with leases, runs that are drained: rivals, leases, drains (default: all)",
    )
    parser.add_argument("--most-scenes", type=int, metavar="NUMBER", help="only so many scenes on each store")
    parser.add_argument("--minutes", type=float, default=240, help="stop after so many (default: %(default)s)")
    parser.add_argument("--stores", nargs="+", choices=list(STORES), default=list(STORES), metavar="STORE")
    parser.add_argument("--units", nargs="+", choices=UNITS, default=list(UNITS), metavar="UNIT")
    parser.add_argument("--victims", nargs="+", choices=VICTIMS, default=list(VICTIMS), metavar="VICTIM")
    parser.add_argument(
        "--trigger", nargs="+", metavar="WORD", help="only moments and scenes with such a word, as 'before writes'"
    )
    parser.add_argument("--seed", type=int, default=1, help="chooses which moments (default: %(default)s)")
    parser.add_argument("--folder", type=Path, help="where logs go (default: the system's)")
    parser.add_argument("--output", type=Path, default=_REPORT, help="where the table goes (default: docs/chaos.md)")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
