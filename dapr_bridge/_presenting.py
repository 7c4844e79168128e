"""What a run streamed and returned, in the shape in which LangGraph gives it to its caller."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from langgraph.pregel import Pregel
from langgraph.types import GraphOutput, Interrupt

Version = Literal["v1", "v2"]

_INTERRUPT = "__interrupt__"
_START = "__start__"


@dataclass(frozen=True, kw_only=True)
class Presenter:
    """Shapes what one call gives back.

    Attributes:
        version: LangGraph's version of the shapes.
        names_mode: whether an event says its stream mode: the caller asked for a list of them.
        names_namespace: whether an event says its namespace: the caller asked for subgraphs.
        to_output: in `v2`, builds the graph's output type of a dictionary; None: the dictionary stays.
        to_state: in `v2`, builds its state type.
    """

    version: Version
    names_mode: bool = False
    names_namespace: bool = False
    to_output: Callable[[Any], Any] | None = None
    to_state: Callable[[Any], Any] | None = None

    def event(self, namespace: tuple[str, ...], mode: str, payload: Any) -> Any:
        """Shape one event of a stream."""
        if self.version == "v2":
            return self._part(namespace, mode, payload)
        marks = [namespace] if self.names_namespace else []
        if self.names_mode:
            return (*marks, mode, payload)
        return (*marks, payload) if marks else payload

    def output(self, output: Any, interrupts: Sequence[Interrupt]) -> Any:
        """Shape what `ainvoke` returns."""
        if self.version == "v2":
            # LangGraph tells questions in a dictionary, which is empty without them.
            value: Any = {} if output is None and interrupts else output
            return GraphOutput(value=_built(value, self.to_output), interrupts=tuple(interrupts))
        if not interrupts:
            return output
        return {**output, _INTERRUPT: list(interrupts)} if isinstance(output, dict) else {_INTERRUPT: list(interrupts)}

    def _part(self, namespace: tuple[str, ...], mode: str, payload: Any) -> dict[str, Any]:
        part: dict[str, Any] = {"type": mode, "ns": namespace, "data": payload}
        if mode == "values":
            interrupts = payload.pop(_INTERRUPT, ()) if isinstance(payload, dict) else ()
            return {**part, "data": _built(payload, self.to_output), "interrupts": interrupts}
        if mode == "checkpoints":
            return {**part, "data": self._checkpoint(payload)}
        if mode == "debug" and payload["type"] == "checkpoint":
            return {**part, "data": {**payload, "payload": self._checkpoint(payload["payload"])}}
        return part

    def _checkpoint(self, payload: Mapping[str, Any]) -> Mapping[str, Any]:
        # Before its first node a thread does not hold what the state's type requires.
        if _START in payload.get("next", ()):
            return payload
        return {**payload, "values": _built(payload.get("values"), self.to_state)}


def presenter(
    graph: Pregel[Any, Any, Any, Any] | None,
    *,
    version: Version,
    stream_mode: str | Iterable[str] = "values",
    subgraphs: bool = False,
) -> Presenter:
    """Return the presenter of one call; without the graph, `v2` gives dictionaries."""
    return Presenter(
        version=version,
        names_mode=isinstance(stream_mode, list),
        names_namespace=subgraphs,
        # LangGraph has no public way to build a graph's types; a test fails when these move.
        to_output=graph._output_mapper if graph else None,  # pyright: ignore[reportPrivateUsage]
        to_state=graph._state_mapper if graph else None,  # pyright: ignore[reportPrivateUsage]
    )


def _built(value: Any, build: Callable[[Any], Any] | None) -> Any:
    return build(value) if build and isinstance(value, dict) else value


def differ(one: Any, other: Any) -> bool:
    """Tell whether two outputs differ; those that cannot be compared do."""
    try:
        return bool(one != other)
    except ValueError:
        # Arrays compare item by item.
        return True
