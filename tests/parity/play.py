"""Play a script on one side and write down all that can be seen of it."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import merge_configs
from langgraph.types import Command, StateSnapshot

from tests.parity.likeness import Likeness, in_order
from tests.parity.shape import Answer, AnyGraph, Ask, Edit, GoOn, Move, Shape
from tests.parity.sides import Side

Seen = list[dict[str, Any]]


class NodeRuns(BaseCallbackHandler):
    """Counts how often each node ran; hung on a graph, for callbacks of a caller stay with the caller."""

    run_inline = True

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._runs: Counter[str] = Counter()

    def on_chain_start(self, serialized: Any, inputs: Any, *, run_id: UUID, **about: Any) -> None:
        """Count a node's own run, and not what it calls."""
        node = (about.get("metadata") or {}).get("langgraph_node")
        if node is not None and about.get("name") == node:
            with self._guard:
                self._runs[node] += 1

    def counts(self) -> dict[str, int]:
        """How often each node ran until now."""
        with self._guard:
            return dict(sorted(self._runs.items()))


def watched(graph: AnyGraph) -> tuple[AnyGraph, NodeRuns]:
    """Return the graph with a counter of its nodes' runs."""
    runs = NodeRuns()
    return graph.with_config(RunnableConfig(callbacks=[runs])), runs


async def play(shape: Shape, side: Side, *, thread_id: str, runs: NodeRuns, likeness: Likeness | None = None) -> Seen:
    """Return what was seen after each move, and at last the history."""
    likeness, thread = likeness or Likeness(), RunnableConfig(configurable={"thread_id": thread_id})
    seen: Seen = []
    for move in shape.script:
        outcome = await _outcome(move, side, thread, likeness)
        seen.append({"move": move, **outcome, "state": await _state(side, thread, likeness), "runs": runs.counts()})
    return [*seen, await _history(side, thread, likeness)]


async def _outcome(move: Move, side: Side, thread: RunnableConfig, likeness: Likeness) -> dict[str, Any]:
    try:
        return {"output": likeness.of(await _make(move, side, thread))}
    except Exception as error:  # noqa: BLE001 - whatever it is, it is compared
        return likeness.of_error(error)


async def _make(move: Move, side: Side, thread: RunnableConfig) -> Any:
    match move:
        case Ask():
            place = await _place(side, thread, move.at)
            return await side.invoke(move.input, _with(place, move), context=move.context)
        case Answer():
            waiting = [question for question, _ in in_order((await side.state(thread)).interrupts)]
            answers = {question.id: answer for question, answer in zip(waiting, move.answers, strict=False)}
            return await side.invoke(Command(resume=answers), thread, context=None)
        case GoOn():
            waiting = [question for question, _ in in_order((await side.state(thread)).interrupts)]
            # Those that ask the same are answered together, for nothing tells them apart.
            chosen = {repr(question.value) for question in waiting[: move.most]}
            answers = {each.id: move.answer for each in waiting if repr(each.value) in chosen}
            return await side.invoke(Command(resume=answers) if answers else None, _with(thread, move), context=None)
        case Edit():
            place = await _within(side, await _place(side, thread, move.at), move.within)
            return await side.edit(place, move.values, as_node=move.as_node)


def _with(place: RunnableConfig, move: Ask | GoOn) -> RunnableConfig:
    return merge_configs(place, RunnableConfig(**move.config))


async def _place(side: Side, thread: RunnableConfig, at: int | None) -> RunnableConfig:
    return thread if at is None else (await side.history(thread))[at].config


async def _within(side: Side, place: RunnableConfig, nodes: Sequence[str]) -> RunnableConfig:
    if not nodes:
        return place
    state = await side.state(place)
    for node in nodes:
        [state] = [task.state for task in state.tasks if task.name == node and isinstance(task.state, StateSnapshot)]
    return state.config


async def _state(side: Side, thread: RunnableConfig, likeness: Likeness) -> Any:
    try:
        return likeness.of_state(await side.state(thread))
    except Exception as error:  # noqa: BLE001 - some states cannot be read, such as one after conflicting writes
        return likeness.of_error(error)


async def _history(side: Side, thread: RunnableConfig, likeness: Likeness) -> dict[str, Any]:
    try:
        return {"history": [likeness.of_state(each) for each in await side.history(thread)]}
    except Exception as error:  # noqa: BLE001 - see `_state`
        return likeness.of_error(error)
