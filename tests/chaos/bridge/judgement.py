"""Whether a run that was killed has come out as if nothing had happened."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from dapr_bridge import DaprSaver
from tests.chaos.bridge.graph import QUESTIONS, build_graph
from tests.kit.counter import far_end

_STAMP = re.compile(r"#[0-9a-f]+\s*$")
_PAIRS = (("left", "right"), ("inner_left", "inner_right"))
_STAMPED = frozenset({"left", "inner_left"})
_Checkpoint = tuple[int, tuple[str, ...], Any]


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What was seen of a run.

    Attributes:
        thread_id: its thread.
        status: how its workflow ended.
        runs: how often each node ran.
        saved: at each kill, the nodes whose writes were saved, and how often each node had run.
    """

    thread_id: str
    status: str
    runs: Counter[str]
    saved: Sequence[tuple[frozenset[str], Counter[str]]]


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """What was wrong, in words; nothing when all is well."""

    wrong: tuple[str, ...] = ()
    repeated: tuple[str, ...] = ()
    mixed: tuple[str, ...] = ()

    @property
    def is_clean(self) -> bool:
        """Whether nothing was wrong."""
        return not (self.wrong or self.repeated or self.mixed)


@dataclass(frozen=True)
class Judge:
    """Judges runs by what plain LangGraph makes of the same graph.

    Attributes:
        wanted: its history, newest first, without stamps.
    """

    wanted: Sequence[_Checkpoint]

    @classmethod
    def prepare(cls) -> Self:
        """Run the graph in memory."""
        return cls(asyncio.run(_native_history()))

    def judge(self, evidence: Evidence, saver: DaprSaver) -> Judgement:
        """Compare a run with it."""
        graph = build_graph("", "judge").copy({"checkpointer": saver})
        history = asyncio.run(_history(graph, _on(evidence.thread_id)))
        values: Mapping[str, Any] = history[0][2] if history else {}
        return Judgement(
            wrong=(*_unfinished(evidence), *self._differences(_unstamped(history))),
            repeated=tuple(_repetitions(evidence)),
            mixed=tuple(_mixtures(values)),
        )

    def task_ids(self, saver: DaprSaver, thread_id: str) -> frozenset[str]:
        """Return the ids of all tasks that a run has had."""
        return asyncio.run(_task_ids(build_graph("", "judge").copy({"checkpointer": saver}), _on(thread_id)))

    def _differences(self, history: Sequence[_Checkpoint]) -> Iterator[str]:
        if history == self.wanted:
            return
        for place, wanted in enumerate(self.wanted):
            if wanted not in history:
                yield f"there is no {wanted!r}, the {place} before the end"
        yield f"steps {[(step, after) for step, after, _ in history]!r}"


def _unfinished(evidence: Evidence) -> Iterator[str]:
    if evidence.status != "finished":
        yield f"the workflow ended as {evidence.status!r}"


def _repetitions(evidence: Evidence) -> Iterator[str]:
    for names, before in evidence.saved:
        for name in sorted(names):
            if evidence.runs[name] > before[name]:
                yield f"{name} was saved and ran {evidence.runs[name] - before[name]} times more"


def _mixtures(values: Mapping[str, Any]) -> Iterator[str]:
    for one, other in _PAIRS:
        if values.get(one) != values.get(other):
            yield f"{one} {values.get(one)!r} is not {other} {values.get(other)!r}"
    bulky = {each.strip() for each in values.get("bulk", ())}
    if not bulky <= set(values.get("left", ())):
        yield f"bulk {bulky!r} is not of left {values.get('left')!r}"


def saved_names(saver: DaprSaver, thread_id: str) -> frozenset[str]:
    """Return the names of the nodes whose writes are saved, in the graph and its subgraph."""
    return asyncio.run(_saved_names(saver, thread_id))


async def _saved_names(saver: DaprSaver, thread_id: str) -> frozenset[str]:
    names: set[str] = set()
    async for found in saver.alist(_on(thread_id)):
        kept = [*found.checkpoint["channel_values"].items(), *(each[1:] for each in found.pending_writes or [])]
        names.update(each for channel, value in kept if channel in _STAMPED for each in value)
    return frozenset(_STAMP.sub("", name) for name in names)


async def _native_history() -> list[_Checkpoint]:
    with far_end() as far:
        graph = build_graph(far.url, "native").copy({"checkpointer": InMemorySaver()})
        asked = await graph.ainvoke({}, _on("native"), durability="sync")
        for question in QUESTIONS:
            answered = {each.id: "yes" for each in asked["__interrupt__"] if each.value == question}
            asked = await graph.ainvoke(Command(resume=answered), _on("native"), durability="sync")
        return _unstamped(await _history(graph, _on("native")))


async def _history(graph: Any, config: RunnableConfig) -> list[_Checkpoint]:
    return [
        (each.metadata["step"], tuple(sorted(each.next)), dict(each.values))
        async for each in graph.aget_state_history(config)
    ]


async def _task_ids(graph: Any, config: RunnableConfig) -> frozenset[str]:
    return frozenset([task.id async for each in graph.aget_state_history(config) for task in each.tasks])


def _unstamped(value: Any) -> Any:
    if isinstance(value, str):
        return _STAMP.sub("", value)
    if isinstance(value, dict):
        return {key: _unstamped(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_unstamped(each) for each in value)
    return value


def _on(thread_id: str) -> RunnableConfig:
    return {"configurable": {"thread_id": thread_id}}
