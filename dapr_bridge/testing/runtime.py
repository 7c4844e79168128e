"""Find the Dapr binaries of this machine: daprd, placement and scheduler."""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from dapr_bridge.errors import RuntimeNotFoundError

OLDEST_VERSION = (1, 17)
"""The oldest daprd that this project works with."""

_OLDEST_TEXT = ".".join(str(part) for part in OLDEST_VERSION)

PROJECT_FOLDER = Path(".dapr-runtime", "bin")
"""Where a checkout of this project keeps the Dapr that it built itself."""

_ANSWER_SECONDS = 30

Version = tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """The binaries of one Dapr installation.

    Attributes:
        passed_over: the folders that were looked at before, each with the reason why it was not taken.
    """

    daprd: Path
    placement: Path
    scheduler: Path
    version: str
    passed_over: tuple[str, ...] = ()

    @property
    def has_control_plane(self) -> bool:
        """Tell whether placement and scheduler are there too (`dapr init` with Docker runs them as containers)."""
        return _is_executable(self.placement) and _is_executable(self.scheduler)


def find_runtime(
    extra: Sequence[Path] = (),
    *,
    needs_control_plane: bool = True,
    environ: Mapping[str, str] | None = None,
) -> Runtime:
    """Return the first usable Dapr runtime of this machine.

    Looked at in this order: `$DAPR_RUNTIME_PATH/.dapr/bin`, `~/.dapr/bin`, the folders of PATH, `extra`, and
    `.dapr-runtime/bin` in the current folder or one above it (the Dapr that a checkout of this project built).

    Args:
        extra: More folders to look in.
        needs_control_plane: Pass over a folder that has daprd but no placement or scheduler.
        environ: Read instead of the process's environment.

    Raises:
        RuntimeNotFoundError: The message names each folder and what was wrong with it.
    """
    environ = os.environ if environ is None else environ
    passed_over: list[str] = []
    for folder in dict.fromkeys([*_standard_folders(environ), *extra, *_project_folders(Path.cwd())]):
        runtime, reason = _inspect(folder, needs_control_plane=needs_control_plane)
        if runtime:
            return replace(runtime, passed_over=tuple(passed_over))
        passed_over.append(f"{folder}: {reason}")
    raise RuntimeNotFoundError(
        f"no Dapr runtime of version {_OLDEST_TEXT} or newer found. Looked in {'; '.join(passed_over)}. "
        "Install Dapr's binaries (`dapr init --slim`; with Docker, `dapr init` brings daprd alone), point "
        "DAPR_RUNTIME_PATH at some, or build them with `make setup`."
    )


def _parse_version(text: str) -> Version | None:
    """Read the first `1.18.1` in a text; None when there is none (a build without a version says `edge`)."""
    match = re.search(r"(\d+)\.(\d+)(?:\.(\d+))?", text)
    return tuple(int(part) for part in match.groups() if part is not None) if match else None


def _standard_folders(environ: Mapping[str, str]) -> list[Path]:
    folders: list[Path] = []
    if chosen := environ.get("DAPR_RUNTIME_PATH"):
        folders.append(Path(chosen, ".dapr", "bin"))
    folders.append(Path.home() / ".dapr" / "bin")
    if on_path := shutil.which("daprd", path=environ.get("PATH")):
        folders.append(Path(on_path).parent)
    return folders


def _project_folders(start: Path) -> list[Path]:
    return [folder / PROJECT_FOLDER for folder in (start, *start.parents) if (folder / PROJECT_FOLDER).is_dir()]


def _inspect(folder: Path, *, needs_control_plane: bool) -> tuple[Runtime | None, str]:
    """Return what a folder holds, or the reason to pass it over."""
    daprd = folder / "daprd"
    if not _is_executable(daprd):
        return None, "no daprd"
    version = _ask_version(daprd)
    parsed = _parse_version(version)
    if parsed is None or parsed < OLDEST_VERSION:
        return None, f"daprd says {version!r}, {_OLDEST_TEXT} or newer is needed"
    runtime = Runtime(daprd=daprd, placement=folder / "placement", scheduler=folder / "scheduler", version=version)
    if needs_control_plane and not runtime.has_control_plane:
        return None, f"daprd {version}, but no placement and scheduler beside it"
    return runtime, ""


def _ask_version(daprd: Path) -> str:
    try:
        answer = subprocess.run(  # noqa: S603 - the path was found here, not given by a stranger
            [daprd, "--version"], capture_output=True, text=True, timeout=_ANSWER_SECONDS, check=False
        )
    except OSError as error:
        return f"nothing: {error.strerror}"
    except subprocess.TimeoutExpired:
        return f"nothing in {_ANSWER_SECONDS} s"
    return answer.stdout.strip() or answer.stderr.strip().partition("\n")[0]


def _is_executable(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK)
