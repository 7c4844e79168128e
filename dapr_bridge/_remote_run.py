"""A run as its caller's process sees it: started, or found to be there already, waited for, cancelled."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, cast

import grpc
from dapr.ext.workflow import WorkflowState, WorkflowStatus
from langgraph.runtime import RunControl

from dapr_bridge import _names
from dapr_bridge._answers import cancellation_of
from dapr_bridge._cancellation import AwaitedEvents, CancelMarks
from dapr_bridge._draining import DrainMarks, passing_on
from dapr_bridge._instances import decoded
from dapr_bridge._payloads import Payload, in_one_order
from dapr_bridge._tracing import CallSpans
from dapr_bridge._wire import Failure, RunOutcome, RunRequest
from dapr_bridge._workflows import ENDED, Workflows
from dapr_bridge.errors import BridgeError, CallRefusedError
from dapr_bridge.saver.store import StateStore

logger = logging.getLogger(__name__)

_PAUSE_SECONDS = 0.05
_BETWEEN_WAKES_SECONDS = 5.0
_LONG_TO_BEGIN_SECONDS = 10.0

# What makes two requests of one run id the same; a stream may be asked for by one of them only.
_SAME = ("graph", "thread_id", "input", "context")


class RemoteRuns:
    """The runs of one graph; a run's id is the instance id of its workflow."""

    def __init__(self, graph: str, workflows: Workflows, store: StateStore) -> None:
        self._graph, self._workflows = graph, workflows
        self._marks, self._drains = CancelMarks(store), DrainMarks(store)
        self._awaited = AwaitedEvents(store)
        self._spans = CallSpans()

    async def find(self, request: RunRequest, *, whatever: bool = False) -> bool:
        """Tell whether the run is there already, going on or ended.

        Args:
            request: what is asked for.
            whatever: the id alone says which run it is, whatever it is about.

        Raises:
            CallRefusedError: the run of that id is about something else.
        """
        state = await self._existing(request, whatever=whatever)
        if state is None:
            return False
        self._spans.joined(request, _recorded(state.serialized_input).get("run_trace", ""))
        return True

    async def start(self, request: RunRequest, control: RunControl | None = None) -> None:
        """Start a run, unless another caller has just started it; one that is to be drained knows from the start."""
        if control is not None:
            await self._drains.note(request.run_id or "", control)
        name, instance_id = _names.graph_workflow(self._graph), request.run_id or ""
        with self._spans.beginning(request) as traced:
            # Dapr answers when a worker has begun the workflow.
            async with self._telling_of_no_worker(instance_id):
                is_new = await self._workflows.start(name, instance_id=instance_id, record=traced.to_json())
            if not is_new:
                await self._existing(request)

    async def outcome(self, run_id: str, control: RunControl | None = None) -> RunOutcome:
        """Wait for a run's end, and have it drained when its caller's control asks for that.

        Raises:
            BridgeError: its workflow has vanished.
        """
        with self._spans.waiting(run_id) as span:
            state = await passing_on(control, self._drains, run_id, self._workflows.end(run_id))
            if state is None:
                raise BridgeError(f"workflow {run_id!r} of graph {self._graph!r} has vanished")
            outcome = _outcome(state)
            span.ended(outcome)
        return outcome

    async def cancel(self, run_id: str, *, patience: timedelta) -> bool:
        """Wish that a run be cancelled, and wait until it has ended; tells whether it was cancelled."""
        if await self._has_ended(run_id):
            return False
        await self._marks.put(run_id)
        async with asyncio.timeout(patience.total_seconds()):
            clock, wakes_at = asyncio.get_running_loop().time, 0.0
            while await self._marks.exists(run_id):
                if await self._has_ended(run_id):
                    await self._marks.remove(run_id)
                elif clock() >= wakes_at and await self._wake(run_id):
                    wakes_at = clock() + _BETWEEN_WAKES_SECONDS
                await asyncio.sleep(_PAUSE_SECONDS)
        state = await self._workflows.end(run_id)
        return state is None or _status(state) == "cancelled"

    async def _wake(self, run_id: str) -> bool:
        """Wake the workflow that waits for answers to a run, if one does; tells whether it was told."""
        awaited = await self._awaited.find(run_id)
        return awaited is not None and await self._workflows.raise_event(
            awaited.instance_id, awaited.event, data=cancellation_of(run_id)
        )

    async def _existing(self, request: RunRequest, *, whatever: bool = False) -> WorkflowState | None:
        run_id = request.run_id or ""
        state = await (self._workflows.state(run_id) if whatever else self._begun(run_id))
        if state is None or _is_busy(state):
            return None
        if not whatever:
            self._check_same(state, request)
        return state

    async def _begun(self, run_id: str) -> WorkflowState | None:
        """Return how a run's workflow stands, once a worker has begun it: until then Dapr does not show its input."""
        async with self._telling_of_no_worker(run_id):
            while True:
                state = await self._workflows.state(run_id)
                if state is None or state.serialized_input is not None or state.runtime_status in ENDED:
                    return state
                await asyncio.sleep(_PAUSE_SECONDS)

    @asynccontextmanager
    async def _telling_of_no_worker(self, run_id: str) -> AsyncGenerator[None]:
        """Warn once when a run has not begun within some seconds of the block."""
        teller = asyncio.ensure_future(self._tell_of_no_worker(run_id))
        try:
            yield
        finally:
            teller.cancel()

    async def _tell_of_no_worker(self, run_id: str) -> None:
        await asyncio.sleep(_LONG_TO_BEGIN_SECONDS)
        try:
            state = await self._workflows.state(run_id)
        except (grpc.RpcError, BridgeError) as error:
            logger.debug("cannot see whether a run has begun: %s", error, extra={"run_id": run_id})
            return
        if state is not None and state.runtime_status is WorkflowStatus.PENDING:
            logger.warning(
                "run %s has not begun: is a worker that hosts graph %r connected to this app's sidecar?",
                run_id,
                self._graph,
                extra={"run_id": run_id},
            )

    async def _has_ended(self, run_id: str) -> bool:
        state = await self._workflows.state(run_id)
        return state is not None and state.runtime_status in ENDED

    def _check_same(self, state: WorkflowState, request: RunRequest) -> None:
        if state.serialized_input is None:
            # It was ended from outside before it began.
            return
        record, wanted = _recorded(state.serialized_input), json.loads(json.dumps(request.to_json()))
        for name in _SAME:
            if _comparable(record.get(name)) != _comparable(wanted.get(name)):
                raise taken_run_id(request.run_id or "", name.replace("_id", ""))


def taken_run_id(run_id: str, what: str) -> CallRefusedError:
    """Return the error for a run id that is given again for something else."""
    to_do = "give each run an id of its own"
    if what == "input":
        to_do += "; when this one has ended, ainvoke(None, config) without it goes on with its thread"
    return CallRefusedError(f"run id {run_id!r} is taken by a run with another {what}: {to_do}")


def _comparable(value: Any) -> Any:
    return in_one_order(cast("Payload", value)) if isinstance(value, dict) else value


def _is_busy(state: WorkflowState) -> bool:
    """Whether the run never began, for another had its thread; it can be started again."""
    return _status(state) == "busy"


def _status(state: WorkflowState) -> str:
    if state.runtime_status is not WorkflowStatus.COMPLETED:
        return ""
    return str(_recorded(state.serialized_output).get("status", ""))


def _recorded(text: str | None) -> Mapping[str, Any]:
    """Return a request or an outcome as it was recorded; nothing when a workflow that is no run has recorded it."""
    found = decoded(text)
    return cast("Mapping[str, Any]", found) if isinstance(found, dict) else {}


def _outcome(state: WorkflowState) -> RunOutcome:
    if state.runtime_status is WorkflowStatus.COMPLETED:
        return RunOutcome.from_json(json.loads(state.serialized_output))
    return RunOutcome(status="failed", failure=_failure(state))


def _failure(state: WorkflowState) -> Failure:
    details = state.failure_details
    return Failure(
        node=None,
        task_id=None,
        error_type=details.error_type if details else state.runtime_status.name,
        message=details.message if details else "the workflow was ended from outside",
    )
