"""LangGraph's own calls led through the bridge: `invoke`, `ainvoke`, `stream`, `astream` of a graph with a saver."""

from __future__ import annotations

import asyncio
import contextvars
import functools
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from kit.late_worker import Activity, LateWorker
from langchain_core.runnables import RunnableConfig
from langgraph._internal._config import ensure_config
from langgraph.channels.untracked_value import UntrackedValue
from langgraph.pregel import Pregel

from dapr_bridge import DurableGraph, GraphFailedError

from .saver import RoutedSaver

AnyGraph = Pregel[Any, Any, Any, Any]
Given = RunnableConfig | None
Options = Mapping[str, Any]

_inside: contextvars.ContextVar[bool] = contextvars.ContextVar("inside", default=False)

_WITHOUT_MEANING = {"durability", "print_mode", "debug", "checkpoint_during"}
"""Options that change nothing in what a run through the bridge means."""


def inside(activity: Activity) -> Activity:
    """Mark what runs within an activity: LangGraph's own loop works there."""

    @functools.wraps(activity)
    async def marked(*arguments: Any) -> Any:
        _inside.set(True)
        return await activity(*arguments)

    return marked


@dataclass
class Router:
    """Decides which calls go through the bridge, and leads them there.

    Attributes:
        calls: how many went through, in this test.
        left_out: why some calls of this test mean nothing in a durable run.
    """

    worker: LateWorker
    address: str
    calls: int = 0
    left_out: set[str] = field(default_factory=set[str])
    _raised: dict[tuple[str, str], Exception] = field(default_factory=dict[tuple[str, str], Exception])
    _durable: dict[int, tuple[AnyGraph, DurableGraph]] = field(default_factory=dict[int, Any])

    def takes(self, graph: AnyGraph, config: Given, options: Options) -> bool:
        """Tell whether a call is one of a user's, on a thread of a saver."""
        if _inside.get() or not isinstance(graph.checkpointer, RoutedSaver):
            return False
        configurable = ensure_config(graph.config, config).get("configurable", {})
        if not configurable.get("thread_id") or any(key.startswith("__pregel") for key in configurable):
            return False
        if options.get("durability") == "exit" or options.get("checkpoint_during") is False:
            self.left_out.add("durability='exit'")
            return False
        if any(isinstance(channel, UntrackedValue) for channel in graph.channels.values()):
            self.left_out.add("UntrackedValue")
        return True

    def durable(self, graph: AnyGraph) -> DurableGraph:
        """Return the bridge's view of a graph, hosting it at its first call."""
        self.calls += 1
        if id(graph) not in self._durable:
            saver = graph.checkpointer
            assert isinstance(saver, RoutedSaver)
            name = self.worker.host(graph.copy({"checkpointer": None}), saver=saver)
            self._durable[id(graph)] = (graph, DurableGraph(graph, name=name, saver=saver, address=self.address))
        return self._durable[id(graph)][1]

    @contextmanager
    def watch(self) -> Iterator[None]:
        """Keep what a graph raises in the worker: LangGraph's tests expect the exception, the bridge sends its name."""
        try:
            yield
        except Exception as error:
            if _inside.get():
                self._raised[type(error).__name__, str(error)] = error
            raise

    def as_raised(self, error: GraphFailedError) -> Exception:
        """Return the exception of the type and text that a failed run names."""
        return self._raised.get((error.error_type, error.message), error)

    def reset(self) -> None:
        """Let go of a test's graphs."""
        for _, durable in self._durable.values():
            apart(durable.aclose)
        self._durable.clear()
        self._raised.clear()
        self.worker.release()
        self.calls, self.left_out = 0, set()


def apart(call: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """Run a coroutine in a thread of its own, for a caller without an event loop, or within one."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(contextvars.copy_context().run, asyncio.run, call()).result()


def route(router: Router) -> None:
    """Put the router in front of LangGraph's methods."""
    calls = Calls(router, {name: getattr(Pregel, name) for name in ("invoke", "ainvoke", "stream", "astream")})

    async def ainvoke(graph: AnyGraph, input: Any, config: Given = None, **options: Any) -> Any:  # noqa: A002
        return await calls.ainvoke(graph, input, config, options)

    def invoke(graph: AnyGraph, input: Any, config: Given = None, **options: Any) -> Any:  # noqa: A002
        return calls.invoke(graph, input, config, options)

    def astream(graph: AnyGraph, input: Any, config: Given = None, **options: Any) -> Any:  # noqa: A002
        return calls.astream(graph, input, config, options)

    def stream(graph: AnyGraph, input: Any, config: Given = None, **options: Any) -> Any:  # noqa: A002
        return calls.stream(graph, input, config, options)

    for name, routed in {"invoke": invoke, "ainvoke": ainvoke, "stream": stream, "astream": astream}.items():
        setattr(Pregel, name, functools.wraps(calls.native[name])(routed))


@dataclass(frozen=True)
class Calls:
    """LangGraph's four methods, each native or through the bridge as the router says."""

    router: Router
    native: Mapping[str, Callable[..., Any]]

    async def ainvoke(self, graph: AnyGraph, value: Any, config: Given, options: Options) -> Any:
        """Stand for `Pregel.ainvoke`."""
        if self.router.takes(graph, config, options):
            return await self._run(graph, value, config, options)
        with self.router.watch():
            return await self.native["ainvoke"](graph, value, config, **options)

    def invoke(self, graph: AnyGraph, value: Any, config: Given, options: Options) -> Any:
        """Stand for `Pregel.invoke`."""
        if self.router.takes(graph, config, options):
            return apart(lambda: self._run(graph, value, config, options))
        return self.native["invoke"](graph, value, config, **options)

    async def astream(self, graph: AnyGraph, value: Any, config: Given, options: Options) -> AsyncIterator[Any]:
        """Stand for `Pregel.astream`."""
        takes = self.router.takes(graph, config, options)
        method = self._events if takes else lambda *given: self.native["astream"](*given[:3], **given[3])
        with self.router.watch():
            async for event in method(graph, value, config, options):
                yield event

    def stream(self, graph: AnyGraph, value: Any, config: Given, options: Options) -> Iterator[Any]:
        """Stand for `Pregel.stream`."""
        if not self.router.takes(graph, config, options):
            yield from self.native["stream"](graph, value, config, **options)
            return
        modes = {"stream_mode": options.get("stream_mode") or graph.stream_mode}
        try:
            yield from self.router.durable(graph).stream(value, config or {}, **{**_meaning(options), **modes})
        except GraphFailedError as error:
            raise self.router.as_raised(error) from error

    async def _run(self, graph: AnyGraph, value: Any, config: Given, options: Options) -> Any:
        try:
            return await self.router.durable(graph).ainvoke(value, config or {}, **_meaning(options))
        except GraphFailedError as error:
            raise self.router.as_raised(error) from error

    async def _events(self, graph: AnyGraph, value: Any, config: Given, options: Options) -> AsyncIterator[Any]:
        durable = self.router.durable(graph)
        stream: Any = durable.astream
        modes = {"stream_mode": options.get("stream_mode") or graph.stream_mode}
        try:
            async for event in stream(value, config or {}, **{**_meaning(options), **modes}):
                yield event
        except GraphFailedError as error:
            raise self.router.as_raised(error) from error


def _meaning(options: Options) -> dict[str, Any]:
    """Keep the options that say something; defaults are as good as none."""
    defaults = {"version": "v1", "stream_mode": "values", "subgraphs": False}
    return {
        name: value
        for name, value in options.items()
        if value is not None and name not in _WITHOUT_MEANING and defaults.get(name) != value
    }
