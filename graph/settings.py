"""The settings of the model and the knowledge base, read from the environment and `.env`."""

import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, Any, TypeVar

from pydantic import AnyHttpUrl, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from graph.errors import InvalidSettingsError

OFFLINE_BASE_URL = "http://127.0.0.1:8002/v1"
OFFLINE_MODEL = "offline-support"
OPENAI_BASE_URL = "https://api.openai.com/v1"
OPENAI_MODEL = "gpt-4.1-mini"

_UNITS = {"ms": "milliseconds", "s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_DURATION = re.compile(r"(?P<amount>\d+(?:\.\d+)?)\s*(?P<unit>ms|s|m|h|d)?")

SettingsT = TypeVar("SettingsT", bound=BaseSettings)


def parse_duration(value: object) -> object:
    """Turn `90s`, `30m` or `24h` into a timedelta, a bare number being seconds; what is no text is pydantic's."""
    if not isinstance(value, str):
        return value
    found = _DURATION.fullmatch(value.strip())
    if found is None:
        raise ValueError("not a duration; write 90s, 30m or 24h")
    return timedelta(**{_UNITS[found["unit"] or "s"]: float(found["amount"])})


Duration = Annotated[timedelta, BeforeValidator(parse_duration), Field(gt=timedelta(0))]


class ModelSettings(BaseSettings):
    """Which model answers and where the knowledge base is; without a key and a URL it is the offline model."""

    model_config = SettingsConfigDict(
        frozen=True, env_file=".env", env_ignore_empty=True, extra="ignore", hide_input_in_errors=True
    )

    openai_api_key: SecretStr | None = None
    openai_base_url: AnyHttpUrl | None = None
    openai_model: str | None = None
    openai_timeout: Duration = timedelta(seconds=60)
    knowledge_base_url: AnyHttpUrl = AnyHttpUrl("http://127.0.0.1:8001/mcp")

    @property
    def is_offline(self) -> bool:
        """Whether the offline model answers."""
        return self.openai_api_key is None and self.openai_base_url is None

    @property
    def model_base_url(self) -> str:
        """The OpenAI-compatible service that is asked."""
        if self.openai_base_url is not None:
            return str(self.openai_base_url)
        return OFFLINE_BASE_URL if self.is_offline else OPENAI_BASE_URL

    @property
    def model_api_key(self) -> SecretStr:
        """The key that is sent; services that need none still get a word."""
        return self.openai_api_key or SecretStr("offline")

    @property
    def model_name(self) -> str:
        """The model that is asked for."""
        return self.openai_model or (OFFLINE_MODEL if self.is_offline else OPENAI_MODEL)


def load_settings(kind: type[SettingsT], **values: Any) -> SettingsT:
    """Read settings of one kind once, at the start of a process.

    Args:
        kind: the settings class to fill.
        **values: fields given in code; they win over the environment.

    Raises:
        InvalidSettingsError: a value cannot be used; the message names each variable. An entry point exits with 2.
    """
    try:
        return kind(**values)
    except ValidationError as error:
        problems = [f"{_variable(item['loc'])}: {item['msg']}" for item in error.errors(include_input=False)]
        raise InvalidSettingsError(f"invalid settings: {'; '.join(problems)}; see env.template") from error


def _variable(location: Sequence[int | str]) -> str:
    return str(location[0]).upper() if location else "(all)"
