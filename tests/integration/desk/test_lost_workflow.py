"""A ticket whose workflow was ended from outside: noticed, and taken up again where it stood."""

from datetime import timedelta

import pytest
from dapr.ext.workflow.aio import DaprWorkflowClient

from desk.database import Database
from desk.engine import DaprWorkflowEngine
from desk.sweep import Sweep
from tests.kit.desk_room import DeskRoom, settings
from tests.kit.desk_stack import DeskStack

pytestmark = pytest.mark.anyio

APPROVE = {"approved": True}


async def end_from_outside(stack: DeskStack, ticket_id: str, *, purge: bool) -> None:
    client = DaprWorkflowClient(host="127.0.0.1", port=str(stack.sidecar.grpc_port))
    await client.terminate_workflow(f"ticket-{ticket_id}")
    stack.wait_for_status(ticket_id, "TERMINATED")
    if purge:
        await client.purge_workflow(f"ticket-{ticket_id}")
    await vars(client)["_DaprWorkflowClient__obj"].aclose()


async def patrol(stack: DeskStack) -> None:
    """Do now what the desk does every minute."""
    async with (
        Database(f"sqlite+aiosqlite:///{stack.folder}/desk.db") as database,
        DaprWorkflowEngine(host="127.0.0.1", port=stack.sidecar.grpc_port) as engine,
    ):
        room = DeskRoom(database, settings(), engine=engine)  # pyright: ignore[reportArgumentType]
        await Sweep(room.desk, interval=timedelta(seconds=1)).patrol(quiet=timedelta(0))


@pytest.mark.parametrize(("purge", "said"), [(False, "TERMINATED"), (True, "gone")])
async def test_a_waiting_ticket_goes_on_where_it_stood(stack: DeskStack, *, purge: bool, said: str) -> None:
    ticket_id = f"lost-{said}"
    stack.file(ticket_id)
    waiting = stack.wait_for_stage(ticket_id, "awaiting_approval")
    await end_from_outside(stack, ticket_id, purge=purge)
    await patrol(stack)
    stopped = stack.ticket(ticket_id)
    assert stopped["stage"] == "needs_attention"
    assert said in stopped["attention"]["message"]

    stack.forget_calls()
    stack.post(f"/support/retry/{ticket_id}")
    again = stack.wait_for_stage(ticket_id, "awaiting_approval")
    assert again["proposed_solution"] == waiting["proposed_solution"]
    stack.post(f"/support/approve/{ticket_id}", APPROVE)
    solved = stack.wait_for_stage(ticket_id, "solved")
    assert solved["notification"]["notification_key"] == f"ticket-{ticket_id}:round-1"
    assert [call["node"] for call in stack.model_calls()] == [None], "nothing is paid for twice"
    assert stack.events(ticket_id).count("solution_proposed") == 1
