"""What a view of a saver hands out without a read, and when it reads after all."""

from __future__ import annotations

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import Checkpoint, CheckpointTuple, empty_checkpoint
from langgraph.checkpoint.memory import InMemorySaver

from dapr_bridge._saver_view import SaverView

pytestmark = pytest.mark.anyio

THREAD: RunnableConfig = {"configurable": {"thread_id": "t", "checkpoint_ns": ""}}


class CountingSaver(InMemorySaver):
    """Counts the reads of checkpoints."""

    reads = 0

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """Read one."""
        self.reads += 1
        return await super().aget_tuple(config)


@pytest.fixture
def saver() -> CountingSaver:
    return CountingSaver()


async def put(view: SaverView, checkpoint: Checkpoint) -> RunnableConfig:
    return await view.aput(THREAD, checkpoint, {}, {})


async def last_of(view: SaverView) -> CheckpointTuple:
    view.hand_out_last()
    found = await view.aget_tuple(THREAD)
    assert found is not None
    return found


async def test_what_was_put_last_is_handed_out_once_without_a_read(saver: CountingSaver) -> None:
    view, first, second = SaverView(saver), empty_checkpoint(), empty_checkpoint()
    await view.aput_writes(await put(view, first), [("words", "said")], "task")
    await put(view, second)

    assert (await last_of(view)).checkpoint == second
    assert saver.reads == 0
    await view.aget_tuple(THREAD)
    assert saver.reads == 1


@pytest.mark.parametrize("is_written_first", [False, True])
async def test_a_checkpoint_on_which_something_is_written_is_read(saver: CountingSaver, is_written_first: bool) -> None:
    view, made = SaverView(saver), empty_checkpoint()
    config = await put(view, made)
    await view.aput_writes(config, [("words", "said")], "task")
    if is_written_first:
        # LangGraph sends a checkpoint, and the writes of the tasks that follow it, at the same time.
        await put(view, made)

    assert (await last_of(view)).pending_writes == [("task", "words", "said")]
    assert saver.reads == 1


async def test_a_view_that_has_put_nothing_reads(saver: CountingSaver) -> None:
    await saver.aput(THREAD, empty_checkpoint(), {}, {})

    await last_of(SaverView(saver))

    assert saver.reads == 1
