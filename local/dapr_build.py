"""Build Dapr from its Go modules, once, into the project."""

import asyncio
import fcntl
import os
import re
import tempfile
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from local.commands import work
from local.errors import BuildError
from local.go_toolchain import provide_go
from local.progress import progress
from local.project import Project
from local.versions import Version, parse_version

_LOCK_SECONDS = 1.0


@dataclass(frozen=True, kw_only=True)
class Program:
    """One program to build: the folder of its go.mod, its package, and the module whose version it is told."""

    name: str
    module: str
    package: str
    versioned_by: str
    version_variable: str
    tags: str = ""


def _dapr(name: str) -> Program:
    return Program(
        name=name,
        module="dapr",
        package=f"github.com/dapr/dapr/cmd/{name}",
        versioned_by="github.com/dapr/dapr",
        version_variable="github.com/dapr/dapr/pkg/buildinfo.version",
        # Without it daprd knows no component and panics.
        tags="allcomponents",
    )


# daprd last: a folder with a daprd counts as a runtime.
RUNTIME = (_dapr("placement"), _dapr("scheduler"), _dapr("daprd"))
CLI = (
    Program(
        name="dapr",
        module="cli",
        package="github.com/dapr/cli",
        versioned_by="github.com/dapr/cli",
        version_variable="main.version",
    ),
)


async def build(
    programs: Sequence[Program], *, project: Project, console: Console, environment: Mapping[str, str]
) -> None:
    """Build programs into the project; a program appears there only when it is whole.

    Raises:
        BuildError: Go is missing, or a build failed; the message has the last lines of its log.
    """
    async with _only_one(project, console):
        missing = [program for program in programs if not (project.binaries / program.name).is_file()]
        for program in missing:
            await _build(program, project=project, console=console, environment=environment)


async def _build(program: Program, *, project: Project, console: Console, environment: Mapping[str, str]) -> None:
    folder = project.modules / program.module
    requirements = (folder / "go.mod").read_text(encoding="utf-8")
    go = await provide_go(project, needed=_go_version(requirements), console=console, environment=environment)
    version = _module_version(requirements, program.versioned_by)
    with tempfile.TemporaryDirectory(dir=project.built, prefix="build-") as draft:
        command = [go, *_arguments(program, version=version, output=Path(draft, program.name))]
        async with progress(console, f"Building {program.name} {version}"):
            await work(
                f"building {program.name}",
                command,
                log=project.built / f"{program.name}.log",
                folder=folder,
                # The toolchain that is here: Go would otherwise fetch another one when it thinks it needs it.
                environment={**environment, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local"},
            )
        _put_in_place(Path(draft, program.name), project)


def _put_in_place(built: Path, project: Project) -> None:
    project.binaries.mkdir(parents=True, exist_ok=True)
    built.replace(project.binaries / built.name)


def _arguments(program: Program, *, version: str, output: Path) -> list[str]:
    flags = f"-s -w -X {program.version_variable}={version}"
    tags = ["-tags", program.tags] if program.tags else []
    return ["build", "-mod=readonly", *tags, "-ldflags", flags, "-o", str(output), program.package]


def _go_version(requirements: str) -> Version:
    found = re.search(r"^go (\S+)$", requirements, re.MULTILINE)
    version = parse_version(found[1]) if found else None
    if version is None:
        raise BuildError("the go.mod of Dapr's build has no `go` line")
    return version


def _module_version(requirements: str, module: str) -> str:
    found = re.search(rf"^\s*(?:require\s+)?{re.escape(module)} v(\S+)", requirements, re.MULTILINE)
    if found is None:
        raise BuildError(f"the go.mod of Dapr's build does not require {module}")
    return found[1]


@asynccontextmanager
async def _only_one(project: Project, console: Console) -> AsyncGenerator[None]:
    """Keep two builds of one checkout apart; the system lets go of the lock when its holder dies."""
    project.built.mkdir(parents=True, exist_ok=True)
    lock = os.open(project.built / "build.lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        has_said = False
        while not _is_locked(lock):
            if not has_said:
                console.print("Another build of Dapr is going on in this folder: waiting for it ...")
            has_said = True
            await asyncio.sleep(_LOCK_SECONDS)
        yield
    finally:
        os.close(lock)


def _is_locked(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
