"""What the API answers about itself: health, and the form of its errors."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Health(BaseModel):
    """The process lives."""

    status: Literal["ok"] = "ok"


class CheckReport(BaseModel):
    """Whether one thing that the desk needs answers."""

    ready: bool
    detail: str


class Readiness(BaseModel):
    """Whether everything that the desk needs answers."""

    status: Literal["ready"] = "ready"
    checks: dict[str, CheckReport]


class SampleData(BaseModel):
    """How many records each store holds."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"stores": {"customer-state": 3, "system-state": 3}, "loaded": True}]}
    )

    stores: dict[str, int]
    loaded: bool = Field(description="Whether every store holds something; `python -m seed` loads the sample data.")


class Problem(BaseModel):
    """An error (RFC 9457)."""

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={
            "examples": [
                {
                    "type": "/problems/unknown-ticket",
                    "title": "There is no such ticket",
                    "status": 404,
                    "detail": "no ticket 'T-1'; GET /support/tickets lists those there are",
                    "instance": "/support/status/T-1",
                }
            ]
        },
    )

    type: str
    title: str
    status: int
    detail: str
    instance: str


class ProblemKindReport(BaseModel):
    """A kind of problem."""

    type: str
    title: str
    status: int
