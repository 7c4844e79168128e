"""Which kills are done: moments of a run times victims, units and stores, as evenly as their number allows."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction

from dapr_bridge import Unit
from tests.chaos.bridge.moments import Moment
from tests.chaos.bridge.stage import Victim
from tests.chaos.bridge.trial import Blow, Trial

# A scheduler takes 20 s to come back, and the moment matters little to it and to placement: they see no save.
_SHARES: Mapping[Victim, Fraction] = {
    "worker": Fraction(40, 100),
    "daprd": Fraction(26, 100),
    "store": Fraction(20, 100),
    "placement": Fraction(10, 100),
    "scheduler": Fraction(4, 100),
}
_PAIRS: Sequence[tuple[Victim, Victim]] = (
    ("worker", "worker"),
    ("worker", "daprd"),
    ("daprd", "worker"),
    ("daprd", "daprd"),
    ("store", "worker"),
    ("worker", "store"),
)
_SHARE_OF_PAIRS = Fraction(1, 5)


def trials(
    store: str, moments: Mapping[Unit, Sequence[Moment]], victims: Sequence[Victim], kills: int, seed: int
) -> list[Trial]:
    """Return trials on one store, with so many kills in all, in the same order for the same seed."""
    chance = random.Random(f"{seed}/{store}")
    for_pairs = int(kills * _SHARE_OF_PAIRS)
    chosen: list[Trial] = []
    for number, (unit, seen) in enumerate(moments.items()):
        half = _part(kills - for_pairs, number, len(moments))
        total = sum(_SHARES[victim] for victim in victims)
        left = half
        for victim in victims:
            count = round(half * _SHARES[victim] / total) if victim != victims[-1] else left
            left -= count
            some = itertools.islice(_spread(seen, chance), count)
            chosen += [Trial(store=store, unit=unit, blows=(Blow(moment=each, victim=victim),)) for each in some]
        pairs = [pair for pair in _PAIRS if set(pair) <= set(victims)]
        if pairs:
            count = _part(for_pairs, number, len(moments)) // 2
            chosen += itertools.islice(_doubles(store, unit, seen, pairs, chance), count)
    chance.shuffle(chosen)
    return chosen


def _doubles(
    store: str,
    unit: Unit,
    seen: Sequence[Moment],
    pairs: Sequence[tuple[Victim, Victim]],
    chance: random.Random,
) -> Iterator[Trial]:
    """Two kills in one run: the second soon after the first, at whatever kind of moment comes by often."""
    first = _spread([each for each in seen if each.kind != "event"], chance)
    seconds: Sequence[Moment] = [
        Moment(kind=kind, number=number, side=side)
        for number in (1, 2)
        for kind in ("claim", "acknowledgement", "turn")
        for side in ("before", "after")
    ]
    for moment, pair, second in zip(first, itertools.cycle(pairs), itertools.cycle(seconds), strict=False):
        blows = (Blow(moment=moment, victim=pair[0]), Blow(moment=second, victim=pair[1]))
        yield Trial(store=store, unit=unit, blows=blows)


def _spread(seen: Sequence[Moment], chance: random.Random) -> Iterator[Moment]:
    """Return moments for ever: one of each trigger, then another one of each."""
    by_trigger: dict[str, list[Moment]] = {}
    for moment in sorted(set(seen)):
        by_trigger.setdefault(moment.trigger, []).append(moment)
    triggers = list(by_trigger.values())
    chance.shuffle(triggers)
    for each in triggers:
        chance.shuffle(each)
    for number in itertools.count():
        for each in triggers:
            yield each[number % len(each)]


def _part(whole: int, number: int, parts: int) -> int:
    return whole * (number + 1) // parts - whole * number // parts
