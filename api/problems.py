"""Errors as problem details (RFC 9457): one form for everything that can be answered with 4xx or 5xx."""

import json
import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from api.problem_kinds import (
    ALREADY_DECIDED,
    DAPR_AWAY,
    INTERNAL,
    INVALID_REQUEST,
    NOT_AWAITED,
    RETRY_REFUSED,
    STALE_DIGEST,
    TICKET_CONFLICT,
    TOO_LARGE,
    UNKNOWN_TICKET,
    ProblemKind,
)
from desk.errors import (
    DaprError,
    DecisionRefusedError,
    DeskError,
    RetryRefusedError,
    TextTooLongError,
    TicketConflictError,
    UnknownTicketError,
)

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER = "5"


_REFUSALS = {"not_awaited": NOT_AWAITED, "already_decided": ALREADY_DECIDED, "stale": STALE_DIGEST}
_DESK_KINDS: Mapping[type[DeskError], ProblemKind] = {
    UnknownTicketError: UNKNOWN_TICKET,
    TicketConflictError: TICKET_CONFLICT,
    TextTooLongError: TOO_LARGE,
    RetryRefusedError: RETRY_REFUSED,
}


class BodyTooLargeError(HTTPException):
    """A body is larger than allowed; an HTTP error, since FastAPI lets only those pass while it reads a body."""

    def __init__(self, size: str, *, limit: int) -> None:
        super().__init__(TOO_LARGE.status, f"The body has {size} bytes; at most {limit} are taken.")


def problem(
    kind: ProblemKind,
    detail: str,
    *,
    instance: str,
    headers: Mapping[str, str] | None = None,
    **extensions: Any,
) -> Response:
    """Build the answer for a problem.

    Args:
        kind: what kind of problem it is.
        detail: what happened this time, and what to do.
        instance: the path of the request.
        headers: further headers of the answer.
        **extensions: further members of the problem.
    """
    members = {
        "type": f"/problems/{kind.slug}",
        "title": kind.title,
        "status": kind.status.value,
        "detail": detail,
        "instance": instance,
        **extensions,
    }
    extra = {"Retry-After": RETRY_AFTER} if kind.status == HTTPStatus.SERVICE_UNAVAILABLE else {}
    # ASCII only: a request can quote text that no encoding holds, such as half of a surrogate pair.
    body = json.dumps(members, ensure_ascii=True)
    return Response(body, kind.status.value, {**extra, **(headers or {})}, MEDIA_TYPE)


def describe(*kinds: ProblemKind) -> dict[int | str, dict[str, Any]]:
    """Describe the problems that a route can answer with, for the OpenAPI page."""
    return {
        kind.status.value: {
            "description": kind.title,
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for kind in kinds
    }


def install_problem_handlers(app: FastAPI) -> None:
    """Answer every error of the app with a problem."""
    app.add_exception_handler(RequestValidationError, _on_invalid_request)
    app.add_exception_handler(BodyTooLargeError, _on_large_body)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(DeskError, _on_desk_error)
    app.add_exception_handler(Exception, _on_anything_else)


async def _on_desk_error(request: Request, error: Exception) -> Response:
    if isinstance(error, DecisionRefusedError):
        return problem(_REFUSALS[error.reason], str(error), instance=request.url.path)
    if isinstance(error, DaprError):
        logger.warning("answered 503: %s", error)
        return problem(DAPR_AWAY, str(error), instance=request.url.path)
    kind = _DESK_KINDS.get(type(error)) if isinstance(error, DeskError) else None
    if kind is None:
        return await _on_anything_else(request, error)
    return problem(kind, str(error), instance=request.url.path)


async def _on_invalid_request(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for nothing else
    errors = [{"where": ".".join(map(str, each["loc"])), "problem": each["msg"]} for each in error.errors()]
    detail = "; ".join(f"{each['where']}: {each['problem']}" for each in errors)
    return problem(INVALID_REQUEST, detail, instance=request.url.path, errors=errors)


async def _on_large_body(request: Request, error: Exception) -> Response:
    assert isinstance(error, BodyTooLargeError)  # noqa: S101 - registered for nothing else
    return problem(TOO_LARGE, error.detail, instance=request.url.path)


async def _on_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for nothing else
    status = HTTPStatus(error.status_code)
    members = {
        "type": "about:blank",
        "title": status.phrase,
        "status": status.value,
        "detail": _explain(request, error),
        "instance": request.url.path,
    }
    return JSONResponse(members, status.value, error.headers, MEDIA_TYPE)


async def _on_anything_else(request: Request, error: Exception) -> Response:
    logger.error("request failed: %s %s", request.method, request.url.path, exc_info=error)
    return problem(INTERNAL, "The log of the service tells more.", instance=request.url.path)


def _explain(request: Request, error: HTTPException) -> str:
    if error.status_code == HTTPStatus.NOT_FOUND:
        return f"There is nothing at {request.url.path}; /docs lists what there is."
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = (error.headers or {}).get("Allow", "other methods")
        return f"{request.method} does not work here; {allowed} does."
    return str(error.detail)
