"""Provide a Dapr: the one that this machine has, or the one that is built from resources/runtime."""

import asyncio
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from dapr_bridge import RuntimeNotFoundError
from dapr_bridge.testing import Runtime, find_runtime
from local.commands import ask
from local.dapr_build import CLI, RUNTIME, build
from local.project import Project
from local.versions import parse_version, spell_version

OLDEST_CLI = (1, 15)
"""Before it, the CLI does not hand the scheduler's address to the sidecars."""


@dataclass(frozen=True, kw_only=True)
class Dapr:
    """Everything of Dapr that a run needs."""

    runtime: Runtime
    cli: Path


async def provide_dapr(
    project: Project, *, needs_control_plane: bool, console: Console, environment: Mapping[str, str]
) -> Dapr:
    """Find Dapr, or build it; say which it is and why others were passed over.

    Args:
        project: Where a Dapr of our own is kept.
        needs_control_plane: Whether placement and scheduler are needed too, because none are running.
        console: Where it is said.
        environment: Where DAPR_RUNTIME_PATH and PATH are looked up.

    Raises:
        BuildError: There is none and it could not be built.
    """
    runtime = await _provide_runtime(
        project, needs_control_plane=needs_control_plane, console=console, environment=environment
    )
    cli = await _provide_cli(project, runtime=runtime, console=console, environment=environment)
    return Dapr(runtime=runtime, cli=cli)


async def _provide_runtime(
    project: Project, *, needs_control_plane: bool, console: Console, environment: Mapping[str, str]
) -> Runtime:
    def find() -> Runtime:
        return find_runtime([project.binaries], needs_control_plane=needs_control_plane, environ=environment)

    try:
        runtime = await asyncio.to_thread(find)
    except RuntimeNotFoundError:
        console.print(
            "No Dapr 1.17 or newer on this machine: building it from resources/runtime into .dapr-runtime. "
            "This happens once, takes some minutes, and leaves about 8 GB in Go's caches."
        )
        await build(RUNTIME, project=project, console=console, environment=environment)
        runtime = await asyncio.to_thread(find)
    console.print(f"Dapr {runtime.version} from {runtime.daprd.parent}{_why(runtime)}")
    return runtime


async def _provide_cli(project: Project, *, runtime: Runtime, console: Console, environment: Mapping[str, str]) -> Path:
    on_path = shutil.which("dapr", path=environment.get("PATH"))
    own = project.binaries / "dapr"
    for cli in (runtime.daprd.parent / "dapr", Path(on_path) if on_path else own, own):
        if not cli.is_file():
            continue
        version = parse_version(await ask([cli, "--version"], environment=environment))
        if version and version >= OLDEST_CLI:
            return cli
        console.print(f"Passed over the Dapr CLI {cli}: it is {spell_version(version)}, 1.15 or newer is needed.")
    await build(CLI, project=project, console=console, environment=environment)
    return own


def _why(runtime: Runtime) -> str:
    return f" (passed over: {'; '.join(runtime.passed_over)})" if runtime.passed_over else ""
