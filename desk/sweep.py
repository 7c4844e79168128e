"""The sweep: finds what was stored but not acted upon, because something was away or was killed in between."""

import asyncio
import logging
from datetime import timedelta

from desk.casework import Failure
from desk.errors import DaprRefusedError, DeskError
from desk.records import Ticket
from desk.stages import DECISION_EVENT, RETRY_EVENT, WORKFLOW_NAME, Stage, instance_id
from desk.support_desk import ENDED, SupportDesk

logger = logging.getLogger(__name__)

# What is younger is most likely being worked on by whoever stored it.
_GRACE = timedelta(seconds=3)
_BATCH = 100
_PATROL_INTERVAL = timedelta(seconds=60)
_QUIET = timedelta(seconds=30)
_REST = timedelta(seconds=20)

_WAKE_UPS = ((Stage.DECIDED, DECISION_EVENT), (Stage.RETRYING, RETRY_EVENT))


class Sweep:
    """Starts workflows that were not started, repeats wake-ups, and notices workflows that ended too early.

    Any number of processes may sweep: all of it is harmless when done twice.
    """

    def __init__(self, desk: SupportDesk, *, interval: timedelta) -> None:
        self._desk = desk
        self._interval = interval
        self._woken: dict[str, float] = {}

    async def run(self) -> None:
        """Sweep again and again, until cancelled."""
        clock = asyncio.get_running_loop().time
        next_patrol = clock() + _PATROL_INTERVAL.total_seconds()
        while True:
            try:
                await self.sweep()
                if clock() >= next_patrol:
                    next_patrol = clock() + _PATROL_INTERVAL.total_seconds()
                    await self.patrol()
            except DeskError as error:
                logger.warning("sweep stopped early: %s", error)
            except Exception:
                logger.exception("sweep failed")
            await asyncio.sleep(self._interval.total_seconds())

    async def sweep(self, *, grace: timedelta = _GRACE) -> None:
        """Start what was accepted and wake what was decided, if that is older than `grace`.

        Raises:
            DaprUnavailableError: the sidecar is away, or no worker is connected; the rest has to wait, too.
        """
        tickets = self._desk.tickets
        for ticket in await tickets.find_unstarted(older_than=grace, limit=_BATCH):
            logger.info("starting an accepted ticket that has no workflow yet", extra=_names(ticket))
            await self._desk.start_workflow(ticket)
        for stage, event in _WAKE_UPS:
            for ticket in await tickets.find_in_stage(stage, older_than=grace, limit=_BATCH):
                if ticket.started_at is not None and not self._was_woken_lately(ticket):
                    await self._wake(ticket, event)

    async def patrol(self, *, quiet: timedelta = _QUIET) -> None:
        """Look at the workflow of each open ticket that nothing has changed for `quiet`."""
        after = ""
        while batch := await self._desk.tickets.find_running(after=after, older_than=quiet, limit=_BATCH):
            for ticket in batch:
                await self._check(ticket)
            after = batch[-1].ticket_id

    def _was_woken_lately(self, ticket: Ticket) -> bool:
        """Tell whether a wake-up is still on its way: a busy worker is not helped by one more every few seconds."""
        now = asyncio.get_running_loop().time()
        self._woken = {known: at for known, at in self._woken.items() if now - at < _REST.total_seconds()}
        return ticket.ticket_id in self._woken

    async def _wake(self, ticket: Ticket, event: str) -> None:
        try:
            await self._desk.engine.wake(instance_id(ticket.ticket_id), event=event)
            self._woken[ticket.ticket_id] = asyncio.get_running_loop().time()
        except DaprRefusedError as error:
            # Its workflow is gone, which the patrol reports; the other tickets must not wait for that.
            logger.warning("ticket cannot be woken: %s", error, extra=_names(ticket))

    async def _check(self, ticket: Ticket) -> None:
        if ticket.stage == Stage.NEEDS_ATTENTION:
            return
        workflow = await self._desk.engine.look(instance_id(ticket.ticket_id))
        if workflow is not None and workflow.status not in ENDED:
            return
        message = "its workflow is gone"
        if workflow is not None:
            message = f"its workflow ended as {workflow.status}: {workflow.failure or 'no reason given'}"
        failure = Failure(graph=WORKFLOW_NAME, node=None, error_type="WorkflowEnded", message=message)
        logger.error("ticket needs attention: %s", message, extra=_names(ticket))
        await self._desk.casework.need_attention(ticket.ticket_id, failure, step=f"workflow-{ticket.run}")


def _names(ticket: Ticket) -> dict[str, str]:
    return {"ticket_id": ticket.ticket_id, "instance_id": instance_id(ticket.ticket_id)}
