"""The desk's Dapr sidecar: state, pub/sub and conversation, through Dapr's SDK."""

import asyncio
import json
from collections.abc import Awaitable
from types import TracebackType
from typing import Self, TypeVar

import grpc
from dapr.aio.clients.grpc.client import DaprGrpcClientAsync
from dapr.aio.clients.grpc.interceptors import DaprClientInterceptorAsync
from dapr.clients.exceptions import DaprGrpcError, DaprInternalError
from dapr.clients.grpc.conversation import ConversationInputAlpha2, create_system_message, create_user_message
from dapr.clients.retry import RetryPolicy
from dapr.conf import settings as dapr_conf
from dapr.proto.runtime.v1 import dapr_pb2_grpc

from desk.errors import DaprError, DaprRefusedError, DaprUnavailableError
from desk.ports import JsonValue

T = TypeVar("T")

_CALL_SECONDS = 10
_CONVERSE_SECONDS = 90
_PROBE_SECONDS = 2
_AWAY = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED})
_CHANNEL_OPTIONS = [("grpc.initial_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 1000)]


class _Client(DaprGrpcClientAsync):
    """The SDK's client, but one that neither waits for the sidecar when it is made nor is slow to find it again.

    The SDK's own constructor blocks the event loop for up to a minute while the sidecar is away, and its channel
    waits up to two minutes before it tries again.
    """

    def __init__(self, address: str) -> None:
        token = dapr_conf.DAPR_API_TOKEN
        interceptors = [DaprClientInterceptorAsync([("dapr-api-token", token)])] if token else []
        self.retry_policy = RetryPolicy(max_attempts=0)
        self._channel = grpc.aio.insecure_channel(address, _CHANNEL_OPTIONS, interceptors=interceptors)
        self._stub = dapr_pb2_grpc.DaprStub(self._channel)


class Sidecar:
    """A client of one sidecar; belongs to the event loop that opened it, and outlives restarts of the sidecar."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._client = _Client(address)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.close()

    async def read(self, store: str, key: str) -> JsonValue | None:
        """Return the value under a key, or None when there is none."""
        answer = await self._ask(self._client.get_state(store, key), what=f"read {key!r} from {store!r}")
        return json.loads(answer.data) if answer.data else None

    async def write(self, store: str, key: str, value: JsonValue) -> None:
        """Store a value under a key."""
        call = self._client.save_state(
            store, key, json.dumps(value), state_metadata={"contentType": "application/json"}
        )
        await self._ask(call, what=f"write {key!r} to {store!r}")

    async def publish(self, pubsub: str, topic: str, message: dict[str, JsonValue], *, event_id: str) -> None:
        """Publish a message as a cloud event of the given id."""
        call = self._client.publish_event(
            pubsub,
            topic,
            json.dumps(message),
            publish_metadata={"cloudevent.id": event_id},
            data_content_type="application/json",
        )
        await self._ask(call, what=f"publish to {topic!r} on {pubsub!r}")

    async def converse(self, component: str, *, system: str, user: str) -> str:
        """Return the model's answer; the sidecar scrubs personal data from what it sends."""
        messages = [create_system_message(system), create_user_message(user)]
        call = self._client.converse_alpha2(component, [ConversationInputAlpha2(messages=messages, scrub_pii=True)])
        try:
            answer = await self._ask(call, what=f"converse with {component!r}", seconds=_CONVERSE_SECONDS)
        except DaprUnavailableError as error:
            # The model behind a living sidecar can be away, too, and that is another trouble than no sidecar.
            if await self.is_alive():
                raise DaprRefusedError(str(error)) from error
            raise
        return "\n".join(choice.message.content for output in answer.outputs for choice in output.choices)

    async def is_alive(self) -> bool:
        """Tell whether the sidecar answers."""
        try:
            await self._ask(self._client.get_metadata(), what="ask for metadata", seconds=_PROBE_SECONDS)
        except DaprError:
            return False
        return True

    async def _ask(self, call: Awaitable[T], *, what: str, seconds: float = _CALL_SECONDS) -> T:
        try:
            async with asyncio.timeout(seconds):
                return await call
        except TimeoutError as error:
            raise DaprUnavailableError(f"cannot {what}: no answer from {self._address} in {seconds:g} s") from error
        except (grpc.RpcError, DaprGrpcError, DaprInternalError) as error:
            raise _in_our_words(error, f"cannot {what} at {self._address}") from error


def _in_our_words(error: Exception, what: str) -> DaprError:
    # Some of the SDK's methods let gRPC's error through, some wrap it in one of two ways, one without its code.
    cause = error.__cause__ if isinstance(error, DaprInternalError) else error
    if not isinstance(cause, grpc.aio.AioRpcError | DaprGrpcError):
        return DaprRefusedError(f"{what}: {error}")
    kind = DaprUnavailableError if cause.code() in _AWAY else DaprRefusedError
    return kind(f"{what}: {cause.code().name}: {cause.details()}")
