"""The desk's adapters on a real sidecar."""

import pytest

from dapr_bridge.testing import free_port
from desk.directory import DaprCustomerDirectory
from desk.engine import DaprWorkflowEngine
from desk.errors import DaprRefusedError
from desk.sidecar import Sidecar
from tests.kit import sidecar_promises
from tests.kit.desk_stack import DeskStack
from tests.kit.hasty_sidecar import hasty_sidecar

pytestmark = pytest.mark.anyio


async def test_the_sidecar_keeps_values(stack: DeskStack) -> None:
    async with Sidecar(stack.sidecar.address) as sidecar:
        await sidecar_promises.keeps_values(sidecar)
        await sidecar_promises.keeps_odd_keys_apart(sidecar)


async def test_the_sidecar_publishes_and_converses(stack: DeskStack) -> None:
    async with Sidecar(stack.sidecar.address) as sidecar:
        await sidecar_promises.publishes(sidecar)
        await sidecar_promises.converses(sidecar)


async def test_the_engine_knows_no_stranger(stack: DeskStack) -> None:
    async with DaprWorkflowEngine(host="127.0.0.1", port=stack.sidecar.grpc_port) as engine:
        await sidecar_promises.knows_no_stranger(engine)


async def test_a_sidecar_that_is_away_says_so() -> None:
    port = free_port()
    async with Sidecar(f"127.0.0.1:{port}") as sidecar, DaprWorkflowEngine(host="127.0.0.1", port=port) as engine:
        await sidecar_promises.says_that_it_is_away(sidecar, engine)


async def test_an_instance_that_goes_on_while_it_is_read_is_read_again(stack: DeskStack) -> None:
    with hasty_sidecar(stack.sidecar.address, refusals=2) as address:
        host, _, port = address.rpartition(":")
        async with DaprWorkflowEngine(host=host, port=int(port)) as engine:
            await sidecar_promises.knows_no_stranger(engine)


async def test_an_instance_that_runs_is_not_started_again(stack: DeskStack) -> None:
    stack.file("promise-1")
    stack.wait_for_stage("promise-1", "awaiting_approval")
    async with DaprWorkflowEngine(host="127.0.0.1", port=stack.sidecar.grpc_port) as engine:
        await engine.start("ticket-promise-1", order={"ticket_id": "promise-1", "run": 1})
        view = await engine.look("ticket-promise-1")
    assert view is not None
    assert view.status == "RUNNING"
    assert stack.events("promise-1").count("started") == 1


async def test_a_finished_ticket_that_is_started_again_by_mistake_does_nothing(stack: DeskStack) -> None:
    stack.file("promise-2", "CUST003")
    stack.wait_for_stage("promise-2", "declined")
    stack.wait_for_status("promise-2", "COMPLETED")
    before = stack.events("promise-2")
    async with DaprWorkflowEngine(host="127.0.0.1", port=stack.sidecar.grpc_port) as engine:
        await engine.start("ticket-promise-2", order={"ticket_id": "promise-2", "run": 1})
    stack.wait_for_status("promise-2", "COMPLETED")
    assert stack.events("promise-2") == before


async def test_what_dapr_refuses_is_told_apart_from_dapr_being_away(stack: DeskStack) -> None:
    async with Sidecar(stack.sidecar.address) as sidecar:
        with pytest.raises(DaprRefusedError, match="no-such-store"):
            await sidecar.read("no-such-store", "key")
        stack.order_fault("500", count=100)
        with pytest.raises(DaprRefusedError, match="customer-notification-llm"):
            await sidecar.converse("customer-notification-llm", system="s", user="u")


async def test_personal_data_is_scrubbed_on_the_way_to_the_model(stack: DeskStack) -> None:
    async with Sidecar(stack.sidecar.address) as sidecar:
        answer = await sidecar.converse(
            "customer-notification-llm",
            system="Write a letter to the customer.",
            user="<text>Call 555-867-5309 or mail jo@acme.example.</text>",
        )
    assert "jo@acme.example" not in answer
    assert "867-5309" not in answer


async def test_the_sample_customers_are_found(stack: DeskStack) -> None:
    async with Sidecar(stack.sidecar.address) as sidecar:
        directory = DaprCustomerDirectory(sidecar)
        acme = await directory.find_customer("CUST001")
        assert acme is not None
        assert (acme["name"], acme["plan"]) == ("Acme Corporation", "enterprise")
        assert await directory.find_system_info("CUST003") is not None
        assert await directory.find_customer("CUST999") is None
