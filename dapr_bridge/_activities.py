"""The activity of unit `run`: the only place where graphs execute."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from dapr.ext.workflow import WorkflowActivityContext
from langchain_core.runnables import RunnableConfig
from langgraph.pregel import Pregel
from langgraph.types import StateSnapshot

from dapr_bridge import _names
from dapr_bridge._wire import Failure, Payload, RunOutcome, RunRequest, decode_inline, fits_inline
from dapr_bridge.errors import StateStoreError
from dapr_bridge.reference import Reference
from dapr_bridge.saver import DaprSaver

logger = logging.getLogger(__name__)

_STORE_PATIENCE = timedelta(minutes=10)
_LONGEST_PAUSE = timedelta(seconds=15)
_BY_HAND = frozenset({"update", "fork"})
_TIME_TRAVEL = frozenset({"checkpoint_id", "checkpoint_map", "checkpoint_ns"})


@dataclass
class LiveRuns:
    """The runs that this process is working on, by graph and thread.

    Dapr delivers an activity again when daprd was restarted under a living worker: the second delivery joins the run
    that the first one started, instead of running every node beside it.
    """

    _runs: dict[tuple[str, str], tuple[str, asyncio.Task[RunOutcome]]] = field(default_factory=dict)

    async def join(self, request: RunRequest, run_id: str, start: Callable[[], Awaitable[RunOutcome]]) -> RunOutcome:
        """Return the outcome of a run, starting it unless it goes on already."""
        key = (request.graph, request.thread_id)
        live = self._runs.get(key)
        if live is None:
            task = asyncio.ensure_future(start())
            self._runs[key] = (run_id, task)
            task.add_done_callback(lambda _: self._runs.pop(key, None))
            return await asyncio.shield(task)
        live_id, task = live
        if live_id != run_id:
            return RunOutcome(status="busy")
        logger.info("run was delivered again and joined", extra={"thread_id": request.thread_id, "run_id": run_id})
        return await asyncio.shield(task)

    def cancel_all(self) -> None:
        """Stop every run where it is; each is delivered again to a living worker. For any thread."""
        for _, task in list(self._runs.values()):
            task.get_loop().call_soon_threadsafe(task.cancel)


@dataclass(frozen=True, kw_only=True)
class GraphRunner:
    """Runs one graph on its saver, from wherever its thread stands."""

    name: str
    graph: Pregel[Any, Any, Any, Any]
    saver: DaprSaver
    live: LiveRuns

    def activity(self) -> Callable[[WorkflowActivityContext, dict[str, Any]], Awaitable[dict[str, Any]]]:
        """Return the function that Dapr calls."""

        async def run_graph(ctx: WorkflowActivityContext, record: dict[str, Any]) -> dict[str, Any]:
            request = RunRequest.from_json(record)
            run_id = request.run_id or f"{ctx.workflow_id}:{request.asked_at}:{ctx.task_id}"
            outcome = await self.live.join(request, run_id, lambda: self._run(request, run_id))
            return outcome.to_json()

        return run_graph

    async def _run(self, request: RunRequest, run_id: str) -> RunOutcome:
        """Run with patience for a state store that is away: what its nodes have saved is not run again."""
        loop = asyncio.get_running_loop()
        deadline, pause = loop.time() + _STORE_PATIENCE.total_seconds(), timedelta(seconds=1)
        while True:
            try:
                return await self._run_once(request, run_id)
            except StateStoreError as error:
                if loop.time() > deadline:
                    raise
                logger.warning(
                    "run waits for its state store: %s", error, extra={"thread_id": request.thread_id, "run_id": run_id}
                )
            await asyncio.sleep(pause.total_seconds())
            pause = min(pause * 2, _LONGEST_PAUSE)

    async def _run_once(self, request: RunRequest, run_id: str) -> RunOutcome:
        config = self._config(request, run_id)
        end = _end_of_thread(config)
        try:
            is_applied = await self._is_applied(run_id, end)
            value = None if is_applied else await self._value(request.input)
            context = await self._value(request.context) if request.context else None
            start = end if is_applied else config
            output = await self.graph.ainvoke(value, start, context=context, durability="sync", version="v2")
            return await self._ended(output.value, run_id, end)
        except StateStoreError:
            raise
        except Exception as error:
            logger.info("run failed", exc_info=error, extra={"thread_id": request.thread_id, "run_id": run_id})
            return await self._failed(error, end)

    def _config(self, request: RunRequest, run_id: str) -> RunnableConfig:
        given = dict(request.config)
        configurable = {**given.pop("configurable", {}), "thread_id": request.thread_id}
        metadata = {**given.pop("metadata", {}), _names.RUN_METADATA: run_id}
        return RunnableConfig(**given, configurable=configurable, metadata=metadata)

    async def _is_applied(self, run_id: str, config: RunnableConfig) -> bool:
        """Tell whether a checkpoint shows that the run's input was applied: the run then goes on from there."""
        last = await self.saver.aget_tuple(config)
        while last:
            about: Mapping[str, Any] = dict(last.metadata)
            if about.get(_names.RUN_METADATA) == run_id:
                return True
            # What a person has put on top, with `update_state`, names no run.
            is_by_hand = about.get("source") in _BY_HAND
            last = await self.saver.aget_tuple(last.parent_config) if is_by_hand and last.parent_config else None
        return False

    async def _value(self, payload: Payload) -> Any:
        value = decode_inline(payload, self.saver.serde)
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


def _end_of_thread(config: RunnableConfig) -> RunnableConfig:
    """Return the config without a time traveller's checkpoint, from which the run has moved on."""
    configurable = config.get("configurable", {})
    here = {key: value for key, value in configurable.items() if key not in _TIME_TRAVEL}
    return {**config, "configurable": here}


def _checkpoint_id(snapshot: StateSnapshot) -> str:
    return snapshot.config.get("configurable", {}).get("checkpoint_id", "")
