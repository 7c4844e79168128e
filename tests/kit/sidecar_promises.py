"""What the desk may rely on in a sidecar: shared by the stand-in and the real one."""

import pytest

from desk.errors import DaprRefusedError, DaprUnavailableError
from desk.ports import Conversation, Publisher, StateStore, WorkflowEngine


async def keeps_values(state: StateStore) -> None:
    """What was written is read back equal, and the last write counts."""
    value = {"text": 'ünï\n"quoted" €', "number": 1.5, "list": [None, True, {"deep": []}]}
    assert await state.read("analysis-state", "promise") is None
    await state.write("analysis-state", "promise", {"first": 1})
    await state.write("analysis-state", "promise", value)
    assert await state.read("analysis-state", "promise") == value


async def keeps_odd_keys_apart(state: StateStore) -> None:
    """Keys are taken as they are."""
    for key in ("customer-a%7C%7Cb", "customer-a", "CUSTOMER-A"):
        await state.write("analysis-state", key, key)
    for key in ("customer-a%7C%7Cb", "customer-a", "CUSTOMER-A"):
        assert await state.read("analysis-state", key) == key


async def publishes(publisher: Publisher) -> None:
    """A message can be published, and published again."""
    for _ in range(2):
        await publisher.publish("support-pubsub", "solution-ready", {"ticket_id": "promise"}, event_id="promise:1")


async def converses(conversation: Conversation) -> None:
    """An answer is a text that is not empty."""
    answer = await conversation.converse(
        "customer-notification-llm", system="Write a letter to the customer.", user="<text>[[SOLUTION]]</text>"
    )
    assert "[[SOLUTION]]" in answer


async def knows_no_stranger(engine: WorkflowEngine) -> None:
    """An instance that was never started is not there, and cannot be woken."""
    assert await engine.look("ticket-nobody") is None
    with pytest.raises(DaprRefusedError):
        await engine.wake("ticket-nobody", event="solution_approved")


async def says_that_it_is_away(state: StateStore, engine: WorkflowEngine) -> None:
    """Every call says so in the desk's own words."""
    with pytest.raises(DaprUnavailableError):
        await state.read("analysis-state", "promise")
    with pytest.raises(DaprUnavailableError):
        await state.write("analysis-state", "promise", 1)
    with pytest.raises(DaprUnavailableError):
        await engine.look("ticket-nobody")
    with pytest.raises(DaprUnavailableError):
        await engine.start("ticket-nobody", order={"ticket_id": "nobody", "run": 1})
    with pytest.raises(DaprUnavailableError):
        await engine.wake("ticket-nobody", event="solution_approved")
