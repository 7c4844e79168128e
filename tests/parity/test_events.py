"""Every named shape tells through the bridge what it tells with `astream`."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import pytest
from langchain_core.messages import AIMessage

from tests.parity.difference import differences
from tests.parity.hosting import HostedShapes
from tests.parity.likeness import Likeness
from tests.parity.play import play, watched
from tests.parity.shape import Shape
from tests.parity.shapes import SHAPES
from tests.parity.sides import Event, Listening, NativeSide

pytestmark = pytest.mark.anyio

# Steps follow one another; what tasks of one step tell comes as they run.
_IN_ORDER = frozenset({"values", "checkpoints"})


def told(events: Sequence[Event]) -> dict[str, list[list[str]]]:
    """Return what was told, by mode and node path: what each graph told, in its order where it has one."""
    by_graph: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for namespace, mode, payload in events:
        # Ids are not followed from event to event: their order of appearance may differ.
        by_graph.setdefault((mode, namespace), []).append(repr(Likeness().of(_as_told(mode, payload))))
    by_path: dict[str, list[list[str]]] = {}
    for (mode, namespace), each in by_graph.items():
        path = f"{mode} of {Likeness().of(namespace)}"
        by_path.setdefault(path, []).append(_with_questions_sorted(each) if mode in _IN_ORDER else sorted(each))
    return {path: sorted(graphs) for path, graphs in by_path.items()}


def _with_questions_sorted(told_here: list[str]) -> list[str]:
    """Sort questions that were asked one right after the other, by tasks that ran at once."""
    runs = groupby(told_here, key=lambda each: "__interrupt__" in each)
    return [each for is_question, run in runs for each in (sorted(run) if is_question else run)]


def _as_told(mode: str, payload: Any) -> Any:
    """An agent names its model's message after it has streamed it: whether the name is told is a matter of moments."""
    if mode == "messages" and isinstance(payload[0], AIMessage):
        return (payload[0].model_copy(update={"name": None}), payload[1])
    return _with_errors_told(mode, payload)


def _with_errors_told(mode: str, payload: Any) -> Any:
    """An exception travels as what it looks like, which is also how LangGraph's savers keep it."""
    if mode == "tasks" and isinstance(payload.get("error"), BaseException):
        return {**payload, "error": repr(payload["error"])}
    if mode == "checkpoints":
        return {**payload, "tasks": [_with_errors_told("tasks", task) for task in payload["tasks"]]}
    return payload


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
async def test_a_shape_tells_the_same_through_the_bridge(shape: Shape, hosted: HostedShapes) -> None:
    thread_id = f"{shape.name}-{hosted.unit}-events"
    graph, runs = watched(shape.build())
    native = Listening(NativeSide(graph))
    await play(shape, native, thread_id=thread_id, runs=runs)
    durable, side, runs = hosted.side(shape)
    bridged = Listening(side)
    async with durable:
        await play(shape, bridged, thread_id=thread_id, runs=runs)

    assert list(differences(told(native.heard), told(bridged.heard))) == []
