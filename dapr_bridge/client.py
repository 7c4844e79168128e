"""`DurableGraph`: a hosted graph as any process sees it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from datetime import timedelta
from types import TracebackType
from typing import Any, Self, cast

from langchain_core.runnables import RunnableConfig
from langgraph.pregel import Pregel
from langgraph.types import All, StreamMode

from dapr_bridge import _blocking
from dapr_bridge._call_arguments import LangGraphOptions, check_config, checked_if_busy, refuse_others
from dapr_bridge._callbacks import reported
from dapr_bridge._calls import Call, Calls
from dapr_bridge._events import StreamRequest
from dapr_bridge._langgraph import bound_with
from dapr_bridge._nesting import call_config
from dapr_bridge._presenting import Version, presenter
from dapr_bridge._remote_run import RemoteRuns
from dapr_bridge._subscription import EventSubscription
from dapr_bridge._thread_reader import ThreadReader
from dapr_bridge._wire import IfBusy
from dapr_bridge._workflows import Workflows
from dapr_bridge.calling import GraphResult
from dapr_bridge.errors import BridgeError, CallRefusedError
from dapr_bridge.saver import DaprSaver

_NO_STREAM = "this DurableGraph streams nothing: give it the name of a pub/sub component, events='message-pubsub'"


@dataclass(kw_only=True)
class _Connections:
    """What a graph and its copies with another config share."""

    workflows: Workflows
    subscription: EventSubscription | None

    def close(self) -> None:
        if self.subscription is not None:
            self.subscription.close()
        self.workflows.close()


class DurableGraph(ThreadReader):
    """Runs a graph that some `GraphWorker` hosts, and reads its threads; stands where a compiled graph stood.

    Cancelling the task that waits for a run, or leaving its stream, leaves the run alone: see `acancel`. Callbacks in a
    config stay in this process, where a run is one step to them. A config without a thread runs on a new one.

    Args:
        graph: the compiled graph, whose channels say how to read a thread; only its name is enough to run it.
        name: the name under which a worker hosts it.
        saver: the saver of that worker's threads.
        address: the sidecar's gRPC address, `host:port`; Dapr's own settings when not given.
        events: the pub/sub component over which runs stream; None: this graph streams nothing.
        if_busy: what a run does while another one has its thread: raise `ThreadBusyError`, or wait for its end.
        config: LangGraph's config, which each call adds to.
    """

    def __init__(
        self,
        graph: Pregel[Any, Any, Any, Any] | str,
        *,
        saver: DaprSaver,
        name: str | None = None,
        address: str | None = None,
        events: str | None = "message-pubsub",
        if_busy: IfBusy = "raise",
        config: RunnableConfig | None = None,
    ) -> None:
        if name is None and not isinstance(graph, str):
            raise CallRefusedError("DurableGraph needs the name under which a worker hosts the graph: name='...'")
        check_config(config or {})
        super().__init__(graph, name=name or str(graph), saver=saver, config=config)
        self._if_busy: IfBusy = checked_if_busy(if_busy)
        patience = saver.store.patience
        self._shared = _Connections(
            workflows=Workflows(address, patience),
            subscription=EventSubscription(events, address=address, patience=patience.away) if events else None,
        )
        self._runs = RemoteRuns(self._hosted_name, self._shared.workflows, saver.store)
        self._calls = Calls(self._hosted_name, runs=self._runs, saver=saver, graph=self._graph)

    # ----- runs ---------------------------------------------------------------------------------------------------

    async def ainvoke(
        self,
        input: Any,  # noqa: A002 - LangGraph's name
        config: RunnableConfig | None = None,
        *,
        context: Any = None,
        stream_mode: StreamMode | list[StreamMode] = "values",
        output_keys: str | Sequence[str] | None = None,
        interrupt_before: All | Sequence[str] | None = None,
        interrupt_after: All | Sequence[str] | None = None,
        subgraphs: bool = False,
        version: Version = "v1",
        run_id: str | None = None,
        if_busy: IfBusy | None = None,
        **others: Any,
    ) -> Any:
        """Run the graph and return its output, with `__interrupt__` when it asks something.

        Args:
            input: LangGraph's input, a `Command`, or None to go on.
            config: LangGraph's config; with a `checkpoint_id` the run begins there.
            context: LangGraph's static context.
            stream_mode: another mode than `values` returns the list of what `astream` yields.
            output_keys: the channels of the output.
            interrupt_before: nodes to stop before.
            interrupt_after: nodes to stop after.
            subgraphs: whether a list of what `astream` yields has the events of subgraphs.
            version: LangGraph's version of the output's shape.
            run_id: name of the run, its workflow's instance id; a name given twice is one run, also after its end.
            if_busy: in place of the graph's own `if_busy`.
            others: what LangGraph has beside; refused by name where a durable run cannot honour it.

        Raises:
            GraphFailedError: a node failed after its own retries; `ainvoke(None, config)` goes on.
            GraphNotFoundError: the worker that took the run hosts no graph of that name.
            ThreadBusyError: another run of the thread is going on.
            RunCancelledError: the run was cancelled; LangGraph's `GraphDrained`: a `RunControl` has stopped it.
            CallRefusedError: something in the call would be lost on the way.
        """
        options = LangGraphOptions(
            output_keys=output_keys, interrupt_before=interrupt_before, interrupt_after=interrupt_after
        )
        if stream_mode != "values":
            chunks = self.astream(
                input,
                config,
                context=context,
                stream_mode=stream_mode,
                subgraphs=subgraphs,
                version=version,
                run_id=run_id,
                if_busy=if_busy,
                **options,
                **others,
            )
            return [chunk async for chunk in chunks]
        call = self._call(config, options, context=context, run_id=run_id, if_busy=if_busy, others=others)
        return await self._output(input, call, version=version)

    async def arun(
        self,
        input: Any,  # noqa: A002 - LangGraph's name
        config: RunnableConfig | None = None,
        *,
        run_id: str | None = None,
        if_busy: IfBusy | None = None,
    ) -> GraphResult:
        """Run the graph and tell how the run ended; a large output is returned by reference."""
        call = self._call(config, LangGraphOptions(), context=None, run_id=run_id, if_busy=if_busy, others={})
        return await self._calls.run(input, call)

    async def astream(
        self,
        input: Any,  # noqa: A002 - LangGraph's name
        config: RunnableConfig | None = None,
        *,
        context: Any = None,
        stream_mode: StreamMode | Sequence[StreamMode] | None = None,
        output_keys: str | Sequence[str] | None = None,
        interrupt_before: All | Sequence[str] | None = None,
        interrupt_after: All | Sequence[str] | None = None,
        subgraphs: bool = False,
        version: Version = "v1",
        run_id: str | None = None,
        if_busy: IfBusy | None = None,
        **others: Any,
    ) -> AsyncGenerator[Any, None]:
        """Run the graph and yield its events while it goes on, each once and in order; then raise what the run raised.

        Events travel over pub/sub, which may lose some when a sidecar is killed. The last `values` event is never
        lost: it is the run's output.

        Args:
            input: as in `ainvoke`, like all that is not named here.
            config: LangGraph's config.
            context: LangGraph's static context.
            stream_mode: LangGraph's modes; by default the graph's own, else `updates`.
            output_keys: the channels of `values` and `updates`.
            interrupt_before: nodes to stop before.
            interrupt_after: nodes to stop after.
            subgraphs: whether to yield the events of subgraphs.
            version: LangGraph's version of the events' shape.
            run_id: name of the run; of one that another call has begun, only the last `values` are yielded.
            if_busy: in place of the graph's own `if_busy`.
            others: what LangGraph has beside.

        Raises:
            CallRefusedError: there is no pub/sub component to stream over, or something in the call would be lost.
        """
        subscription = self._shared.subscription
        if subscription is None:
            raise CallRefusedError(_NO_STREAM)
        own = self._graph.stream_mode if self._graph else "updates"
        modes = own if stream_mode is None else stream_mode
        wanted = StreamRequest(
            modes=[modes] if isinstance(modes, str) else list(modes), subgraphs=subgraphs, topic=subscription.topic
        )
        options = LangGraphOptions(
            output_keys=output_keys, interrupt_before=interrupt_before, interrupt_after=interrupt_after
        )
        call = self._call(
            config, options, context=context, run_id=run_id, if_busy=if_busy, others=others, stream=wanted
        )
        shape = presenter(self._original, version=version, stream_mode=modes, subgraphs=subgraphs)
        async with reported(call.config, name=self._hosted_name, given=input) as report:
            await report.begins(input, self._saver)
            await subscription.start()
            async for chunk in self._calls.stream(input, call, subscription, shape, report):
                yield chunk

    async def acancel(self, run_id: str, *, timeout: timedelta = timedelta(seconds=30)) -> bool:  # noqa: ASYNC109
        """Cancel a run, in whatever process it is; returns when it has ended.

        Its caller gets `RunCancelledError`, and its thread is free: a new call goes on from the last checkpoint.
        A workflow of another app that waits for an answer to the run hears of it with the next one.

        Returns:
            Whether it was cancelled; False when it had ended.

        Raises:
            BridgeError: no worker has taken notice in time, or no run has that id; the run is cancelled as soon as one
                takes it up, also one that begins under that id later.
        """
        try:
            return await self._runs.cancel(run_id, patience=timeout)
        except TimeoutError as error:
            raise BridgeError(
                f"run {run_id!r}: no worker took notice within {timeout}; it is cancelled when one takes it up. Or no "
                "run has that id: one that begins under it later is cancelled at once"
            ) from error

    def with_config(self, config: RunnableConfig | None = None, **kwargs: Any) -> Self:
        """Return a copy whose calls start from this config; it shares the connections."""
        check_config({**(config or {}), **kwargs})
        copied = copy(self)
        copied.config = bound_with(self.config, config, cast("RunnableConfig", kwargs))
        return copied

    # ----- for callers that block ---------------------------------------------------------------------------------

    def invoke(self, input: Any, config: RunnableConfig | None = None, **given: Any) -> Any:  # noqa: A002
        """Run the graph, as `ainvoke` does."""
        return _blocking.wait_for(self.ainvoke(input, config, **given))

    def stream(self, input: Any, config: RunnableConfig | None = None, **given: Any) -> Iterator[Any]:  # noqa: A002
        """Run the graph and yield its events, as `astream` does."""
        return _blocking.iterate(self.astream(input, config, **given))

    # ----- opening and closing ------------------------------------------------------------------------------------

    async def aclose(self) -> None:
        """Close the connections to the workflow engine and the pub/sub; the saver stays open."""
        await asyncio.to_thread(self._shared.close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def _output(self, given: Any, call: Call, *, version: Version) -> Any:
        async with reported(call.config, name=self._hosted_name, given=given) as report:
            await report.begins(given, self._saver)
            run = self._calls.run_in_task if call.nest else self._calls.run
            result = await run(given, call)
            report.output = await self._calls.value(result.output)
            output = presenter(self._original, version=version).output(
                report.output, await self._calls.questions(result)
            )
            await report.ends(result, self._graph, call.options)
        return output

    def _call(
        self,
        config: RunnableConfig | None,
        options: LangGraphOptions,
        *,
        context: Any,
        run_id: str | None,
        if_busy: IfBusy | None,
        others: Mapping[str, Any],
        stream: StreamRequest | None = None,
    ) -> Call:
        refuse_others(others)
        check_config(config or {})
        return Call.of(
            self._hosted_name,
            call_config(self.config, config),
            options,
            context=context,
            run_id=run_id,
            if_busy=self._if_busy if if_busy is None else checked_if_busy(if_busy),
            others=others,
            stream=stream,
        )
