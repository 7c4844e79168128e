"""Answers for turns of a workflow that come too late, which are kept back, and what is done about those that are not.

Dapr gives a turn to another worker when it has lost the one that had it. That one may only have been cut off, and
answer after all. daprd 1.18 takes this for the other one's answer: it knows a turn by its workflow, and only later
releases by a token. What has come in between is in the history then, and no turn has looked at it. An event that nobody
waits for brings about one more turn, which looks at the whole history.
"""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any

import grpc

logger = logging.getLogger(__name__)

_STREAM = "/GetWorkItems"
_ANSWER = "/CompleteOrchestratorTask"
_TOKEN = "dapr_bridge:"  # noqa: S105 - names a stream

# In seconds. That a stream has ended is noticed a little later than it has, by a worker that was stopped, or that gets
# the answer to what it has sent meanwhile.
_LONG_FOR_A_TURN, _UNTIL_NOTICED = 1.0, 0.1
_MOMENT = 2.0
_MOST_ANSWERS = 1_000

Wake = Callable[[str], object]


class LateTurns(grpc.UnaryUnaryClientInterceptor, grpc.UnaryStreamClientInterceptor):
    """Knows, of all turns that come to a worker, on which stream; as interceptor of the worker's calls.

    Args:
        wake: gives a workflow one more turn, by its instance id; may take its time.
    """

    def __init__(self, wake: Wake) -> None:
        self._wake = wake
        self._numbers = itertools.count(1)
        self._open: set[int] = set()
        self._answered: deque[tuple[float, int, str]] = deque(maxlen=_MOST_ANSWERS)
        self._guard = threading.Lock()
        self._is_closed = False

    def close(self) -> None:
        """Wake nobody from now on: the worker stops, and leaves no turn unanswered."""
        with self._guard:
            self._is_closed = True

    def intercept_unary_stream(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        """Mark the turns that come on a stream of work."""
        call = continuation(client_call_details, request)
        return self._marked(call) if client_call_details.method.endswith(_STREAM) else call

    def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        """Send an answer as it would be without the mark, unless it is too late.

        Raises:
            ValueError: it is. To the SDK that is a connection that is no more: Dapr gives the turn to somebody else.
        """
        mark = _Mark.of(request) if client_call_details.method.endswith(_ANSWER) else None
        if mark is None:
            return continuation(client_call_details, request)
        if time.monotonic() - mark.came_at > _LONG_FOR_A_TURN:
            time.sleep(_UNTIL_NOTICED)
        if mark.stream not in self._open:
            raise ValueError(f"the stream on which a turn of {request.instanceId!r} came has ended")
        request.completionToken = ""
        answer = continuation(client_call_details, request)
        self._note(mark.stream, request.instanceId)
        return answer

    def _marked(self, call: Any) -> _WorkItems:
        number = next(self._numbers)
        with self._guard:
            self._open.add(number)
        return _WorkItems(call, number, self._ended)

    def _note(self, number: int, instance_id: str) -> None:
        with self._guard:
            is_late = number not in self._open
            if not is_late:
                self._answered.append((time.monotonic(), number, instance_id))
        if is_late:
            self._wake_soon({instance_id})

    def _ended(self, number: int) -> None:
        since = time.monotonic() - _MOMENT
        with self._guard:
            self._open.discard(number)
            late = {name for at, stream, name in self._answered if stream == number and at >= since}
        self._wake_soon(late)

    def _wake_soon(self, instance_ids: Collection[str]) -> None:
        if instance_ids:
            threading.Thread(target=self._wake_all, args=(instance_ids,), daemon=True, name="LateTurns").start()

    def _wake_all(self, instance_ids: Collection[str]) -> None:
        for each in instance_ids:
            if self._is_closed:
                return
            logger.info("an answer for a turn may have come too late: waking its workflow", extra={"instance_id": each})
            self._wake(each)


class _WorkItems:
    """A stream of work whose turns say by which stream they have come, unless Dapr itself tells turns apart."""

    def __init__(self, call: Any, number: int, ended: Callable[[int], None]) -> None:
        self._call, self._number, self._ended = call, number, ended

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        try:
            item = next(self._call)
        except BaseException:
            self._ended(self._number)
            raise
        if item.HasField("workflowRequest") and not item.completionToken:
            item.completionToken = str(_Mark(stream=self._number, came_at=time.monotonic()))
        return item

    def __getattr__(self, name: str) -> Any:
        return getattr(self._call, name)


@dataclass(frozen=True, kw_only=True)
class _Mark:
    """On which stream a turn has come, and when."""

    stream: int
    came_at: float

    def __str__(self) -> str:
        return f"{_TOKEN}{self.stream}:{self.came_at}"

    @classmethod
    def of(cls, answer: Any) -> _Mark | None:
        """Return the mark of the turn that is answered; Dapr's own tokens are none."""
        token: str = answer.completionToken
        if not token.startswith(_TOKEN):
            return None
        stream, _, came_at = token.removeprefix(_TOKEN).partition(":")
        return cls(stream=int(stream), came_at=float(came_at))
