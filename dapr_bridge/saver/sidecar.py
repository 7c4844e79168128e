"""Calls to the sidecar, repeated with patience while it is away or its store is in trouble."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol

import grpc
from dapr.conf import settings as dapr_settings
from dapr.proto.runtime.v1.dapr_pb2_grpc import DaprStub

from dapr_bridge.errors import StateStoreUnavailableError
from dapr_bridge.saver.effects import Awaited, Pause, Steps

logger = logging.getLogger(__name__)

_AWAY = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED})
# What daprd makes of a store's own errors, a failed guard among them: SQLite answers so when it is locked for a moment.
_TROUBLED = frozenset({grpc.StatusCode.INTERNAL, grpc.StatusCode.ABORTED, grpc.StatusCode.UNKNOWN})
_NO_STORE = "is not found"

_LAST_CALLS_SECONDS = 2.0


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long to go on asking.

    Attributes:
        away: while the sidecar does not answer. A restart of daprd takes seconds; a run that gave up sooner would pay
            for its last model call again.
        trouble: while the sidecar answers, and its store refuses, or is not there yet.
        call: for the answer to one call.
    """

    away: timedelta = timedelta(seconds=60)
    trouble: timedelta = timedelta(seconds=10)
    call: timedelta = timedelta(seconds=30)


class Tries:
    """Paces the tries of one thing, with growing pauses, until patience is at an end."""

    def __init__(self, patience: timedelta) -> None:
        self._deadline = time.monotonic() + patience.total_seconds()
        self._seconds = 0.01

    def pause(self) -> Pause | None:
        """Return the pause before the next try, or None when there is to be none."""
        if time.monotonic() > self._deadline:
            return None
        seconds, self._seconds = self._seconds, min(self._seconds * 2, 1.0)
        return Pause(seconds)


class Holder(Protocol):
    """Who has something that is written, for as long as nobody else has it."""

    def still_own(self) -> Steps[None]:
        """Look, before a request is sent, whether it may be; raises what refuses it."""
        ...

    def sent(self, call: Awaited) -> None:
        """Take note of a request on its way: nobody else is to have what is written before that has ended."""
        ...


class SidecarCalls:
    """One gRPC channel to a sidecar; thread-safe, and of no event loop."""

    def __init__(self, address: str | None, patience: Patience) -> None:
        self.patience = patience
        self._channel = open_channel(address)
        self.stub = DaprStub(self._channel)
        token = dapr_settings.DAPR_API_TOKEN
        self._metadata = (("dapr-api-token", token),) if token else ()
        self._idle = threading.Condition()
        self._going_on = 0

    def close(self) -> None:
        """Close the channel, when the calls still going on have ended or a moment has passed."""
        with self._idle:
            self._idle.wait_for(lambda: not self._going_on, timeout=_LAST_CALLS_SECONDS)
        self._channel.close()

    def start(self, method: Any, request: Any) -> Awaited:
        """Send a request; the future is its answer.

        It is never cancelled: on SQLite, daprd 1.18 loses a connection to each read that is cut off, which keeps its
        snapshot and makes later writes fail as "database is locked".
        """
        with self._idle:
            self._going_on += 1
        call = method.future(request, metadata=self._metadata, timeout=self.patience.call.total_seconds())
        call.add_done_callback(self._end)
        return call

    def _end(self, _: object) -> None:
        with self._idle:
            self._going_on -= 1
            self._idle.notify_all()

    def call(self, method: Any, request: Any, *, guarded: bool = False, holder: Holder | None = None) -> Steps[Any]:
        """Send a request until there is an answer.

        Args:
            method: a method of `stub`.
            request: what to send; sending it twice must do no harm.
            guarded: whether a store's refusal may be a failed guard, which asking again does not mend.
            holder: who has what is written; asked each time before the request is sent.

        Raises:
            grpc.RpcError: the answer is an error that does not pass.
            StateStoreUnavailableError: the sidecar stayed away.
        """
        while_away, in_trouble = Tries(self.patience.away), Tries(self.patience.trouble)
        while True:
            if holder:
                yield from holder.still_own()
            call = self.start(method, request)
            if holder:
                holder.sent(call)
            yield call
            error = call.exception()
            if error is None:
                return call.result()
            if tells_of_absence(error):
                pause = while_away.pause()
                if pause is None:
                    text = f"the sidecar did not answer in {self.patience.away}: {describe(error)}. Is daprd running?"
                    raise StateStoreUnavailableError(text) from error
            else:
                may_pass = (status_of(error) in _TROUBLED and not guarded) or tells_of_no_store(error)
                pause = in_trouble.pause() if may_pass else None
                if pause is None:
                    raise error
            logger.debug("asking the sidecar again: %s", describe(error))
            yield pause


def target_of(address: str | None) -> str:
    """Return the address of a sidecar; when none is given, the one that Dapr's own settings name."""
    return address or f"{dapr_settings.DAPR_RUNTIME_HOST}:{dapr_settings.DAPR_GRPC_PORT}"


def open_channel(address: str | None) -> grpc.Channel:
    """Open a channel to a sidecar; without an address, to the one that Dapr's own settings name."""
    unlimited = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
    # Without a ceiling, gRPC waits up to two minutes before it tries a sidecar again that was away for a while.
    backoff = [("grpc.initial_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 1000)]
    return grpc.insecure_channel(target_of(address), options=[*unlimited, *backoff])


def status_of(error: BaseException) -> grpc.StatusCode | None:
    """Return the status of a gRPC error."""
    return error.code() if isinstance(error, grpc.Call) else None


def tells_of_absence(error: BaseException) -> bool:
    """Tell whether a gRPC error says that the sidecar is away, or has gone before it could answer."""
    return status_of(error) in _AWAY


def tells_of_no_store(error: BaseException) -> bool:
    """Tell whether a gRPC error says that there is no such state store, as a sidecar that starts may for a while."""
    return status_of(error) is grpc.StatusCode.INVALID_ARGUMENT and _NO_STORE in describe(error)


def describe(error: BaseException) -> str:
    """Say what a gRPC error says, on one line."""
    return f"{error.code().name}: {error.details()}" if isinstance(error, grpc.Call) else str(error)
