"""The environment: what it tells the launcher, and what the launcher hands to the processes that it starts."""

import os
from collections.abc import Mapping

from dotenv import dotenv_values

from graph.settings import ModelSettings
from local.project import Project


def child_environment(project: Project, settings: ModelSettings) -> dict[str, str]:
    """Return the environment for apps and sidecars: this process's, over `.env`, with the model spelled out.

    A sidecar does not know the rule by which a lone key means OpenAI: its component would send the key to the
    offline model. So the address and the name of the model are always given along with the key.
    """
    written = {name: value for name, value in dotenv_values(project.env_file).items() if value}
    environment = {**written, **_without_empty(os.environ), "PYTHONUNBUFFERED": "1"}
    environment["DAPR_RUNTIME_PATH"] = str(project.runtime_path)
    if not settings.is_offline:
        environment["OPENAI_BASE_URL"] = settings.model_base_url
        environment["OPENAI_MODEL"] = settings.model_name
    return environment


def current_environment() -> Mapping[str, str]:
    """Return the environment in which the user looks for Dapr and Go."""
    return os.environ


def chosen_editor() -> str | None:
    """Return the command of the user's editor."""
    return os.environ.get("VISUAL") or os.environ.get("EDITOR") or None


def _without_empty(environment: Mapping[str, str]) -> dict[str, str]:
    """Leave out variables that are set to nothing: they would hide what `.env` says."""
    return {name: value for name, value in environment.items() if value}
