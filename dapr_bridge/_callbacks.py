"""The caller's callbacks: they stay in its process, where the run is one step to them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import get_async_callback_manager_for_config


@asynccontextmanager
async def reported(config: RunnableConfig, *, name: str, given: Any) -> AsyncGenerator[Callable[[Any], None]]:
    """Report a run to the callbacks of its config: its start, its end with the output that is noted, its error."""
    output: Any = None

    def note(value: Any) -> None:
        nonlocal output
        output = value

    manager = get_async_callback_manager_for_config(config)
    run = await manager.on_chain_start(None, given, name=config.get("run_name") or name, run_id=config.get("run_id"))
    try:
        yield note
    except BaseException as error:
        await run.on_chain_error(error)
        raise
    await run.on_chain_end(output)
