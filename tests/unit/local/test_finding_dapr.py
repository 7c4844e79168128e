"""Looking for a Dapr runtime on this machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from dapr_bridge import RuntimeNotFoundError
from dapr_bridge.testing import find_runtime


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home folder, and a current folder with nothing above it."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(home)
    return home


def install(folder: Path, *, version: str = "1.18.1", programs: tuple[str, ...] = ("placement", "scheduler")) -> Path:
    folder.mkdir(parents=True)
    for program in ("daprd", *programs):
        path = folder / program
        path.write_text(f"#!/bin/sh\necho {version}\n")
        path.chmod(0o755)
    return folder


def test_the_users_own_path_comes_before_the_home_folder_and_before_the_path(home: Path) -> None:
    chosen = install(home / "chosen" / ".dapr" / "bin")
    in_home = install(home / ".dapr" / "bin")
    on_path = install(home / "path")
    extra = install(home / "extra")
    project = install(home / ".dapr-runtime" / "bin")
    environ = {"DAPR_RUNTIME_PATH": str(home / "chosen"), "PATH": str(on_path)}
    for folder in (chosen, in_home, on_path, extra, project):
        assert find_runtime([extra], environ=environ).daprd == folder / "daprd"
        (folder / "daprd").unlink()
    with pytest.raises(RuntimeNotFoundError):
        find_runtime([extra], environ=environ)


def test_the_checkouts_own_build_is_found_from_a_folder_below(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built = install(home / ".dapr-runtime" / "bin")
    below = home / "tests" / "unit"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    assert find_runtime(environ={}).scheduler == built / "scheduler"


@pytest.mark.parametrize("version", ["1.16.9", "1.9.0", "edge", ""])
def test_an_old_or_unknown_version_is_passed_over_with_the_reason(home: Path, version: str) -> None:
    old = install(home / ".dapr" / "bin", version=version)
    good = install(home / "good")
    runtime = find_runtime([good], environ={})
    assert runtime.daprd == good / "daprd"
    assert runtime.passed_over == (f"{old}: daprd says {version!r}, 1.17 or newer is needed",)


@pytest.mark.parametrize("version", ["1.17.0", "1.17.0-rc.1", "1.18", "2.0.0"])
def test_a_new_enough_version_is_taken(home: Path, version: str) -> None:
    install(home / ".dapr" / "bin", version=version)
    assert find_runtime(environ={}).version == version


def test_a_daprd_without_its_control_plane_serves_only_whoever_needs_none(home: Path) -> None:
    install(home / ".dapr" / "bin", programs=())
    assert not find_runtime(environ={}, needs_control_plane=False).has_control_plane
    with pytest.raises(RuntimeNotFoundError, match="no placement and scheduler beside it"):
        find_runtime(environ={})


def test_a_broken_daprd_is_passed_over(home: Path) -> None:
    daprd = install(home / ".dapr" / "bin") / "daprd"
    daprd.write_text("#!/nowhere/at/all\n")
    with pytest.raises(RuntimeNotFoundError, match="daprd says 'nothing"):
        find_runtime(environ={})


def test_the_error_says_where_it_looked_and_what_to_do(home: Path) -> None:
    with pytest.raises(RuntimeNotFoundError) as caught:
        find_runtime([home / "extra"], environ={"DAPR_RUNTIME_PATH": str(home / "chosen")})
    message = str(caught.value)
    for part in (home / "chosen/.dapr/bin", home / ".dapr/bin", home / "extra", "`dapr init --slim`", "`make setup`"):
        assert str(part) in message
