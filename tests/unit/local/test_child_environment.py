"""The environment that apps and sidecars get."""

from __future__ import annotations

from pathlib import Path

import pytest

from graph.settings import ModelSettings, load_settings
from local.project import Project
from local.settings import child_environment, chosen_editor

NAMES = ("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_MODEL", "LOG_LEVEL", "VISUAL", "EDITOR")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def environment(folder: Path) -> dict[str, str]:
    return child_environment(Project(root=folder), load_settings(ModelSettings))


def test_with_nothing_set_the_components_own_defaults_hold(folder: Path) -> None:
    assert not {"OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_MODEL"} & environment(folder).keys()


def test_a_lone_key_goes_to_openai_and_never_to_the_offline_model(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-1")
    found = environment(folder)
    assert found["OPENAI_BASE_URL"].startswith("https://api.openai.com/v1")
    assert found["OPENAI_MODEL"] == "gpt-4.1-mini"
    assert found["OPENAI_API_KEY"] == "sk-1"


def test_the_env_file_reaches_the_sidecars(folder: Path) -> None:
    (folder / ".env").write_text("OPENAI_API_KEY=sk-2\nOPENAI_BASE_URL=http://127.0.0.1:1/v1\nLOG_LEVEL=DEBUG\n")
    found = environment(folder)
    assert (found["OPENAI_API_KEY"], found["OPENAI_BASE_URL"]) == ("sk-2", "http://127.0.0.1:1/v1")
    assert found["LOG_LEVEL"] == "DEBUG"


def test_the_environment_wins_over_the_env_file_unless_it_is_empty(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / ".env").write_text("LOG_LEVEL=DEBUG\nOPENAI_API_KEY=from-file\n")
    monkeypatch.setenv("LOG_LEVEL", "ERROR")
    monkeypatch.setenv("OPENAI_API_KEY", "")
    found = environment(folder)
    assert (found["LOG_LEVEL"], found["OPENAI_API_KEY"]) == ("ERROR", "from-file")


def test_the_cli_finds_the_daprd_of_this_run(folder: Path) -> None:
    assert environment(folder)["DAPR_RUNTIME_PATH"] == str(folder / ".data" / "dapr")


def test_the_visual_editor_comes_before_the_line_editor(monkeypatch: pytest.MonkeyPatch) -> None:
    assert chosen_editor() is None
    monkeypatch.setenv("EDITOR", "ed")
    assert chosen_editor() == "ed"
    monkeypatch.setenv("VISUAL", "vi")
    assert chosen_editor() == "vi"
