"""The desk's settings."""

from datetime import timedelta
from pathlib import Path

import pytest

from desk.settings import Settings
from graph.errors import InvalidSettingsError
from graph.settings import load_settings
from tests.kit.desk_room import settings


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_defaults_need_no_environment() -> None:
    found = settings()
    assert found.approval_timeout == timedelta(hours=24)
    assert found.reminder_interval == timedelta(hours=6)
    assert found.dapr_address == "127.0.0.1:50001"


def test_environment_and_env_file_are_read_and_the_environment_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text("API_PORT=9000\nAPPROVAL_TIMEOUT=30m\n")
    monkeypatch.setenv("API_PORT", "9001")
    found = load_settings(Settings)
    assert (found.api_port, found.approval_timeout) == (9001, timedelta(minutes=30))


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("APPROVAL_TIMEOUT", "soon"),
        ("API_PORT", "0"),
        ("API_PORT", "http"),
        ("DAPR_GRPC_PORT", "70000"),
        ("DATABASE_URL", "not a url"),
        ("DATABASE_URL", "mysql://localhost/desk"),
        ("LOG_LEVEL", "LOUD"),
        ("LOG_FORMAT", "xml"),
        ("MAX_EXPERT_ROUNDS", "-1"),
        ("MAX_DESCRIPTION", "1"),
    ],
)
def test_an_invalid_value_is_refused_by_its_name(monkeypatch: pytest.MonkeyPatch, variable: str, value: str) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(InvalidSettingsError, match=variable):
        load_settings(Settings)


def test_a_refused_database_url_does_not_show_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "mysql://desk:hunter2@localhost/desk")
    with pytest.raises(InvalidSettingsError) as refusal:
        load_settings(Settings)
    assert "hunter2" not in str(refusal.value)


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("sqlite:///desk.db", "sqlite+aiosqlite:///desk.db"),
        ("postgresql://desk:pw@db/desk", "postgresql+asyncpg://desk:pw@db/desk"),
        ("postgres://db/desk", "postgresql+asyncpg://db/desk"),
    ],
)
def test_a_database_url_gets_its_asynchronous_driver(given: str, used: str) -> None:
    assert settings(database_url=given).database_url == used


def test_levels_and_formats_are_read_in_any_case() -> None:
    found = settings(log_level="debug", log_format="JSON")
    assert (found.log_level, found.log_format) == ("DEBUG", "json")
