"""Run a command to its end: read its answer, or let it work with its output in a log."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path

from local.errors import BuildError
from local.processes import start_service, tail

_ANSWER_SECONDS = 30.0
_PATIENCE = timedelta(seconds=2)


async def ask(command: Sequence[str | Path], *, environment: Mapping[str, str]) -> str:
    """Return what a short command prints; nothing when it fails or cannot be run."""
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=environment,
        )
    except OSError:
        return ""
    try:
        output, _ = await asyncio.wait_for(process.communicate(), _ANSWER_SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()
        return ""
    return output.decode(errors="replace").strip() if process.returncode == 0 else ""


async def work(
    name: str, command: Sequence[str | Path], *, log: Path, folder: Path, environment: Mapping[str, str]
) -> None:
    """Run a long command to its end; when this task is cancelled, all that the command has started is ended too.

    Raises:
        BuildError: It failed; the message has its last lines.
    """
    service = await start_service(name, command, log=log, folder=folder, environment=environment)
    try:
        code = await service.process.wait()
    finally:
        await service.stop(forced=asyncio.Event(), patience=_PATIENCE)
    if code != 0:
        lines = "\n".join(f"  {line}" for line in tail(log))
        raise BuildError(f"{name} failed with exit code {code}. The last lines of {log}:\n{lines}")
