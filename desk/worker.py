"""The worker role: hosts the graphs, the ticket workflow and its activities, whenever the sidecar is there."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Generator, Hashable, Mapping
from typing import Any, TypeVar

from dapr.ext.workflow import DaprWorkflowContext, WorkflowActivityContext, WorkflowRuntime
from langgraph.graph.state import CompiledStateGraph

from dapr_bridge import DaprSaver, DaprStore, GraphWorker, Unit
from desk import steps
from desk.activities import DeskActivities
from desk.errors import DaprError
from desk.home import HomeLoop
from desk.settings import Settings
from desk.sidecar import Sidecar
from desk.stages import WORKFLOW_NAME
from desk.steps import Conclusion, Order
from desk.workflow import support_ticket

logger = logging.getLogger(__name__)

_PAUSE_SECONDS = 0.5

# The two lookups of triage are over in milliseconds; the expert's queries are calls to another service, which several
# workers can share out.
_UNITS: Mapping[str, Unit] = {"triage": "run", "expert": "task"}

T = TypeVar("T")
Activity = Callable[[Any], Coroutine[Any, Any, Any]]


class DeskWorker:
    """Keeps one connected worker, from before the sidecar starts until it is cancelled.

    Args:
        settings: where the sidecar is.
        graphs: compiled graphs by name.
        saver: keeps the graphs' threads.
        store: the graphs' memory.
        activities: what the ticket workflow has done for it.
        sidecar: to see whether it is there, and to register the graphs.
        home: the loop on which the activities run.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        graphs: Mapping[str, CompiledStateGraph[Any, Any, Any, Any]],
        saver: DaprSaver,
        store: DaprStore,
        activities: DeskActivities,
        sidecar: Sidecar,
        home: HomeLoop,
    ) -> None:
        self._settings = settings
        self._graphs = graphs
        self._saver = saver
        self._store = store
        self._activities = activities
        self._sidecar = sidecar
        self._home = home

    async def run(self) -> None:
        """Serve until cancelled; a start that fails is tried again."""
        while True:
            try:
                await self._wait_for_sidecar()
                await self._serve()
            except Exception:
                logger.exception("worker did not start; trying again")
                await asyncio.sleep(_PAUSE_SECONDS)

    async def _wait_for_sidecar(self) -> None:
        waiting = False
        while not await self._sidecar.is_alive():
            if not waiting:
                logger.warning("worker waits for the Dapr sidecar at %s", self._settings.dapr_address)
                waiting = True
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _serve(self) -> None:
        worker = GraphWorker(
            graphs=self._graphs,
            saver=self._saver,
            store=self._store,
            unit=_UNITS,
            address=self._settings.dapr_address,
        )
        register_desk(worker.runtime, self._activities, home=self._home)
        async with worker:
            logger.info("worker is connected to the Dapr sidecar at %s", self._settings.dapr_address)
            await self._register_graphs(worker)
            await asyncio.Event().wait()

    async def _register_graphs(self, worker: GraphWorker) -> None:
        """Write down what this worker hosts; the worker goes on when the sidecar goes away meanwhile."""
        for name, fingerprint in worker.fingerprints().items():
            entry = {"graph": name, "fingerprint": fingerprint, "unit": worker.unit(name)}
            await self._register(name, entry)

    async def _register(self, name: str, entry: Mapping[str, str]) -> None:
        while True:
            try:
                await self._sidecar.write(self._settings.registry_store, f"graph-{name}", entry)
            except DaprError as error:
                logger.warning("graph %s is not in the registry yet: %s", name, error)
            else:
                return
            await asyncio.sleep(_PAUSE_SECONDS)


class LiveActivities:
    """The activities that this process is working on; belongs to the home loop.

    Dapr delivers an activity again when the sidecar was restarted under a living worker: the second delivery joins the
    first one, instead of doing everything a second time beside it.
    """

    def __init__(self) -> None:
        self._live: dict[Hashable, asyncio.Future[Any]] = {}

    async def join(self, key: Hashable, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Return what the work of this key returns, starting it unless it goes on already."""
        task: asyncio.Future[T] | None = self._live.get(key)
        if task is None:
            task = self._live[key] = asyncio.ensure_future(work())
            task.add_done_callback(lambda _: self._live.pop(key, None))
        return await asyncio.shield(task)


def register_desk(runtime: WorkflowRuntime, activities: DeskActivities, *, home: HomeLoop) -> None:
    """Register the ticket workflow and its activities with a runtime that has not started yet."""
    by_name: Mapping[str, Activity] = {
        steps.OPEN_TICKET: activities.open_ticket,
        steps.RECORD_TRIAGE: activities.record_triage,
        steps.RECORD_PROPOSAL: activities.record_proposal,
        steps.LOOK_UP_DECISION: activities.look_up_decision,
        steps.EXPIRE_PROPOSAL: activities.expire_proposal,
        steps.REMIND: activities.remind,
        steps.SEND_BACK: activities.send_back,
        steps.NOTE_FAILURE: activities.note_failure,
        steps.LOOK_UP_RETRY: activities.look_up_retry,
        steps.NOTIFY_CUSTOMER: activities.notify_customer,
        steps.REMEMBER_SOLUTION: activities.remember_solution,
    }
    live = LiveActivities()
    for name, activity in by_name.items():
        runtime.register_activity(_at_home(name, activity, live, home), name=name)
    runtime.register_workflow(_fresh_workflow(), name=WORKFLOW_NAME)


def _at_home(
    name: str, activity: Activity, live: LiveActivities, home: HomeLoop
) -> Callable[[WorkflowActivityContext, Any], Coroutine[Any, Any, Any]]:
    async def run_activity(ctx: WorkflowActivityContext, given: Any) -> Any:
        key = (ctx.workflow_id, ctx.task_id, name)
        return await home.run(lambda: live.join(key, lambda: activity(given)))

    return run_activity


def _fresh_workflow() -> Callable[[DaprWorkflowContext, Order], Generator[Any, Any, Conclusion]]:
    # The SDK marks a function as registered, so a second worker in one process needs a function of its own.
    def run_ticket(ctx: DaprWorkflowContext, order: Order) -> Generator[Any, Any, Conclusion]:
        return (yield from support_ticket(ctx, order))

    return run_ticket
