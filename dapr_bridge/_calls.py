"""Calls of a durable graph: what one asks for, and its run from the start to the known end, or event by event."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.pregel import Pregel
from langgraph.runtime import RunControl
from langgraph.types import Interrupt

from dapr_bridge._arrivals import Arrivals, nothing, until_end
from dapr_bridge._call_arguments import (
    LangGraphOptions,
    checked_run_id,
    thread_of,
    wire_config,
    wire_options,
)
from dapr_bridge._callbacks import Report
from dapr_bridge._draining import control_of
from dapr_bridge._events import StreamRequest, decode_event
from dapr_bridge._nesting import Nest, NestedEnd, context_around, nest_of, run_in_task
from dapr_bridge._payloads import Payload
from dapr_bridge._presenting import Presenter, differ
from dapr_bridge._remote_run import RemoteRuns, taken_run_id
from dapr_bridge._run_ends import commands_the_graph_around
from dapr_bridge._run_values import RunValues
from dapr_bridge._static_context import plain_context
from dapr_bridge._subscription import EventSubscription
from dapr_bridge._wire import IfBusy, RunOutcome, RunRequest
from dapr_bridge.calling import GraphResult, to_result
from dapr_bridge.reference import Reference
from dapr_bridge.saver import DaprSaver

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Call:
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

    @classmethod
    def of(
        cls,
        graph: str,
        config: RunnableConfig,
        options: LangGraphOptions,
        *,
        context: Any,
        run_id: str | None,
        if_busy: IfBusy,
        others: Mapping[str, Any],
        stream: StreamRequest | None,
    ) -> Call:
        """Make a call of what a caller has given; within another graph's task it gets the task's thread and name."""
        nest = nest_of(config)
        named = run_id or (nest.run_id(graph) if nest else config.get("metadata", {}).get("run_id"))
        return cls(
            config=nest.config if nest else config,
            thread_id=nest.thread_id if nest else thread_of(config, run_id=str(named) if named else None),
            run_id=checked_run_id(str(named)) if named else f"{graph}-{uuid.uuid4()}",
            is_named=named is not None,
            options=wire_options(options, if_busy=if_busy),
            context=plain_context(context_around() if nest and context is None else context),
            stream=stream,
            nest=nest,
            control=control_of(others, is_nested=nest is not None),
        )


class Calls:
    """Carries out the calls of one hosted graph."""

    def __init__(
        self, name: str, *, runs: RemoteRuns, saver: DaprSaver, graph: Pregel[Any, Any, Any, Any] | None
    ) -> None:
        self._name, self._runs, self._saver, self._graph = name, runs, saver, graph
        self._values = RunValues(saver=saver)

    async def run(self, given: Any, call: Call) -> GraphResult:
        """Run the graph with an input, and tell how the run ended."""
        request, _ = await self._begin(given, call)
        return self._result(request, await self._runs.outcome(call.run_id, call.control))

    async def run_in_task(self, given: Any, call: Call) -> GraphResult:
        """Run the graph within another graph's task, to its end: its questions reach the graph around."""

        async def run_one(given: Any, number: int) -> NestedEnd:
            run_id = f"{call.run_id}-{number}"
            request, is_begun = await self._begin(given, replace(call, run_id=run_id))
            outcome = await self._runs.outcome(run_id, call.control)
            await self._obey(call, outcome)
            end = NestedEnd.of(lambda: self._result(request, outcome), is_old=not is_begun)
            if not isinstance(end.result, GraphResult):
                return end
            return replace(end, result=replace(end.result, interrupts=await self.questions(end.result)))

        return await run_in_task(given, run_one)

    async def stream(
        self, given: Any, call: Call, subscription: EventSubscription, shape: Presenter, report: Report
    ) -> AsyncGenerator[Any, None]:
        """Run the graph with an input and yield its events; the last `values` are the run's output."""
        arrivals, values = Arrivals(), None
        with subscription.follow(call.run_id) as inbox:
            request, is_begun = await self._begin(given, call)
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
        await self._obey(call, ended)
        result = self._result(request, ended)
        await report.ends(result, self._graph, call.options)
        if is_begun:
            _tell_missing(arrivals.missing(ended.events), ended.events, call)
        has_all = is_begun and arrivals.has_all(ended.events)
        is_due = call.stream and "values" in call.stream.modes and not has_all and not result.interrupts
        if is_due or report.is_heard:
            report.output = output = await self.value(result.output)
            if is_due and differ(output, values):
                yield shape.event((), "values", output)

    async def _obey(self, call: Call, outcome: RunOutcome) -> None:
        """Raise what a run commands the graph in whose node it was called, if it does."""
        if call.nest and commands_the_graph_around(outcome):
            raise call.nest.parent_command(await self._values.value(outcome.output or {}, what="a Command"))

    async def value(self, output: Any) -> Any:
        """Return an output itself, which may have been saved by reference."""
        return await self._saver.aget_value(output) if isinstance(output, Reference) else output

    async def questions(self, result: GraphResult) -> tuple[Interrupt, ...]:
        """Return what a run has asked, with values that may have been saved by reference."""
        return tuple(
            [
                Interrupt(
                    value=await self.value(each.value),
                    id=each.id,
                    response_schema=await self.value(each.response_schema),
                )
                for each in result.interrupts
            ]
        )

    async def _begin(self, given: Any, call: Call) -> tuple[RunRequest, bool]:
        """Start a run, unless a run of its id is there; tells whether this call has started it."""
        request = RunRequest(
            graph=self._name,
            thread_id=call.thread_id,
            run_id=call.run_id,
            asked_at="",
            input=await self._keep(given, call, "input"),
            config=wire_config(call.config, call.thread_id),
            stream=call.stream.to_json() if call.stream else None,
            options=call.options,
            context=None if call.context is None else await self._keep(call.context, call, "context"),
        )
        if call.is_named and await self._runs.find(request, whatever=call.nest is not None):
            return request, False
        await self._runs.start(request, call.control)
        return request, True

    def _result(self, request: RunRequest, outcome: RunOutcome) -> GraphResult:
        return to_result(request, outcome, self._saver.serde)

    async def _keep(self, value: Any, call: Call, what: str) -> Payload:
        """Make a value fit for history, in which a run id given twice shows only the name of a large one."""
        name = f"{call.run_id}/{what}"
        kept = await self._values.keep_given(value, name, what=f"the {what}")
        is_one_run = call.is_named and call.nest is None and "reference" in kept
        if is_one_run and not await self._values.is_kept(value, name):
            raise taken_run_id(call.run_id, what)
        return kept


def _tell_missing(missing: int, published: Mapping[str, int], call: Call) -> None:
    if missing:
        logger.warning(
            "%s of %s events did not arrive: do worker and client name the same pub/sub component (events=...)?",
            missing,
            sum(published.values()),
            extra={"run_id": call.run_id, "thread_id": call.thread_id},
        )
