"""Where the offline model listens and how it logs, read from the environment and `.env`."""

from typing import Annotated, Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class OfflineModelSettings(BaseSettings):
    """Defaults of the command line."""

    model_config = SettingsConfigDict(frozen=True, env_file=".env", env_ignore_empty=True, extra="ignore")

    offline_model_host: str = "127.0.0.1"
    offline_model_port: Annotated[int, Field(ge=1, le=65535)] = 8002
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] = "INFO"
    log_format: Literal["text", "json"] = "text"
