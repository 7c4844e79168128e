"""Remove everything that runs have written: tickets, customers, workflows, logs."""

import shutil
from pathlib import Path

from rich.console import Console

from local.project import Project
from local.run_record import RunRecord

_KEPT = ".gitignore"
"""Keeps the folder in the repository: the stores need it."""


def clean_data(project: Project, *, console: Console, is_sure: bool) -> None:
    """Say what there is, ask, and remove it.

    Raises:
        AlreadyRunningError: The project runs, and writes there.
    """
    RunRecord(project.run_record).refuse_if_running()
    entries = [entry for entry in sorted(project.data.glob("*")) if entry.name != _KEPT]
    if not entries:
        console.print(f"There is nothing in {project.data}.")
        return
    console.print(f"In {project.data}: {', '.join(entry.name for entry in entries)}")
    if is_sure or _is_agreed(console, "Remove all of it, with every ticket? [y/N] "):
        for entry in entries:
            _remove(entry)
        console.print("Removed.")
    else:
        console.print("Nothing was removed.")


def _is_agreed(console: Console, question: str) -> bool:
    try:
        return console.input(question, markup=False).strip().lower() in {"y", "yes"}
    except EOFError:
        return False


def _remove(entry: Path) -> None:
    if entry.is_dir() and not entry.is_symlink():
        shutil.rmtree(entry)
    else:
        entry.unlink()
