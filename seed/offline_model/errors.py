"""Errors in the shape that OpenAI clients expect."""

from collections.abc import Sequence

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException


def error_response(
    status: int, message: str, *, kind: str, code: str | None = None, param: str | None = None
) -> JSONResponse:
    """Build an error answer."""
    body = {"error": {"message": message, "type": kind, "param": param, "code": code}}
    return JSONResponse(body, status_code=status)


def install_error_handlers(app: FastAPI) -> None:
    """Answer every refusal of the app in OpenAI's shape."""

    async def refuse_request(_: Request, error: Exception) -> JSONResponse:
        first = error.errors()[0] if isinstance(error, RequestValidationError) else {}
        if first.get("type") == "json_invalid":
            return error_response(400, "The body is not valid JSON.", kind="invalid_request_error", code="invalid_json")
        param = _dotted(first.get("loc", ()))
        message = f"Invalid value for {param or 'the request'}: {first.get('msg')}"
        return error_response(400, message, kind="invalid_request_error", code="invalid_value", param=param or None)

    async def refuse_route(_: Request, error: Exception) -> JSONResponse:
        status = error.status_code if isinstance(error, HTTPException) else 500
        return error_response(status, str(getattr(error, "detail", error)), kind="invalid_request_error")

    async def report_failure(_: Request, error: Exception) -> JSONResponse:
        return error_response(500, f"The offline model failed: {type(error).__name__}.", kind="server_error")

    app.add_exception_handler(Exception, report_failure)
    app.add_exception_handler(RequestValidationError, refuse_request)
    app.add_exception_handler(HTTPException, refuse_route)


def _dotted(location: Sequence[int | str]) -> str:
    parts = [str(part) for part in location if part != "body"]
    return ".".join(parts)
