"""Random programs that build a graph; the text of a program is what a counter-example shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from hypothesis import strategies as st
from hypothesis.vendor.pretty import RepresentationPrinter
from langgraph.graph import END, START, StateGraph
from langgraph.types import RetryPolicy

from tests.parity.generated.parts import State, branch, node, sends
from tests.parity.shape import AnyGraph, Ask, GoOn, Move

_WORDS = {
    "END": END,
    "START": START,
    "AT_ONCE": RetryPolicy(initial_interval=0.001, jitter=False, max_attempts=3, retry_on=ValueError),
    "State": State,
    "StateGraph": StateGraph,
    "branch": branch,
    "node": node,
    "sends": sends,
}

# A failure ends the step for those that still run: with two kinds of trouble in one step, LangGraph's own answer would
# be a matter of time.
Trouble = Literal["none", "failures", "retries"]


@dataclass(frozen=True)
class Program:
    """The lines that build a graph, and what a caller does with it."""

    lines: Sequence[str]
    script: Sequence[Move]

    def __repr__(self) -> str:
        return "\n".join(["", *self.lines, "", *(f"# {move}" for move in self.script)])

    def _repr_pretty_(self, printer: RepresentationPrinter, cycle: bool) -> None:
        printer.text(repr(self))

    def build(self) -> AnyGraph:
        """Run the lines; the last graph is the one."""
        names: dict[str, Any] = dict(_WORDS)
        exec("\n".join(self.lines), names)  # noqa: S102 - our own lines; what fails is shown as it was run
        return names["graph"]


TROUBLES: tuple[Trouble, ...] = ("none", "none", "failures", "retries")


@st.composite
def programs(draw: st.DrawFn, *, troubles: Sequence[Trouble] = TROUBLES) -> Program:
    """Draw a program with one of these kinds of trouble."""
    trouble = draw(st.sampled_from(troubles))
    lines = draw(_graphs("graph", trouble=trouble, depth=0 if trouble == "failures" else draw(st.integers(0, 1))))
    limit = {"recursion_limit": draw(st.sampled_from([8, 5, 3]))}
    go_on = GoOn(most=draw(st.sampled_from([99, 1])), config=limit)
    first, second = (Ask({"log": [word]}, config=limit) for word in ("in", "again"))
    calls = [first, *[go_on] * draw(st.integers(0, 3)), *[second] * draw(st.integers(0, 1))]
    return Program(lines, calls)


@st.composite
def _graphs(draw: st.DrawFn, graph: str, *, trouble: Trouble, depth: int) -> list[str]:
    names = [f"{graph[0]}{number}" if depth else f"n{number}" for number in range(draw(st.integers(1, 6 - 3 * depth)))]
    names = [f"{each}_{graph}" if graph != "graph" else each for each in names]
    lines = [f"{graph} = StateGraph(State)"]
    inner = draw(st.sampled_from(names)) if depth else None
    for name in names:
        if name == inner:
            lines = [*draw(_graphs(f"sub{depth}", trouble=trouble, depth=depth - 1)), *lines]
            lines.append(f"{graph}.add_node({name!r}, sub{depth})")
        else:
            lines.append(draw(_nodes(graph, name, names, trouble=trouble)))
    lines += draw(_starts(graph, names))
    for name in names:
        lines += draw(_exits(graph, name, names))
    return [*lines, draw(_compilations(graph, names, is_inner=graph != "graph"))]


@st.composite
def _nodes(draw: st.DrawFn, graph: str, name: str, names: Sequence[str], *, trouble: Trouble) -> str:
    details = [repr(name)]
    if draw(st.integers(0, 4)) == 4:
        details.append(f"asks={draw(st.integers(1, 2))}")
    has_trouble = trouble != "none" and draw(st.booleans())
    if has_trouble:
        details.append(f"fails={draw(st.integers(1, 2))}")
    if draw(st.integers(0, 5)) == 5:
        details.append("writes_last=True")
    if draw(st.integers(0, 4)) == 4:
        details.append(f"goto={draw(_conditions(names))}")
    options = [f"node({', '.join(details)})"]
    if has_trouble and trouble == "retries":
        options.append("retry_policy=AT_ONCE")
    if draw(st.integers(0, 7)) == 7:
        options.append("defer=True")
    return f"{graph}.add_node({name!r}, {', '.join(options)})"


@st.composite
def _starts(draw: st.DrawFn, graph: str, names: Sequence[str]) -> list[str]:
    if draw(st.integers(0, 3)) == 3:
        return [f"{graph}.add_conditional_edges(START, {draw(_conditions(names))})"]
    return [f"{graph}.add_edge(START, {each!r})" for each in draw(_some(names, least=1, most=2))]


@st.composite
def _exits(draw: st.DrawFn, graph: str, name: str, names: Sequence[str]) -> list[str]:
    kind = draw(st.sampled_from(["edges", "edges", "join", "condition", "end"]))
    if kind == "condition":
        return [f"{graph}.add_conditional_edges({name!r}, {draw(_conditions(names))})"]
    if kind == "join":
        sources = draw(_some(names, least=2, most=3)) if len(names) > 1 else [name]
        return [f"{graph}.add_edge({sources!r}, {draw(st.sampled_from(names))!r})"]
    targets = draw(_some(names, least=1, most=2)) if kind == "edges" else []
    return [f"{graph}.add_edge({name!r}, {each!r})" for each in targets]


@st.composite
def _conditions(draw: st.DrawFn, names: Sequence[str]) -> str:
    at = draw(st.integers(1, 8))
    if draw(st.booleans()):
        return f"sends({at}, target={draw(st.sampled_from(names))!r}, times={draw(st.integers(1, 3))})"
    below, above = draw(_some(names, least=1, most=2)), draw(_some([*names, END], least=1, most=2))
    return f"branch({at}, below={below!r}, above={above!r})"


@st.composite
def _compilations(draw: st.DrawFn, graph: str, names: Sequence[str], *, is_inner: bool) -> str:
    has_memory = is_inner and draw(st.integers(0, 3)) == 3
    stops = [each for each in ("interrupt_before", "interrupt_after") if draw(st.integers(0, 5)) == 5]
    options = ["checkpointer=True"] * has_memory
    options += [f"{each}={draw(_some(names, least=1, most=2))!r}" for each in stops]
    return f"{graph} = {graph}.compile({', '.join(options)})"


def _some(names: Sequence[str], *, least: int, most: int) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(list(names)), min_size=least, max_size=min(most, len(names)), unique=True)
