"""`DurableGraph`: a hosted graph as any process sees it."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from datetime import timedelta
from types import TracebackType
from typing import Any, Self, cast

from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import merge_configs
from langgraph.pregel import Pregel
from langgraph.runtime import RunControl
from langgraph.types import All, StreamMode

from dapr_bridge import _blocking
from dapr_bridge._arrivals import Arrivals, nothing, until_end
from dapr_bridge._call_arguments import (
    LangGraphOptions,
    checked_run_id,
    plain_context,
    refuse_others,
    refuse_unknown,
    thread_of,
    wire_config,
    wire_options,
)
from dapr_bridge._callbacks import Report, reported
from dapr_bridge._draining import control_of
from dapr_bridge._events import StreamRequest, decode_event
from dapr_bridge._nesting import Nest, NestedEnd, context_around, nest_of, run_in_task
from dapr_bridge._payloads import Payload, fits_inline
from dapr_bridge._presenting import Presenter, Version, differ, presenter
from dapr_bridge._remote_run import RemoteRuns
from dapr_bridge._subscription import EventSubscription
from dapr_bridge._thread_reader import ThreadReader
from dapr_bridge._wire import IfBusy, RunOutcome, RunRequest
from dapr_bridge._workflows import Workflows
from dapr_bridge.calling import GraphResult, to_result
from dapr_bridge.errors import BridgeError, CallRefusedError
from dapr_bridge.reference import Reference
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


@dataclass(frozen=True, kw_only=True)
class _Call:
    """One call, ready to travel but for its input."""

    config: RunnableConfig
    thread_id: str
    run_id: str
    is_named: bool
    options: Mapping[str, Any]
    context: Any
    stream: StreamRequest | None
    nest: Nest | None
    control: RunControl | None


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
        super().__init__(graph, name=name or str(graph), saver=saver, config=config)
        self._if_busy: IfBusy = if_busy
        self._shared = _Connections(
            workflows=Workflows(address),
            subscription=EventSubscription(events, address=address) if events else None,
        )
        self._runs = RemoteRuns(self._hosted_name, self._shared.workflows, saver.store)

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
        async with reported(call.config, name=self._hosted_name, given=input) as report:
            await report.begins(input, self._saver)
            result = await (self._run_in_task(input, call) if call.nest else self._run(input, call))
            output = presenter(self._original, version=version).output(
                await self._value(result.output), result.interrupts
            )
            await report.ends(result, self._graph, call.options)
            report.output = output
        return output

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
        return await self._run(input, call)

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
        modes = stream_mode or (self._graph.stream_mode if self._graph else "updates")
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
            async for chunk in self._streamed(input, call, subscription, shape, report):
                yield chunk

    async def acancel(self, run_id: str, *, timeout: timedelta = timedelta(seconds=30)) -> bool:  # noqa: ASYNC109
        """Cancel a run, in whatever process it is; returns when it has ended.

        Its caller gets `RunCancelledError`, and its thread is free: a new call goes on from the last checkpoint.

        Returns:
            Whether it was cancelled; False when it had ended.

        Raises:
            BridgeError: no worker has taken notice in time; the run is cancelled as soon as one takes it up.
        """
        try:
            return await self._runs.cancel(run_id, patience=timeout)
        except TimeoutError as error:
            text = f"run {run_id!r}: no worker took notice within {timeout}; it is cancelled when one takes it up"
            raise BridgeError(text) from error

    def with_config(self, config: RunnableConfig | None = None, **kwargs: Any) -> Self:
        """Return a copy whose calls start from this config; it shares the connections."""
        copied = copy(self)
        copied.config = merge_configs(self.config, config, cast("RunnableConfig", kwargs))
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

    # ----- one call -----------------------------------------------------------------------------------------------

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
    ) -> _Call:
        refuse_others(others)
        refuse_unknown(config or {})
        merged = self._merged(config)
        nest = nest_of(merged)
        named = run_id or (nest.run_id(self._hosted_name) if nest else merged.get("metadata", {}).get("run_id"))
        return _Call(
            config=nest.config if nest else merged,
            thread_id=nest.thread_id if nest else thread_of(merged),
            run_id=checked_run_id(str(named)) if named else f"{self._hosted_name}-{uuid.uuid4()}",
            is_named=named is not None,
            options=wire_options(options, if_busy=if_busy or self._if_busy),
            context=plain_context(context_around() if nest and context is None else context),
            stream=stream,
            nest=nest,
            control=control_of(others, is_nested=nest is not None),
        )

    async def _run(self, input: Any, call: _Call) -> GraphResult:  # noqa: A002 - LangGraph's name
        request, _ = await self._begin(input, call)
        return self._result(request, await self._runs.outcome(call.run_id, call.control))

    async def _run_in_task(self, input: Any, call: _Call) -> GraphResult:  # noqa: A002 - LangGraph's name
        async def run(given: Any, number: int) -> NestedEnd:
            run_id = f"{call.run_id}-{number}"
            request, is_begun = await self._begin(given, replace(call, run_id=run_id))
            outcome = await self._runs.outcome(run_id, call.control)
            return NestedEnd.of(lambda: self._result(request, outcome), is_old=not is_begun)

        return await run_in_task(input, run)

    async def _begin(self, input: Any, call: _Call) -> tuple[RunRequest, bool]:  # noqa: A002 - LangGraph's name
        """Start a run, unless a run of its id is there; tells whether this call has started it."""
        request = RunRequest(
            graph=self._hosted_name,
            thread_id=call.thread_id,
            run_id=call.run_id,
            asked_at="",
            input=await self._payload(input, f"{call.run_id}/input"),
            config=wire_config(call.config, call.thread_id),
            stream=call.stream.to_json() if call.stream else None,
            options=call.options,
            context=None if call.context is None else await self._payload(call.context, f"{call.run_id}/context"),
        )
        if call.is_named and await self._runs.find(request, whatever=call.nest is not None):
            return request, False
        await self._runs.start(request, call.control)
        return request, True

    async def _streamed(
        self,
        input: Any,  # noqa: A002 - LangGraph's name
        call: _Call,
        subscription: EventSubscription,
        shape: Presenter,
        report: Report,
    ) -> AsyncGenerator[Any, None]:
        arrivals, values = Arrivals(), None
        with subscription.follow(call.run_id) as inbox:
            request, is_begun = await self._begin(input, call)
            outcome = asyncio.ensure_future(self._runs.outcome(call.run_id, call.control))
            try:
                # A run that another call has begun streams to that call.
                async for event in until_end(inbox, outcome, arrivals) if is_begun else nothing():
                    payload = await decode_event(event, self._saver)
                    if event.mode == "values" and not event.namespace:
                        values = payload
                    yield shape.event(event.namespace, event.mode, payload)
                ended = await outcome
            finally:
                outcome.cancel()
        result = self._result(request, ended)
        await report.ends(result, self._graph, call.options)
        has_all = is_begun and arrivals.has_all(ended.events)
        if call.stream and "values" in call.stream.modes and not has_all and not result.interrupts:
            output = await self._value(result.output)
            if differ(output, values):
                yield shape.event((), "values", output)

    def _result(self, request: RunRequest, outcome: RunOutcome) -> GraphResult:
        return to_result(request, outcome, self._saver.serde)

    async def _value(self, output: Any) -> Any:
        return await self._saver.aget_value(output) if isinstance(output, Reference) else output

    async def _payload(self, value: Any, name: str) -> Payload:
        inline = fits_inline(value, self._saver.serde)
        return inline if inline is not None else dict((await self._saver.aput_value(name, value)).to_json())
