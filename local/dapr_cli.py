"""The Dapr CLI: the layout that it wants, its commands, and the processes that it has started."""

import shlex
import stat
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import psutil

from dapr_bridge.testing import Runtime
from local.project import Project

_DAPRD = """#!/bin/sh
# The real daprd, with what the CLI has no option for: nothing listens beyond this machine.
exec {daprd} "$@" --dapr-internal-grpc-listen-address=127.0.0.1 --enable-metrics=false
"""

# Sidecars find one another in a file: Dapr's own default announces every app on the local network.
_CONFIGURATION = """apiVersion: dapr.io/v1alpha1
kind: Configuration
metadata:
  name: local
spec:
  nameResolution:
    component: sqlite
    version: v1
    configuration:
      connectionString: ".data/name-resolution.db"
"""


@dataclass(frozen=True, kw_only=True)
class AppProcesses:
    """The two processes that the CLI starts for an app; None for one that is not there yet."""

    app: psutil.Process | None = None
    sidecar: psutil.Process | None = None


def lay_out_runtime(project: Project, runtime: Runtime) -> None:
    """Write what the CLI expects below DAPR_RUNTIME_PATH: daprd and a configuration."""
    home = project.runtime_path / ".dapr"
    (home / "bin").mkdir(parents=True, exist_ok=True)
    (home / "config.yaml").write_text(_CONFIGURATION, encoding="utf-8")
    daprd = home / "bin" / "daprd"
    daprd.write_text(_DAPRD.format(daprd=shlex.quote(str(runtime.daprd))), encoding="utf-8")
    daprd.chmod(daprd.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)


def run_apps_command(cli: Path) -> list[str]:
    """Return the command that runs all apps of dapr.yaml."""
    return [str(cli), "run", "-f", "."]


def load_sample_data_command(cli: Path, python: Path) -> list[str]:
    """Return the command that loads the sample data beside a sidecar of its own."""
    sidecar = ["--app-id", "data-setup", "--resources-path", "resources", "--dapr-listen-addresses", "127.0.0.1"]
    return [str(cli), "run", *sidecar, "--", str(python), "-m", "seed"]


def find_processes(cli: int) -> dict[str, AppProcesses]:
    """Return what the CLI of this process id has started, by app id."""
    found: dict[str, AppProcesses] = {}
    for child in _children(cli):
        app_id, is_sidecar = _whose(child)
        if app_id is not None:
            known = found.get(app_id, AppProcesses())
            found[app_id] = replace(known, sidecar=child) if is_sidecar else replace(known, app=child)
    return found


def _children(cli: int) -> Iterator[psutil.Process]:
    try:
        yield from psutil.Process(cli).children()
    except psutil.NoSuchProcess:
        return


def _whose(child: psutil.Process) -> tuple[str | None, bool]:
    """Tell whose process it is, and whether it is the sidecar: that one is told its app in an argument."""
    try:
        arguments = child.cmdline()
        if "--app-id" in arguments[:-1]:
            return arguments[arguments.index("--app-id") + 1], True
        return child.environ().get("APP_ID"), False
    except psutil.Error:
        return None, False
