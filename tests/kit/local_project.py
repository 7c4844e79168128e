"""A project of its own for the launcher and the Dapr CLI: a folder, free ports, and what a test wants to run there."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import psutil
import yaml

from dapr_bridge.testing import find_runtime, free_port, wait_until
from local.project import Project
from local.sample_data import mark_as_loaded

T = TypeVar("T")

ROOT = Path(__file__).parents[2]
APPS = ("customer-support-system", "knowledge-base", "offline-model")
SIDECAR_PORTS = ("daprHTTPPort", "daprGRPCPort", "daprInternalGRPCPort", "metricsPort")

_STUB = """
import http.server, signal, sys
print("stub listens on", sys.argv[1], flush=True)
if "--stubborn" in sys.argv:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if "--broken" in sys.argv:
    sys.exit("boom: the stub is broken")
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path.startswith("/health") else 404)
        self.end_headers()
    def log_message(self, *arguments):
        pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Answer).serve_forever()
"""


@dataclass(kw_only=True)
class LocalProject:
    """A copy of what the launcher works on, on free ports."""

    root: Path
    ports: dict[str, int] = field(default_factory=dict)

    @property
    def api_url(self) -> str:
        """Where the desk's API will be."""
        return f"http://127.0.0.1:{self.ports['customer-support-system']}"

    def environment(self) -> dict[str, str]:
        """What the project's processes get: nothing of the user's own settings, and where the parts are."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "DAPR_"))}
        return {
            **kept,
            "PYTHONPATH": str(ROOT),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}",
            "KNOWLEDGE_BASE_URL": f"http://127.0.0.1:{self.ports['knowledge-base']}/mcp",
        }

    def use_offline_model(self) -> dict[str, str]:
        """Return the variables that point app and sidecar to this project's offline model."""
        return {
            "OPENAI_BASE_URL": f"http://127.0.0.1:{self.ports['offline-model']}/v1",
            "OPENAI_MODEL": "offline-support",
        }

    def edit_run_file(self, change: Callable[[dict[str, dict[str, object]]], None]) -> None:
        """Change the apps of dapr.yaml, given by their id."""
        path = self.root / "dapr.yaml"
        content = yaml.safe_load(path.read_text())
        change({app["appID"]: app for app in content["apps"]})
        path.write_text(yaml.safe_dump(content, sort_keys=False))

    def use_stubs(self, **flags: str) -> None:
        """Put a stub in the place of each app; `flags` are its arguments, by the app's id with `_` for `-`."""
        (self.root / "stub.py").write_text(_STUB)

        def change(apps: dict[str, dict[str, object]]) -> None:
            for app_id, app in apps.items():
                extra = flags.get(app_id.replace("-", "_"), "").split()
                app["command"] = [sys.executable, "-S", "stub.py", str(app["appPort"]), *extra]

        self.edit_run_file(change)

    def pretend_sample_data(self) -> None:
        """Make the launcher believe that the sample data is loaded."""
        for store in ("customer-state", "system-state"):
            (self.root / ".data" / f"{store}.db").touch()
        mark_as_loaded(Project(root=self.root))


@dataclass(kw_only=True)
class Launched:
    """A `python -m local ...` that runs."""

    process: subprocess.Popen[str]
    log: Path
    seen: set[psutil.Process] = field(default_factory=set)

    def output(self) -> str:
        """Everything that it has printed."""
        return self.log.read_text(errors="replace")

    def wait_for(self, text: str, *, seconds: float = 90) -> None:
        """Wait until it has printed something; its end is the end of waiting."""

        def is_there() -> bool:
            self.remember()
            assert self.process.poll() is None or text in self.output(), self.output()
            return text in self.output()

        wait_until(is_there, what=f"{text!r} in the output", seconds=seconds)

    def remember(self) -> set[psutil.Process]:
        """Note every process below it, and return all that were ever noted."""
        with suppress(psutil.NoSuchProcess):
            self.seen |= set(psutil.Process(self.process.pid).children(recursive=True))
        return self.seen

    def end(self, number: signal.Signals = signal.SIGINT, *, seconds: float = 30) -> int:
        """Send a signal and return the exit code."""
        self.remember()
        self.process.send_signal(number)
        return self.process.wait(seconds)

    def living(self) -> list[psutil.Process]:
        """Return the processes below it that live."""
        return [process for process in self.remember() if _is_alive(process)]

    def names(self) -> list[str]:
        """Name the processes below it that live."""
        return [name for process in self.living() if (name := _read(process.name))]

    def find(self, argument: str) -> psutil.Process:
        """Return the app, not the sidecar, that was given an argument."""
        found = [process for process in self.living() if argument in (_read(process.cmdline) or ())]
        return next(process for process in found if "--app-id" not in process.cmdline())

    def survivors(self) -> list[str]:
        """Name the processes that are left."""
        return [name for process in self.seen if _is_alive(process) and (name := _read(process.name))]


@contextmanager
def launch(
    project: LocalProject, *arguments: str, extra: Mapping[str, str] | None = None, name: str = "launcher"
) -> Iterator[Launched]:
    """Run `python -m local ...` in a project; whatever is left of it afterwards is killed."""
    log = project.root / f"{name}.txt"
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "local", *arguments],
            cwd=project.root,
            env={**project.environment(), **(extra or {})},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
    launched = Launched(process=process, log=log)
    try:
        yield launched
    finally:
        launched.remember()
        if process.poll() is None:
            process.kill()
        process.wait()
        for left in launched.seen:
            if _is_alive(left):
                left.kill()


def make_project(root: Path, *, control_plane: tuple[int, int] | None = None) -> LocalProject:
    """Copy dapr.yaml and resources/ into a folder, on free ports; `control_plane` is one that runs already."""
    project = LocalProject(root=root, ports={app: free_port() for app in APPS})
    (root / ".data").mkdir(parents=True)
    (root / "resources").mkdir()
    (root / ".venv").symlink_to(Path(sys.prefix))
    (root / "seed").mkdir()
    (root / "seed" / "data").symlink_to(ROOT / "seed" / "data")
    (root / ".dapr-runtime").mkdir()
    (root / ".dapr-runtime" / "bin").symlink_to(find_runtime().daprd.parent)
    for component in (ROOT / "resources").glob("*.yaml"):
        (root / "resources" / component.name).write_text(component.read_text())
    (root / "dapr.yaml").write_text(_on_free_ports((ROOT / "dapr.yaml").read_text(), project, control_plane))
    return project


def _on_free_ports(text: str, project: LocalProject, control_plane: tuple[int, int] | None) -> str:
    content = yaml.safe_load(text)
    placement, scheduler = control_plane or (free_port(), free_port())
    content["common"]["placementHostAddress"] = f"127.0.0.1:{placement}"
    content["common"]["schedulerHostAddress"] = f"127.0.0.1:{scheduler}"
    for app in content["apps"]:
        old, new = str(app["appPort"]), project.ports[app["appID"]]
        app["command"] = [re.sub(rf"^{old}$", str(new), part) for part in app["command"]]
        app.update(appPort=new, **{name: free_port() for name in SIDECAR_PORTS})
    return yaml.safe_dump(content, sort_keys=False)


def _read(ask: Callable[[], T]) -> T | None:
    try:
        return ask()
    except psutil.NoSuchProcess:
        return None


def _is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
