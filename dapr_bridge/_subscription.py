"""A client's ear: one topic of its own on the pub/sub component, for all its runs."""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
import uuid
from collections.abc import Generator
from contextlib import contextmanager
from datetime import timedelta

import grpc
from dapr.conf import settings as dapr_settings
from dapr.proto import api_v1, appcallback_v1
from dapr.proto.runtime.v1.dapr_pb2_grpc import DaprStub

from dapr_bridge._contexts import Closing
from dapr_bridge._events import Event
from dapr_bridge.errors import BridgeError, CallRefusedError, StateStoreUnavailableError
from dapr_bridge.saver.sidecar import describe, open_channel, status_of, tells_of_absence

logger = logging.getLogger(__name__)

_LOOK_SECONDS = 0.5
_PAUSE_SECONDS = 0.1
_AWAY = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED, grpc.StatusCode.UNKNOWN})

_Request = api_v1.SubscribeTopicEventsRequestAlpha1
Inbox = asyncio.Queue[Event]


class EventSubscription(Closing):
    """Listens while it is open; a subscription that breaks is made anew, what was published meanwhile is lost.

    Args:
        component: the pub/sub component.
        address: the sidecar's gRPC address; Dapr's own settings when not given.
        patience: how long to wait for a sidecar that is away.
    """

    def __init__(self, component: str, *, address: str | None, patience: timedelta) -> None:
        self.topic = f"langgraph-events-{uuid.uuid4()}"
        self._component = component
        self._address, self._patience = address, patience
        self._channel: grpc.Channel | None = None
        self._guard = threading.Lock()
        self._followers: dict[str, list[tuple[asyncio.AbstractEventLoop, Inbox]]] = {}
        self._settled, self._closed = threading.Event(), threading.Event()
        self._refusal: str = ""
        self._trouble: grpc.RpcError | None = None
        self._call: grpc.Call | None = None
        self._thread: threading.Thread | None = None

    async def start(self) -> None:
        """Listen, if it does not yet; returns when nothing that is published from now on is missed.

        Raises:
            CallRefusedError: there is no such component.
            StateStoreUnavailableError: there is no sidecar.
        """
        self._start()
        clock = asyncio.get_running_loop().time
        deadline = clock() + self._patience.total_seconds()
        # Whoever is cancelled meanwhile waits for the thread to come back.
        while not await asyncio.to_thread(self._settled.wait, _LOOK_SECONDS):
            if clock() > deadline:
                raise self._not_settled()
        if self._refusal:
            raise self._refused(self._refusal)

    @contextmanager
    def follow(self, run_id: str) -> Generator[Inbox]:
        """Receive the events of one run while the context is open."""
        follower = (asyncio.get_running_loop(), Inbox())
        with self._guard:
            self._followers.setdefault(run_id, []).append(follower)
        try:
            yield follower[1]
        finally:
            with self._guard:
                self._followers[run_id].remove(follower)
                if not self._followers[run_id]:
                    del self._followers[run_id]

    def close(self) -> None:
        """Stop listening."""
        self._closed.set()
        if self._call is not None:
            self._call.cancel()
        if self._thread is not None:
            self._thread.join()
        if self._channel is not None:
            self._channel.close()

    def _start(self) -> None:
        with self._guard:
            if self._thread is None:
                self._channel = open_channel(self._address)
                self._thread = threading.Thread(target=self._listen, args=(DaprStub(self._channel),), daemon=True)
                self._thread.start()

    def _not_settled(self) -> BridgeError:
        trouble = self._trouble
        if trouble is not None and not tells_of_absence(trouble):
            return self._refused(describe(trouble))
        found = f": {describe(trouble)}" if trouble else ""
        return StateStoreUnavailableError(f"the sidecar did not answer in {self._patience}{found}. Is daprd running?")

    def _refused(self, reason: str) -> CallRefusedError:
        return CallRefusedError(
            f"cannot stream: no subscription to pub/sub component {self._component!r}: {reason}. Give DurableGraph and "
            "GraphWorker the name of one that the sidecar has loaded, events='...'"
        )

    def _listen(self, stub: DaprStub) -> None:
        token = dapr_settings.DAPR_API_TOKEN
        metadata = (("dapr-api-token", token),) if token else ()
        while not self._closed.is_set():
            answers: queue.SimpleQueue[_Request | None] = queue.SimpleQueue()
            answers.put(self._first_request())
            try:
                self._call = call = stub.SubscribeTopicEventsAlpha1(iter(answers.get, None), metadata=metadata)
                if self._closed.is_set():
                    call.cancel()
                for message in call:
                    self._take(message, answers)
            except grpc.RpcError as error:
                if not self._settled.is_set() and status_of(error) not in _AWAY:
                    self._refusal = describe(error)
                    self._settled.set()
                    return
                self._trouble = error
                logger.debug("subscription is made anew: %s", describe(error))
            finally:
                answers.put(None)
            self._closed.wait(_PAUSE_SECONDS)

    def _first_request(self) -> _Request:
        initial = api_v1.SubscribeTopicEventsRequestInitialAlpha1(pubsub_name=self._component, topic=self.topic)
        return _Request(initial_request=initial)

    def _take(
        self, message: api_v1.SubscribeTopicEventsResponseAlpha1, answers: queue.SimpleQueue[_Request | None]
    ) -> None:
        if not message.HasField("event_message"):
            self._settled.set()
            return
        self._hand_out(message.event_message.data)
        status = appcallback_v1.TopicEventResponse(status=appcallback_v1.TopicEventResponse.SUCCESS)
        processed = api_v1.SubscribeTopicEventsRequestProcessedAlpha1(id=message.event_message.id, status=status)
        answers.put(_Request(event_processed=processed))

    def _hand_out(self, data: bytes) -> None:
        try:
            event = Event.from_bytes(data)
        except (ValueError, KeyError, TypeError):
            logger.warning("topic %s carries what is no event", self.topic)
            return
        with self._guard:
            for loop, inbox in self._followers.get(event.run_id, ()):
                if not loop.is_closed():
                    loop.call_soon_threadsafe(inbox.put_nowait, event)
