"""The FastAPI application of the support desk."""

import contextlib
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi_offline import FastAPIOffline

from api.body_limit import BodyLimit
from api.health_answers import Problem
from api.problem_kinds import INTERNAL, INVALID_REQUEST
from api.problems import describe, install_problem_handlers
from api.routes import decisions, health, problems, tickets
from desk.assembly import Premises, Role, open_premises
from desk.settings import Settings

OpenPremises = Callable[[], AbstractAsyncContextManager[Premises]]

# JSON may write one byte as six, and a decision carries two texts.
_BODY_FACTOR = 12
_BODY_ROOM = 4096


def create_app(settings: Settings, *, role: Role = Role.ALL, open_desk: OpenPremises | None = None) -> FastAPI:
    """Build the application.

    Args:
        settings: the process's settings.
        role: a worker answers health requests only.
        open_desk: opens the desk for as long as the application serves; from the settings, unless given.
    """

    @contextlib.asynccontextmanager
    async def serve_desk(app: FastAPI) -> AsyncGenerator[None]:
        async with open_desk() if open_desk else open_premises(settings, role=role) as premises:
            app.state.premises = premises
            yield

    # Its page for the API loads nothing from elsewhere.
    app = FastAPIOffline(
        title="Customer support desk",
        version="0.1.0",
        description="File a ticket, see what the agents found, decide on their proposal.",
        lifespan=serve_desk,
        telemetry={"auto_configure": True, "metrics": False, "logs": False},
        responses=describe(INVALID_REQUEST, INTERNAL),
    )
    app.add_middleware(BodyLimit, limit=settings.max_description * _BODY_FACTOR + _BODY_ROOM)
    install_problem_handlers(app)
    app.include_router(health.router)
    app.include_router(problems.router)
    if role is not Role.WORKER:
        app.include_router(tickets.router)
        app.include_router(decisions.router)
    app.openapi = lambda: _describe_api(app)
    return app


def _describe_api(app: FastAPI) -> dict[str, Any]:
    """Describe the API; FastAPI's own description promises errors in a form that this API does not use."""
    if app.openapi_schema is None:
        schema = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        schemas = schema.setdefault("components", {}).setdefault("schemas", {})
        for name in ("HTTPValidationError", "ValidationError"):
            schemas.pop(name, None)
        schemas["Problem"] = Problem.model_json_schema()
        app.openapi_schema = schema
    return app.openapi_schema
