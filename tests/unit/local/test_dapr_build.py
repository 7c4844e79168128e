"""Building Dapr and finding Go, with programs that only pretend."""

from __future__ import annotations

import asyncio
from io import StringIO
from pathlib import Path

import psutil
import pytest
from rich.console import Console

from local.dapr_build import CLI, RUNTIME, build
from local.errors import BuildError
from local.project import Project
from local.versions import parse_version, spell_version
from tests.kit.local_project import ROOT

pytestmark = pytest.mark.anyio

# Writes its arguments into the file that follows -o, as a build would write a program.
GO = """#!/bin/sh
if [ "$1" = env ]; then echo go{version}; exit 0; fi
{before}
for argument; do [ "$previous" = -o ] && out=$argument; previous=$argument; done
printf '%s\\n' "$CGO_ENABLED $GOTOOLCHAIN $PWD $*" > "$out"
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project with the real modules and nothing built."""
    (tmp_path / "resources").mkdir()
    (tmp_path / "resources" / "runtime").symlink_to(ROOT / "resources" / "runtime")
    return Project(root=tmp_path)


def make_program(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def with_go(folder: Path, *, version: str = "1.27.0", before: str = "") -> dict[str, str]:
    go = make_program(folder / "path" / "go", GO.format(version=version, before=before))
    return {"PATH": f"{go.parent}:/usr/bin:/bin"}


def quiet() -> Console:
    return Console(file=StringIO())


async def test_every_program_is_built_with_its_version_from_its_own_module(project: Project) -> None:
    await build([*RUNTIME, *CLI], project=project, console=quiet(), environment=with_go(project.root))
    built = {path.name: path.read_text() for path in project.binaries.iterdir()}
    assert built.keys() == {"placement", "scheduler", "daprd", "dapr"}
    assert "-tags allcomponents" in built["daprd"]
    assert "buildinfo.version=1.18.1" in built["daprd"]
    assert "main.version=1.16.5" in built["dapr"]
    assert built["dapr"].startswith("0 local ")
    assert "resources/runtime/cli " in built["dapr"]


async def test_what_is_there_is_not_built_again(project: Project) -> None:
    make_program(project.binaries / "daprd", "mine")
    await build(RUNTIME, project=project, console=quiet(), environment=with_go(project.root))
    assert (project.binaries / "daprd").read_text() == "mine"


async def test_a_failed_build_leaves_no_half_program_and_shows_its_last_lines(project: Project) -> None:
    environment = with_go(project.root, before="echo cannot find module; exit 7")
    with pytest.raises(BuildError, match=r"building placement failed with exit code 7(.|\n)*cannot find module"):
        await build(RUNTIME, project=project, console=quiet(), environment=environment)
    assert not project.binaries.exists()
    assert list(project.built.glob("build-*")) == []


async def test_a_cancelled_build_ends_its_processes(project: Project) -> None:
    environment = with_go(project.root, before=f"echo $$ > {project.root}/pid; sleep 60")
    task = asyncio.create_task(build(RUNTIME, project=project, console=quiet(), environment=environment))
    pid = project.root / "pid"
    async with asyncio.timeout(10):
        while not (pid.exists() and pid.read_text()):
            await asyncio.sleep(0.02)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert not psutil.pid_exists(int(pid.read_text()))


async def test_two_builds_of_one_checkout_do_not_collide(project: Project) -> None:
    environment = with_go(project.root, before=f"echo built >> {project.root}/count")
    await asyncio.gather(*(build(RUNTIME, project=project, console=quiet(), environment=environment) for _ in range(2)))
    assert (project.root / "count").read_text().count("built") == len(RUNTIME)


async def test_an_old_go_is_passed_over_for_the_one_from_pypi(project: Project) -> None:
    install = f"mkdir -p {project.built}/go/bin; cp {project.root}/new-go {project.built}/go/bin/go"
    make_program(project.root / "new-go", GO.format(version="1.27.3", before=""))
    uv = make_program(project.root / "uv", f"#!/bin/sh\n{install}\n")
    environment = {**with_go(project.root, version="1.20.1"), "UV": str(uv)}
    output = StringIO()
    await build(CLI, project=project, console=Console(file=output, width=500), environment=environment)
    assert (project.binaries / "dapr").is_file()
    assert "No Go 1.24.9 or newer here" in output.getvalue()
    assert "is 1.20.1" in output.getvalue()


async def test_without_go_and_uv_the_error_says_what_to_install(project: Project) -> None:
    with pytest.raises(BuildError, match="neither Go nor uv"):
        await build(CLI, project=project, console=quiet(), environment={"PATH": "/nowhere"})


def test_versions_are_read_out_of_what_programs_say() -> None:
    assert parse_version("CLI version: 1.16.5 \nRuntime version: n/a") == (1, 16, 5)
    assert parse_version("go1.26rc1") == (1, 26)
    assert parse_version("edge") is None
    assert spell_version((1, 18, 1)) == "1.18.1"
