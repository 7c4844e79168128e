"""What the launcher keeps in .data, and how it is removed."""

from __future__ import annotations

import io
import os
from pathlib import Path

import psutil
import pytest
from rich.console import Console

from local.clean_data import clean_data
from local.errors import AlreadyRunningError, NotAProjectError
from local.project import Project, find_project
from local.run_record import RunRecord
from local.sample_data import is_loaded, mark_as_loaded


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = Project(root=tmp_path)
    (tmp_path / "dapr.yaml").touch()
    project.data.mkdir()
    project.sample_data.mkdir(parents=True)
    (project.sample_data / "customers.json").write_text("[]")
    (project.data / ".gitignore").touch()
    return project


def load(project: Project) -> None:
    for store in ("customer-state.db", "system-state.db"):
        (project.data / store).touch()
    mark_as_loaded(project)


def clean(project: Project, *, answer: str = "", is_sure: bool = False) -> str:
    output = io.StringIO()
    console = Console(file=output, width=200, markup=False)
    console.input = lambda _="", **_options: answer  # pyright: ignore[reportAttributeAccessIssue] - a person who answers
    clean_data(project, console=console, is_sure=is_sure)
    return output.getvalue()


def test_sample_data_counts_as_loaded_until_it_or_a_store_changes(project: Project) -> None:
    assert not is_loaded(project)
    load(project)
    assert is_loaded(project)
    (project.sample_data / "customers.json").write_text("[{}]")
    assert not is_loaded(project)
    mark_as_loaded(project)
    (project.data / "customer-state.db").unlink()
    assert not is_loaded(project)


def test_data_is_removed_only_after_a_yes(project: Project) -> None:
    load(project)
    (project.data / "logs").mkdir()
    assert "Nothing was removed." in clean(project, answer="")
    assert is_loaded(project)
    assert "customer-state.db" in clean(project, answer="Y")
    assert [path.name for path in project.data.iterdir()] == [".gitignore"]
    assert "There is nothing" in clean(project)


def test_data_is_removed_unasked_by_whoever_is_sure(project: Project) -> None:
    load(project)
    clean(project, is_sure=True)
    assert not is_loaded(project)


def test_data_of_a_running_project_is_not_removed(project: Project) -> None:
    RunRecord(project.run_record).claim()
    assert psutil.pid_exists(os.getpid())
    with pytest.raises(AlreadyRunningError):
        clean(project, is_sure=True)


def test_a_project_is_found_from_a_folder_below(project: Project, tmp_path_factory: pytest.TempPathFactory) -> None:
    assert find_project(project.sample_data) == project
    with pytest.raises(NotAProjectError, match="no dapr"):
        find_project(tmp_path_factory.mktemp("elsewhere"))
