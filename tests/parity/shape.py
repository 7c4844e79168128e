"""What is compared: a graph, and the script of what a caller does with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from langgraph.pregel import Pregel

AnyGraph = Pregel[Any, Any, Any, Any]


@dataclass(frozen=True)
class Ask:
    """Call the graph with an input or a Command; with None, go on.

    Attributes:
        input: what `ainvoke` is given.
        config: LangGraph's config beside the thread.
        context: the run's context, when the graph has a context schema.
        at: go back to the state at this place of the history, newest first, and go on from there.
    """

    input: Any = None
    config: Mapping[str, Any] = field(default_factory=dict[str, Any])
    context: Any = None
    at: int | None = None


@dataclass(frozen=True)
class Answer:
    """Answer the questions that wait, in the order of what they ask, each by its id."""

    answers: Sequence[Any]


@dataclass(frozen=True)
class GoOn:
    """Answer the first so many questions that wait, all with `answer`; call with None when none waits."""

    answer: Any = "yes"
    most: int = 99
    config: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True)
class Edit:
    """Change the state by hand, as if a node had written it.

    Attributes:
        values: what it has written.
        as_node: the node.
        at: as in `Ask`.
        within: the nodes, from the outermost on, whose waiting subgraph is meant.
    """

    values: Any
    as_node: str | None = None
    at: int | None = None
    within: Sequence[str] = ()


Move = Ask | Answer | GoOn | Edit


@dataclass(frozen=True, kw_only=True)
class Shape:
    """A graph and a script.

    Attributes:
        build: makes the graph, with fresh counters in its nodes each time.
        script: what the caller does, one after the other.
        types: classes that its values are of, beside LangGraph's and Python's own.
    """

    build: Callable[[], AnyGraph]
    script: Sequence[Move]
    types: Sequence[type] = ()

    @property
    def name(self) -> str:
        """The builder's name, which is a graph's name on the worker too."""
        return self.build.__name__


def fails_times(times: int, error: Exception) -> Callable[[], None]:
    """Return a function that raises in its first calls."""
    left = [error] * times

    def maybe_fail() -> None:
        if left:
            raise left.pop()

    return maybe_fail
