"""Dapr's workflow client as the bridge needs it: for any event loop, connected when it is first used."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, TypeVar

import grpc
from dapr.ext.workflow import DaprWorkflowClient, WorkflowState, WorkflowStatus
from dapr.ext.workflow._durabletask.internal.orchestrator_service_pb2 import PurgeInstancesRequest
from dapr.ext.workflow.logger import LoggerOptions

from dapr_bridge import _names
from dapr_bridge._contexts import Closing
from dapr_bridge.errors import BridgeError, StateStoreUnavailableError
from dapr_bridge.saver.sidecar import Patience, Tries, describe, status_of, tells_of_absence

logger = logging.getLogger(__name__)

ENDED = frozenset({WorkflowStatus.COMPLETED, WorkflowStatus.FAILED, WorkflowStatus.TERMINATED})
_HUB = "_DaprWorkflowClient__obj"
_FIRST_PAUSE, _LONGEST_PAUSE = 0.005, 0.25

# daprd 1.18 reads an instance in two steps, and refuses when it has gone on in between (dapr/dapr#10242).
_GOES_ON = "declared in metadata"
_MOMENT = timedelta(seconds=5)

# What daprd 1.18 makes of a workflow with patches that an event has reached after its end.
_STALLED = "actor is stalled"

T = TypeVar("T")


class Workflows(Closing):
    """The workflows of one app id.

    Over the synchronous client, for it can be closed and belongs to no event loop.

    Args:
        address: the sidecar's gRPC address; Dapr's own settings when not given.
        patience: how long to wait for a sidecar that is away.
    """

    def __init__(self, address: str | None, patience: Patience | None = None) -> None:
        self._address = address
        self._patience = (patience or Patience()).away
        self._guard = threading.Lock()
        self._client: DaprWorkflowClient | None = None

    async def start(self, name: str, *, instance_id: str, record: dict[str, Any]) -> bool:
        """Start a workflow; tells whether it was started, not already there. A sidecar that is away is waited for.

        Raises:
            BridgeError: the workflow engine refuses.
            StateStoreUnavailableError: the sidecar stayed away.
        """
        while_away = Tries(self._patience)
        while True:
            try:
                client = self._connected()
                await asyncio.to_thread(client.schedule_new_workflow, name, input=record, instance_id=instance_id)
            except grpc.RpcError as error:
                pause = while_away.pause() if status_of(error) is grpc.StatusCode.UNAVAILABLE else None
                if pause is None:
                    # The start whose answer was lost may have come through; there is no more time to wait.
                    if await self._state(instance_id, while_away) is not None:
                        return False
                    raise BridgeError(f"workflow {instance_id!r} was not started: {describe(error)}") from error
                await asyncio.sleep(pause.seconds)
            else:
                return True

    async def state(self, instance_id: str) -> WorkflowState | None:
        """Return how a workflow stands, or None when there is none. A sidecar that is away is waited for.

        Raises:
            StateStoreUnavailableError: it stayed away.
        """
        return await self._state(instance_id)

    async def is_live(self, instance_id: str) -> bool:
        """Tell whether a workflow goes on.

        Raises:
            StateStoreUnavailableError: the sidecar does not say.
        """
        try:
            state = await self.state(instance_id)
        except grpc.RpcError as error:
            text = f"the sidecar does not say whether workflow {instance_id!r} goes on: {describe(error)}"
            raise StateStoreUnavailableError(text) from error
        return state is not None and state.runtime_status not in ENDED

    async def raise_event(self, instance_id: str, event: str, *, data: Any) -> bool:
        """Raise an event; tells whether it has reached a workflow, and not when it has ended or nobody works."""
        try:
            await asyncio.to_thread(self._connected().raise_workflow_event, instance_id, event, data=data)
        except grpc.RpcError as error:
            logger.info("event %r was not raised: %s", event, describe(error), extra={"instance_id": instance_id})
            return False
        return True

    def wake(self, instance_id: str) -> None:
        """Give a workflow a turn, by an event for which it does not wait; blocks while the sidecar is away."""
        try:
            asyncio.run(
                self._patiently(lambda: self._connected().raise_workflow_event(instance_id, _names.WAKING_EVENT))
            )
        except (grpc.RpcError, StateStoreUnavailableError) as error:
            logger.info("not woken: %s", describe(error), extra={"instance_id": instance_id})

    async def end(self, instance_id: str) -> WorkflowState | None:
        """Wait for a workflow's end, or until it has vanished.

        By short polls: daprd's own waiting stream can be a second late. A sidecar that is away, or whose store is, is
        waited for.
        """
        pause, while_in_trouble = _FIRST_PAUSE, Tries(self._patience)
        while True:
            try:
                state = await self.state(instance_id)
            except grpc.RpcError:
                if while_in_trouble.pause() is None:
                    raise
            else:
                while_in_trouble = Tries(self._patience)
                if state is None or state.runtime_status in ENDED:
                    return state
            await asyncio.sleep(pause)
            pause = min(pause * 1.2, _LONGEST_PAUSE)

    async def instance_ids(self) -> list[str]:
        """Return the ids of all workflows of the app, ended or not.

        Raises:
            NotImplementedError: the actor state store cannot list its keys.
        """
        return await asyncio.to_thread(lambda: list(self._connected().iter_workflow_instance_ids()))

    async def history(self, instance_id: str) -> Sequence[Any]:
        """Return a workflow's history as Dapr's own messages: the SDK's events leave out what activities were given.

        Empty when there is no such workflow.
        """
        hub: Any = vars(self._connected())[_HUB]
        try:
            return await self._patiently(lambda: hub.get_instance_history(instance_id))
        except grpc.RpcError:
            if await self.state(instance_id) is None:
                return ()
            raise

    async def purge(self, instance_id: str) -> bool:
        """Delete the history of a workflow that has ended, not its children's; tells whether it is gone."""
        try:
            await asyncio.to_thread(self._connected().purge_workflow, instance_id, recursive=False)
        except grpc.RpcError as error:
            if tells_of_absence(error):
                raise StateStoreUnavailableError(f"the sidecar did not answer: {describe(error)}") from error
            state = await self.state(instance_id)
            if state is None or state.runtime_status not in ENDED:
                return state is None
            if _STALLED not in describe(error):
                told = "history of workflow %r stays until the next purge: %s"
                logger.warning(told, instance_id, describe(error), extra={"instance_id": instance_id})
                return False
            await asyncio.to_thread(self._purge_by_force, instance_id)
        return True

    def _purge_by_force(self, instance_id: str) -> None:
        hub: Any = vars(self._connected())[_HUB]
        hub._stub.PurgeInstances(PurgeInstancesRequest(instanceId=instance_id, recursive=False, force=True))

    def close(self) -> None:
        """Close the connection, if there is one."""
        with self._guard:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    def _connected(self) -> DaprWorkflowClient:
        with self._guard:
            if self._client is None:
                host, _, port = (self._address or "").rpartition(":")
                # What it would report as an error may be mended by asking again; the rest is raised.
                quiet = LoggerOptions(log_handler=logging.NullHandler())
                self._client = DaprWorkflowClient(host=host or None, port=port or None, logger_options=quiet)
            return self._client

    async def _state(self, instance_id: str, while_away: Tries | None = None) -> WorkflowState | None:
        return await self._patiently(lambda: self._connected().get_workflow_state(instance_id), while_away)

    async def _patiently(self, call: Callable[[], T], while_away: Tries | None = None) -> T:
        """Ask for what may be asked twice, again and again while daprd is away, or between the two steps of a read."""
        while_away, while_going_on = while_away or Tries(self._patience), Tries(_MOMENT)
        while True:
            try:
                return await asyncio.to_thread(call)
            except grpc.RpcError as error:
                is_away = tells_of_absence(error)
                tries = while_away if is_away else while_going_on if _GOES_ON in describe(error) else None
                pause = tries.pause() if tries else None
                if pause is None:
                    if is_away:
                        text = f"the sidecar did not answer in {self._patience}: {describe(error)}. Is daprd running?"
                        raise StateStoreUnavailableError(text) from error
                    raise
            await asyncio.sleep(pause.seconds)
