"""A graph that another app hosts, called from a workflow: answered by events, and cancelled."""

from __future__ import annotations

import asyncio
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from dapr.ext.workflow import DaprWorkflowClient

from dapr_bridge import BridgeError, DaprSaver, DurableGraph
from dapr_bridge.testing import ControlPlane, Process, Sidecar
from tests.kit.counter import FarEnd, far_end
from tests.kit.other_app_worker import EVENT, HOST_APP
from tests.kit.serving import serving
from tests.kit.sidecars import output_of, sqlite_sidecar, workflow_client


@dataclass(kw_only=True)
class Apps:
    """An app whose workflows call a graph, and the app that hosts it."""

    host: Sidecar
    saver: DaprSaver
    client: DaprWorkflowClient
    far: FarEnd

    def start(self) -> str:
        """Start a workflow; returns its id when its run has asked its question."""
        instance = uuid.uuid4().hex
        self.client.schedule_new_workflow("approve", instance_id=instance)
        self.far.wait_for(instance)
        return instance

    def raise_event(self, instance: str, data: Any) -> None:
        self.client.raise_workflow_event(instance, EVENT, data=data)

    def output(self, instance: str) -> Any:
        return output_of(self.client, instance)

    async def cancel(self, run_id: str) -> bool:
        async with DurableGraph("asks", saver=self.saver, address=self.host.address, events=None) as graph:
            return await graph.acancel(run_id, timeout=timedelta(seconds=1))


@pytest.fixture(scope="module")
def apps(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Apps]:
    """Two apps on one state store."""
    folder = tmp_path_factory.mktemp("apps")
    caller, host = (sqlite_sidecar(name, control_plane=control_plane, folder=folder) for name in ("caller", HOST_APP))
    with far_end() as far, caller, host, DaprSaver("execution-state", address=host.address) as saver:
        env = {"FAR_END": far.url, "CALLER": caller.address, "HOST": host.address}
        worker = Process([sys.executable, "-m", "tests.kit.other_app_worker"], log=folder / "worker.log", env=env)
        with serving(worker), workflow_client(caller) as client:
            yield Apps(host=host, saver=saver, client=client, far=far)


def test_its_question_is_answered_by_an_event_in_the_app_that_calls(apps: Apps) -> None:
    instance = apps.start()

    apps.raise_event(instance, "yes")

    assert apps.output(instance) == {"answer": "yes"}


@pytest.mark.parametrize("hears_of_it", [True, False])
def test_while_it_waits_it_is_cancelled_when_its_workflow_hears_of_it_or_an_answer_comes(
    apps: Apps, hears_of_it: bool
) -> None:
    instance = apps.start()
    run_id = f"{instance}/run"

    with pytest.raises(BridgeError, match="no worker took notice within"):
        asyncio.run(apps.cancel(run_id))
    apps.raise_event(instance, {"dapr_bridge:cancelled": run_id} if hears_of_it else "yes")

    assert apps.output(instance) == "cancelled"
