"""`python -m tests.chaos.bridge`: kill what runs a graph, at every moment of its run, and write docs/chaos.md."""

from __future__ import annotations

import argparse
import signal
import tempfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from tests.chaos.bridge.judgement import Judge
from tests.chaos.bridge.matrix import trials
from tests.chaos.bridge.report import describe, write_report
from tests.chaos.bridge.rivals import Scene, play_scene, scenes
from tests.chaos.bridge.stage import VICTIMS, Stage
from tests.chaos.bridge.stores import STORES
from tests.chaos.bridge.trial import Outcome, Trial, play, survey
from tests.chaos.bridge.worker import UNITS

console = Console(highlight=False)
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
                outcome = (play_scene if isinstance(trial, Scene) else play)(trial, stage, self.judge)
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


def planned(stage: Stage, options: argparse.Namespace, judge: Judge) -> Sequence[Trial | Scene]:
    """Return what is to be done on a stage."""
    words: Sequence[str] = options.trigger or ("",)
    seen = {unit: survey(stage, unit, judge) for unit in options.units}
    chosen = {unit: [each for each in seen[unit] if any(word in str(each) for word in words)] for unit in seen}
    victims = [each for each in options.victims if each != "store" or stage.store.process]
    share = options.kills // len(options.stores)
    kills = trials(stage.name, chosen, victims, share, options.seed) if share else []
    return [*kills, *(scenes(stage.name, options.units, options.seed) if options.scenes else [])]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--kills", type=int, default=420, help="how many, over all stores (default: %(default)s)")
    parser.add_argument(
        "--scenes", action=argparse.BooleanOptionalAction, default=True, help="two workers with one run (default: yes)"
    )
    parser.add_argument("--minutes", type=float, default=240, help="stop after so many (default: %(default)s)")
    parser.add_argument("--stores", nargs="+", choices=list(STORES), default=list(STORES), metavar="STORE")
    parser.add_argument("--units", nargs="+", choices=UNITS, default=list(UNITS), metavar="UNIT")
    parser.add_argument("--victims", nargs="+", choices=VICTIMS, default=list(VICTIMS), metavar="VICTIM")
    parser.add_argument(
        "--trigger", nargs="+", metavar="WORD", help="only moments with such a word, as 'before writes'"
    )
    parser.add_argument("--seed", type=int, default=1, help="chooses which moments (default: %(default)s)")
    parser.add_argument("--folder", type=Path, help="where logs go (default: the system's)")
    parser.add_argument("--output", type=Path, default=_REPORT, help="where the table goes (default: docs/chaos.md)")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
