"""The places where the desk touches private parts of Dapr's SDK: these fail when a new release moves them."""

import pytest
from dapr.aio.clients import DaprClient
from dapr.aio.clients.grpc.client import DaprGrpcClientAsync
from dapr.ext.workflow.aio import DaprWorkflowClient

from dapr_bridge.testing import free_port
from desk.engine import DaprWorkflowEngine
from desk.errors import DaprUnavailableError
from desk.sidecar import Sidecar

pytestmark = pytest.mark.anyio


async def test_the_client_has_everything_that_its_own_constructor_sets() -> None:
    """Leaving out the SDK's constructor is safe only while these are all the attributes that its methods use."""
    used = {name for name in DaprGrpcClientAsync.__init__.__code__.co_names if name.startswith("_") or "retry" in name}
    assert used <= {"_uri", "_channel", "_stub", "retry_policy", "RetryPolicy"}
    assert issubclass(DaprClient, DaprGrpcClientAsync)


async def test_a_sidecar_that_is_away_is_noticed_at_once_and_opening_does_not_wait_for_it() -> None:
    async with Sidecar(f"127.0.0.1:{free_port()}") as sidecar:
        assert not await sidecar.is_alive()
        with pytest.raises(DaprUnavailableError, match="read 'k' from 's'"):
            await sidecar.read("s", "k")


async def test_the_workflow_client_can_be_closed() -> None:
    engine = DaprWorkflowEngine(host="127.0.0.1", port=free_port())
    async with engine:
        for _ in range(3):
            with pytest.raises(DaprUnavailableError):
                await engine.look("ticket-T-1")
    client = DaprWorkflowClient(host="127.0.0.1", port="1")
    await vars(client)["_DaprWorkflowClient__obj"].aclose()
