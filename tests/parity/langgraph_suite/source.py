"""LangGraph's own tests, from the source archive of the installed release; never kept in this repository."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
from importlib.metadata import version
from pathlib import Path

CACHE = Path(".data", "langgraph-suite")
"""Where archives are kept between runs, ignored by git."""


def provide_suite(*, cache: Path = CACHE) -> Path:
    """Return a folder with the tests of the installed release and their configuration, fetching them when needed."""
    release = version("langgraph")
    folder = (cache / release).resolve()
    if (folder / "tests").is_dir():
        return folder
    archive = _fetch(release, cache)
    partial = folder.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    with tarfile.open(archive) as packed:
        # Without the package's own source, which would hide the installed one.
        wanted = [each for each in packed.getmembers() if _belongs(each.name)]
        packed.extractall(partial, members=wanted, filter="data")
    (partial / f"langgraph-{release}").rename(folder)
    shutil.rmtree(partial)
    return folder


def _fetch(release: str, cache: Path) -> Path:
    archive = cache / f"langgraph-{release}.tar.gz"
    if not archive.is_file():
        cache.mkdir(parents=True, exist_ok=True)
        source = ["--no-binary", "langgraph", "--no-deps", f"langgraph=={release}"]
        command = [_python_with_pip(), "-m", "pip", "download", "--quiet", "--dest", str(cache), *source]
        subprocess.run(command, check=True)
    return archive


def _python_with_pip() -> str:
    """Return a Python that can download: the one under this environment, which uv makes without pip."""
    return str(Path(sys.base_prefix, "bin", "python3"))


def _belongs(name: str) -> bool:
    parts = Path(name).parts
    return len(parts) > 1 and parts[1] in ("tests", "pyproject.toml", "LICENSE")
