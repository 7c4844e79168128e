"""The activity of unit `run`: the only place where graphs execute."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from dapr.ext.workflow import WorkflowActivityContext
from langchain_core.runnables import RunnableConfig
from langgraph.pregel import Pregel
from langgraph.types import StateSnapshot

from dapr_bridge import _names
from dapr_bridge._events import EventBus
from dapr_bridge._run_turns import RunTurns
from dapr_bridge._streaming import RunStream, without_checkpoint
from dapr_bridge._thread_claim import RunCall
from dapr_bridge._wire import Failure, Payload, RunOutcome, RunRequest, decode_inline, fits_inline
from dapr_bridge.errors import StateStoreError
from dapr_bridge.reference import Reference
from dapr_bridge.saver import DaprSaver

logger = logging.getLogger(__name__)

_STORE_PATIENCE = timedelta(minutes=10)
_LONGEST_PAUSE = timedelta(seconds=15)
_BY_HAND = frozenset({"update", "fork"})


@dataclass
class LiveRuns:
    """The runs that this process is working on, by run id.

    Dapr delivers an activity again when daprd was restarted under a living worker: the second delivery joins the run
    that the first one started, instead of running every node beside it.
    """

    _runs: dict[str, asyncio.Task[RunOutcome]] = field(default_factory=dict)

    async def join(self, request: RunRequest, run_id: str, start: Callable[[], Awaitable[RunOutcome]]) -> RunOutcome:
        """Return the outcome of a run, starting it unless it goes on already."""
        task = self._runs.get(run_id)
        if task is None:
            task = self._runs[run_id] = asyncio.ensure_future(start())
            task.add_done_callback(lambda _: self._runs.pop(run_id, None))
        else:
            logger.info("run was delivered again and joined", extra={"thread_id": request.thread_id, "run_id": run_id})
        return await asyncio.shield(task)

    def cancel_all(self) -> None:
        """Stop every run where it is; each is delivered again to a living worker. For any thread."""
        for task in list(self._runs.values()):
            task.get_loop().call_soon_threadsafe(task.cancel)


@dataclass(frozen=True, kw_only=True)
class GraphRunner:
    """Runs one graph on its saver, from wherever its thread stands."""

    name: str
    graph: Pregel[Any, Any, Any, Any]
    saver: DaprSaver
    live: LiveRuns
    turns: RunTurns
    bus: EventBus | None = None

    def activity(self) -> Callable[[WorkflowActivityContext, dict[str, Any]], Awaitable[dict[str, Any]]]:
        """Return the function that Dapr calls."""

        async def run_graph(ctx: WorkflowActivityContext, record: dict[str, Any]) -> dict[str, Any]:
            request = RunRequest.from_json(record)
            run_id = request.run_id or f"{ctx.workflow_id}:{request.asked_at}:{ctx.task_id}"
            call = RunCall(
                thread_id=request.thread_id,
                run_id=run_id,
                call_id=f"{ctx.workflow_id}:{request.asked_at}:{ctx.task_id}",
                instance_id="" if request.options.get("is_from_afar") else ctx.workflow_id,
            )
            outcome = await self.live.join(request, run_id, lambda: self._run(request, call))
            return outcome.to_json()

        return run_graph

    async def _run(self, request: RunRequest, call: RunCall) -> RunOutcome:
        """Run with patience for a state store that is away: what its nodes have saved is not run again."""
        loop = asyncio.get_running_loop()
        deadline, pause = loop.time() + _STORE_PATIENCE.total_seconds(), timedelta(seconds=1)
        while True:
            try:
                return await self.turns.take(
                    call,
                    lambda attempt: self._run_once(request, call.run_id, attempt),
                    if_busy=request.options.get("if_busy", "raise"),
                )
            except StateStoreError as error:
                if loop.time() > deadline:
                    raise
                where = {"thread_id": call.thread_id, "run_id": call.run_id}
                logger.warning("run waits for its state store: %s", error, extra=where)
            await asyncio.sleep(pause.total_seconds())
            pause = min(pause * 2, _LONGEST_PAUSE)

    async def _run_once(self, request: RunRequest, run_id: str, attempt: int) -> RunOutcome:
        runner = RunStream(self.graph, self.saver, self.bus, request=request, run_id=run_id, attempt=attempt)
        if runner.refusal:
            return RunOutcome(status="refused", failure=runner.refusal)
        addressed = self._config(request, run_id)
        # A run that was told to begin at an old checkpoint is read, and gone on with, where it stands.
        latest = without_checkpoint(addressed)
        try:
            is_begun = await self._is_begun(run_id, latest)
            output = (
                await runner.run(None, latest) if is_begun else await runner.run(await self._input(request), addressed)
            )
        except StateStoreError:
            raise
        except Exception as error:
            logger.info("run failed", exc_info=error, extra={"thread_id": request.thread_id, "run_id": run_id})
            return replace(await self._failed(error, latest), events=runner.counts)
        return replace(await self._ended(output, run_id, latest), events=runner.counts)

    def _config(self, request: RunRequest, run_id: str) -> RunnableConfig:
        given = dict(request.config)
        configurable = {**given.pop("configurable", {}), "thread_id": request.thread_id}
        metadata = {**given.pop("metadata", {}), _names.RUN_METADATA: run_id}
        return RunnableConfig(**given, configurable=configurable, metadata=metadata)

    async def _is_begun(self, run_id: str, latest: RunnableConfig) -> bool:
        """Tell whether a checkpoint shows that the run's input was applied."""
        last = await self.saver.aget_tuple(latest)
        while last:
            metadata: Mapping[str, Any] = dict(last.metadata)
            if metadata.get(_names.RUN_METADATA) == run_id:
                return True
            # What a person has put on top, with `update_state`, names no run.
            if metadata.get("source") not in _BY_HAND or not last.parent_config:
                return False
            last = await self.saver.aget_tuple(last.parent_config)
        return False

    async def _input(self, request: RunRequest) -> Any:
        value = decode_inline(request.input, self.saver.serde)
        return await self.saver.aget_value(value) if isinstance(value, Reference) else value

    async def _ended(self, value: Any, run_id: str, config: RunnableConfig) -> RunOutcome:
        snapshot = await self.graph.aget_state(config)
        interrupts = [
            {"id": each.id, "value": await self._payload(each.value, f"{run_id}/interrupt/{each.id}")}
            for each in snapshot.interrupts
        ]
        return RunOutcome(
            status="interrupted" if snapshot.next else "finished",
            checkpoint_id=_checkpoint_id(snapshot),
            output=await self._payload(value, f"{run_id}/output/{_checkpoint_id(snapshot)}"),
            interrupts=interrupts,
        )

    async def _failed(self, error: Exception, config: RunnableConfig) -> RunOutcome:
        snapshot = await self._snapshot_after(error, config)
        failed = next((task for task in snapshot.tasks if task.error is not None), None) if snapshot else None
        return RunOutcome(
            status="failed",
            checkpoint_id=_checkpoint_id(snapshot) if snapshot else "",
            failure=Failure(
                node=failed.name if failed else None,
                task_id=failed.id if failed else None,
                error_type=type(error).__name__,
                message=str(error),
            ),
        )

    async def _snapshot_after(self, error: Exception, config: RunnableConfig) -> StateSnapshot | None:
        try:
            return await self.graph.aget_state(config)
        except StateStoreError:
            raise
        except Exception:
            # After conflicting writes LangGraph cannot read the state either; the run's own error matters more.
            logger.warning("state cannot be read after %r", error, exc_info=True)
            return None

    async def _payload(self, value: Any, name: str) -> Payload:
        inline = fits_inline(value, self.saver.serde)
        return inline if inline is not None else dict((await self.saver.aput_value(name, value)).to_json())


def _checkpoint_id(snapshot: StateSnapshot) -> str:
    return snapshot.config.get("configurable", {}).get("checkpoint_id", "")
