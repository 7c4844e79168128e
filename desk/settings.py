"""Every setting of the desk and its HTTP edge, read once from the environment and `.env`."""

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, field_validator
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from desk.durations import Duration
from graph.settings import ModelSettings

LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR"]
LogFormat = Literal["text", "json"]
Port = Annotated[int, Field(ge=1, le=65535)]

_DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg", "postgres": "postgresql+asyncpg"}


def _upper(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


class Settings(ModelSettings):
    """One frozen object per process; `env.template` explains each variable."""

    database_url: str = "sqlite+aiosqlite:///.data/desk.db"
    dapr_http_port: Port = 3500
    dapr_grpc_port: Port = 50001

    approval_timeout: Duration = timedelta(hours=24)
    approval_reminder_interval: Duration | None = None
    approval_poll_interval: Duration = timedelta(minutes=1)
    max_expert_rounds: Annotated[int, Field(ge=0, le=10)] = 2
    max_description: Annotated[int, Field(ge=100, le=1_000_000)] = 50_000
    sweep_interval: Duration = timedelta(seconds=2)

    api_host: str = "127.0.0.1"
    api_port: Port = 8000
    log_level: Annotated[LogLevel, BeforeValidator(_upper)] = "INFO"
    log_format: Annotated[LogFormat, BeforeValidator(_lower)] = "text"

    customer_store: str = "customer-state"
    system_store: str = "system-state"
    analysis_store: str = "analysis-state"
    execution_store: str = "execution-state"
    memory_store: str = "memory-state"
    registry_store: str = "registry-state"
    support_pubsub: str = "support-pubsub"
    notification_component: str = "customer-notification-llm"

    @field_validator("database_url")
    @classmethod
    def _use_async_driver(cls, value: str) -> str:
        try:
            url = make_url(value)
        except ArgumentError:
            # The URL may carry a password, so the message must not repeat it.
            raise ValueError("not a database URL; write sqlite:///path/to/file or postgresql://...") from None
        driver = _DRIVERS.get(url.drivername, url.drivername)
        if driver not in _DRIVERS.values():
            raise ValueError(f"no asynchronous driver for {url.drivername!r}; use one of {sorted(_DRIVERS)}")
        return url.set(drivername=driver).render_as_string(hide_password=False)

    @property
    def dapr_address(self) -> str:
        """The sidecar's gRPC address."""
        return f"127.0.0.1:{self.dapr_grpc_port}"

    @property
    def dapr_http_url(self) -> str:
        """The sidecar's HTTP address."""
        return f"http://127.0.0.1:{self.dapr_http_port}"

    @property
    def reminder_interval(self) -> timedelta:
        """How often a person is reminded of a waiting proposal: a quarter of the time allowed, unless set."""
        return self.approval_reminder_interval or self.approval_timeout / 4
