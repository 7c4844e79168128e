"""Dapr's workflow engine as the desk uses it: start a ticket's workflow, wake it, look at it."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self, TypeVar

import grpc
from dapr.ext.workflow import WorkflowState
from dapr.ext.workflow.aio import DaprWorkflowClient
from dapr.ext.workflow.logger import LoggerOptions

from desk.errors import DaprError, DaprRefusedError, DaprUnavailableError
from desk.ports import JsonValue, WorkflowView
from desk.stages import WORKFLOW_NAME

T = TypeVar("T")

# Without a worker the engine lets a call wait for one; the caller's own second try is better than a long wait.
_CALL_SECONDS = 3
# daprd 1.18 reads an instance in two steps, and refuses when it has gone on in between (dapr/dapr#10242).
_GOES_ON = "declared in metadata"
_PAUSES_WHILE_GOING_ON = (0.01, 0.03, 0.1, 0.3)
# Without a connected worker, daprd hosts no workflow actors and says that a precondition fails.
_AWAY = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.FAILED_PRECONDITION,
    }
)


class DaprWorkflowEngine:
    """The workflow engine behind a sidecar; belongs to the event loop on which it is used."""

    def __init__(self, *, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._client: DaprWorkflowClient | None = None
        self._retired: DaprWorkflowClient | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for client in (self._client, self._retired):
            await _close(client)

    async def start(self, instance_id: str, *, order: dict[str, JsonValue]) -> None:
        """Start the ticket workflow unless an instance of this id runs."""

        async def schedule(client: DaprWorkflowClient) -> None:
            await client.schedule_new_workflow(WORKFLOW_NAME, input=order, instance_id=instance_id)

        try:
            await self._ask(schedule, what=f"start {instance_id!r}")
        except grpc.aio.AioRpcError as error:
            if "already exists" not in (error.details() or ""):
                raise _in_our_words(f"start {instance_id!r}", error) from error

    async def wake(self, instance_id: str, *, event: str) -> None:
        """Raise an event; none is lost for good, since whoever calls this tries again later."""

        async def raise_event(client: DaprWorkflowClient) -> None:
            await client.raise_workflow_event(instance_id, event)

        try:
            await self._ask(raise_event, what=f"wake {instance_id!r}")
        except grpc.aio.AioRpcError as error:
            raise _in_our_words(f"wake {instance_id!r}", error) from error

    async def look(self, instance_id: str) -> WorkflowView | None:
        """Return the instance as Dapr sees it, or None."""

        async def fetch(client: DaprWorkflowClient) -> WorkflowState | None:
            return await client.get_workflow_state(instance_id)

        for pause in (*_PAUSES_WHILE_GOING_ON, None):
            try:
                state = await self._ask(fetch, what=f"look at {instance_id!r}")
            except grpc.aio.AioRpcError as error:
                if pause is None or _GOES_ON not in (error.details() or ""):
                    raise _in_our_words(f"look at {instance_id!r}", error) from error
                await asyncio.sleep(pause)
            else:
                return _view(state) if state else None
        raise AssertionError("the last try has answered")

    async def _ask(self, call: Callable[[DaprWorkflowClient], Awaitable[T]], *, what: str) -> T:
        client = self._client = self._client or self._new_client()
        try:
            async with asyncio.timeout(_CALL_SECONDS):
                return await call(client)
        except TimeoutError as error:
            raise DaprUnavailableError(f"cannot {what}: no answer in {_CALL_SECONDS} s, no worker?") from error
        except grpc.aio.AioRpcError as error:
            if error.code() == grpc.StatusCode.UNAVAILABLE:
                await self._replace(client)
            raise

    def _new_client(self) -> DaprWorkflowClient:
        quiet = LoggerOptions(log_handler=logging.NullHandler())
        return DaprWorkflowClient(host=self._host, port=str(self._port), logger_options=quiet)

    async def _replace(self, client: DaprWorkflowClient) -> None:
        """Let the next call use a new channel: an old one may wait for minutes before it tries to connect again."""
        if self._client is client:
            # Other calls may still be ending on this one, so it is closed one replacement later.
            outdated, self._retired, self._client = self._retired, client, None
            await _close(outdated)


async def _close(client: DaprWorkflowClient | None) -> None:
    if client is not None:
        # The SDK's asynchronous client offers no way to close what it holds.
        await client._DaprWorkflowClient__obj.aclose()  # pyright: ignore[reportAttributeAccessIssue, reportPrivateUsage]


def _in_our_words(what: str, error: grpc.aio.AioRpcError) -> DaprError:
    kind = DaprUnavailableError if error.code() in _AWAY else DaprRefusedError
    return kind(f"cannot {what}: {error.code().name}: {error.details()}")


def _view(state: WorkflowState) -> WorkflowView:
    failure = state.failure_details
    return WorkflowView(
        status=state.runtime_status.name,
        output=json.loads(state.serialized_output) if state.serialized_output else None,
        failure=f"{failure.error_type}: {failure.message}" if failure else None,
    )
