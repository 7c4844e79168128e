"""Which model is asked, and what happens to a setting that cannot be used."""

from datetime import timedelta
from pathlib import Path

import pytest

from graph.errors import InvalidSettingsError
from graph.settings import ModelSettings, load_settings

VARIABLES = ("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_MODEL", "OPENAI_TIMEOUT", "KNOWLEDGE_BASE_URL")


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


def test_without_key_and_url_the_offline_model_answers() -> None:
    settings = load_settings(ModelSettings)
    assert (settings.model_base_url, settings.model_name) == ("http://127.0.0.1:8002/v1", "offline-support")
    assert settings.model_api_key.get_secret_value() == "offline"
    assert str(settings.knowledge_base_url) == "http://127.0.0.1:8001/mcp"


def test_a_key_alone_means_openai(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    settings = load_settings(ModelSettings)
    assert (settings.model_base_url, settings.model_name) == ("https://api.openai.com/v1", "gpt-4.1-mini")
    assert "sk-test" not in repr(settings)


def test_a_url_alone_means_that_service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://gpu:11434/v1")
    monkeypatch.setenv("OPENAI_MODEL", "qwen3")
    settings = load_settings(ModelSettings)
    assert (settings.model_base_url, settings.model_name) == ("http://gpu:11434/v1", "qwen3")


def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "")
    assert load_settings(ModelSettings).is_offline


def test_the_env_file_of_the_project_is_read(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("OPENAI_MODEL=from-file\nSOMETHING_ELSE=1\n")
    assert load_settings(ModelSettings).model_name == "from-file"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("90s", timedelta(seconds=90)),
        ("2 m", timedelta(minutes=2)),
        ("500ms", timedelta(seconds=0.5)),
        ("30", timedelta(seconds=30)),
    ],
)
def test_durations_are_written_with_a_unit_or_in_seconds(
    monkeypatch: pytest.MonkeyPatch, written: str, meant: timedelta
) -> None:
    monkeypatch.setenv("OPENAI_TIMEOUT", written)
    assert load_settings(ModelSettings).openai_timeout == meant


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OPENAI_BASE_URL", "localhost"),
        ("OPENAI_TIMEOUT", "soon"),
        ("OPENAI_TIMEOUT", "0s"),
        ("KNOWLEDGE_BASE_URL", "x"),
    ],
)
def test_an_invalid_value_stops_with_the_name_of_its_variable(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(InvalidSettingsError, match=name):
        load_settings(ModelSettings)
