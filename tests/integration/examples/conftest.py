"""A sidecar for examples, and a way to run them as their reader does."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dapr_bridge.testing import ControlPlane, Sidecar
from tests.kit.sidecars import sqlite_sidecar

PROJECT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def sidecar(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    """What `dapr run` would have started."""
    folder = tmp_path_factory.mktemp("examples")
    with sqlite_sidecar("examples", control_plane=control_plane, folder=folder, streams=True) as sidecar:
        yield sidecar


@pytest.fixture
def run_example(monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Return what runs an example to its end and returns what it printed."""
    monkeypatch.delenv("DAPR_GRPC_PORT", raising=False)

    def run(name: str, *arguments: str) -> str:
        command = [sys.executable, "-m", f"examples.{name}", *arguments]
        ran = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=120, check=False)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout

    return run
