"""Turns requests away that are too large or of another type than JSON, before anything reads them."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problem_kinds import TOO_LARGE, UNSUPPORTED_TYPE
from api.problems import BodyTooLargeError, problem

_JSON = "application/json"


class BodyLimit:
    """ASGI middleware that bounds the bytes of a request's body and asks for JSON.

    Args:
        app: the application behind.
        limit: the most bytes a body may have.
    """

    def __init__(self, app: ASGIApp, *, limit: int) -> None:
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
        length = headers.get(b"content-length", "")
        if length.isascii() and length.isdigit() and int(length) > self._limit:
            await self._refuse(scope, receive, send, size=length)
        elif not _is_json(scope, headers):
            await _refuse_type(scope, receive, send, found=headers.get(b"content-type", "nothing"))
        else:
            await self._pass_on(scope, receive, send)

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        received = 0

        async def count() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._limit:
                raise BodyTooLargeError(f"more than {self._limit}", limit=self._limit)
            return message

        await self._app(scope, count, send)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send, *, size: str) -> None:
        refusal = BodyTooLargeError(size, limit=self._limit)
        await problem(TOO_LARGE, refusal.detail, instance=scope["path"])(scope, receive, send)


async def _refuse_type(scope: Scope, receive: Receive, send: Send, *, found: str) -> None:
    detail = f"The body is declared as {found!r}; send Content-Type: {_JSON}."
    await problem(UNSUPPORTED_TYPE, detail, instance=scope["path"])(scope, receive, send)


def _is_json(scope: Scope, headers: dict[bytes, str]) -> bool:
    has_body = headers.get(b"content-length", "0") != "0" or b"transfer-encoding" in headers
    if scope["method"] not in ("POST", "PUT", "PATCH") or not has_body:
        return True
    return headers.get(b"content-type", "").partition(";")[0].strip().lower() == _JSON
