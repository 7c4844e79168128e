"""The knowledge base's settings; the only module here that reads the environment."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict

from mcp_server.errors import StartError
from mcp_server.index import shorten

LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
LOG_FORMATS = ("text", "json")


def _in_case(change: Literal["upper", "lower"]) -> BeforeValidator:
    return BeforeValidator(lambda value: getattr(value, change)() if isinstance(value, str) else value)


LogLevel = Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], _in_case("upper")]
LogFormat = Annotated[Literal["text", "json"], _in_case("lower")]


class Settings(BaseSettings):
    """What the environment and `.env` say; the command line overrides it."""

    # `.env` holds the settings of every part of the project.
    model_config = SettingsConfigDict(env_file=".env", extra="ignore", frozen=True, env_ignore_empty=True)

    knowledge_base_host: str = "127.0.0.1"
    knowledge_base_port: Annotated[int, Field(ge=0, le=65535)] = 8001
    knowledge_base_articles: Path = Path(__file__).parent / "articles"
    log_level: LogLevel = "INFO"
    log_format: LogFormat = "text"


def read_settings() -> Settings:
    """Read the environment.

    Raises:
        StartError: A variable has a value that cannot be used; the message names it.
    """
    try:
        return Settings()
    except ValidationError as error:
        raise StartError("; ".join(map(_complaint, error.errors()))) from error


def _complaint(detail: ErrorDetails) -> str:
    name = str(detail["loc"][0]).upper()
    return f"{name}={shorten(str(detail['input']))!r} in the environment or .env: {detail['msg']}"
