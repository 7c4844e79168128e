"""The published table: how many of LangGraph's own tests pass through the bridge, and why the others do not."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tests.parity.langgraph_suite.reasons import UNKNOWN, reason_of
from tests.parity.langgraph_suite.run import TestEnd

Ends = Mapping[str, TestEnd]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One way through the bridge against plain LangGraph.

    Attributes:
        native: how the tests ended without the bridge.
        routed: how they ended through it.
    """

    native: Ends
    routed: Ends

    @property
    def counted(self) -> Sequence[TestEnd]:
        """The tests that count: they pass natively, reach the bridge, and mean something in a durable run."""
        return [each for each in self._reaching() if not each.left_out]

    @property
    def left_out(self) -> Sequence[TestEnd]:
        """The tests that are about what a durable run cannot mean."""
        return [each for each in self.routed.values() if each.left_out and self.native[each.test].outcome == "passed"]

    @property
    def failing(self) -> Sequence[TestEnd]:
        """Those that count and fail."""
        return [each for each in self.counted if each.outcome != "passed"]

    @property
    def share(self) -> float:
        """The share of those that count which pass, in percent."""
        return 100 * (1 - len(self.failing) / max(1, len(self.counted)))

    def _reaching(self) -> Iterator[TestEnd]:
        for each in self.routed.values():
            native = self.native.get(each.test)
            if native and native.outcome == "passed" and each.calls:
                yield each


def write_report(*, release: str, units: Mapping[str, Comparison], saver: Comparison) -> str:
    """Return the page."""
    return "\n".join([_HEAD.format(release=release), *_summary(units, saver), *_chapters(units)]) + "\n"


_HEAD = """# Parity with LangGraph

Written by `make parity`. LangGraph {release}'s own tests, taken from its source archive, run natively first, then with
every call of a graph that has a checkpointer led through `DurableGraph`, a `GraphWorker` and a real daprd with SQLite
stores. A test counts when it passes natively and at least one of its calls went through the bridge. Tests about what a
durable run cannot mean are left out and listed. Exceptions are compared by type and text.
"""


def _summary(units: Mapping[str, Comparison], saver: Comparison) -> Iterator[str]:
    yield "| through | tests that count | pass | share |"
    yield "|---|---:|---:|---:|"
    for unit, each in units.items():
        yield f"| unit `{unit}` | {len(each.counted)} | {len(each.counted) - len(each.failing)} | {each.share:.1f} % |"
    native = [each for each in saver.native.values() if each.outcome == "passed"]
    passed = sum(saver.routed[each.test].outcome == "passed" for each in native if each.test in saver.routed)
    yield f"| `DaprSaver` alone, LangGraph's own loop | {len(native)} | {passed} | {100 * passed / len(native):.1f} % |"
    yield ""


def _chapters(units: Mapping[str, Comparison]) -> Iterator[str]:
    for unit, each in units.items():
        yield f"## Unit `{unit}`\n"
        yield from _files(each)
        yield "\n### What fails, and why\n"
        yield from _failures(each)
        yield "\n### What is left out\n"
        yield from _lists(
            {", ".join(kind): [end for end in each.left_out if end.left_out == kind] for kind in _kinds(each)}
        )


def _files(comparison: Comparison) -> Iterator[str]:
    by_file: dict[str, list[TestEnd]] = defaultdict(list)
    for each in comparison.counted:
        by_file[each.file].append(each)
    yield "| file | tests that count | pass | fail |"
    yield "|---|---:|---:|---:|"
    for file, ends in sorted(by_file.items()):
        passed = sum(each.outcome == "passed" for each in ends)
        yield f"| {file} | {len(ends)} | {passed} | {len(ends) - passed} |"


def _failures(comparison: Comparison) -> Iterator[str]:
    by_reason: dict[str, list[TestEnd]] = defaultdict(list)
    for each in comparison.failing:
        by_reason[_reason(each)].append(each)
    yield from _lists(dict(sorted(by_reason.items(), key=lambda item: -len(item[1]))))


def _reason(end: TestEnd) -> str:
    reason = reason_of(end)
    return f"{reason}: `{end.error.splitlines()[0][:120]}`" if reason == UNKNOWN and end.error else reason


def _kinds(comparison: Comparison) -> list[Sequence[str]]:
    kinds: list[Sequence[str]] = []
    for each in comparison.left_out:
        if each.left_out not in kinds:
            kinds.append(each.left_out)
    return kinds


def _lists(groups: Mapping[str, Sequence[TestEnd]]) -> Iterator[str]:
    for title, ends in groups.items():
        yield f"<details><summary>{len(ends)}: {title}</summary>\n"
        yield from (f"- `{each.test.removeprefix('tests/')}`" for each in sorted(ends, key=lambda end: end.test))
        yield "\n</details>\n"
    if not groups:
        yield "Nothing."
