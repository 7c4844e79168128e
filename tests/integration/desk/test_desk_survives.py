"""What the desk keeps when its parts are killed: a ticket that was accepted reaches its end."""

from collections.abc import Iterator

import pytest

from dapr_bridge.testing import ControlPlane, free_port, wait_until
from tests.kit.desk_stack import DeskStack, call

APPROVE = {"approved": True}


@pytest.fixture(scope="module")
def stack(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DeskStack]:
    """A stack of its own, since its parts are killed."""
    with DeskStack(tmp_path_factory.mktemp("surviving-desk"), control_plane) as stack:
        yield stack


@pytest.fixture(autouse=True)
def _everything_runs(stack: DeskStack) -> Iterator[None]:
    yield
    for process in stack.parts:
        if not process.is_running:
            process.start()
    stack.wait_until_ready()


def test_a_ticket_is_worked_on_although_the_app_was_killed_right_after_accepting_it(stack: DeskStack) -> None:
    stack.file("killed-app")
    stack.app.kill()
    stack.app.start()
    stack.wait_until_ready()
    stack.wait_for_stage("killed-app", "awaiting_approval")
    assert stack.events("killed-app").count("started") == 1


def test_tickets_are_worked_on_although_everything_was_killed_right_after_accepting_them(stack: DeskStack) -> None:
    tickets = [f"killed-all-{number}" for number in range(5)]
    for ticket_id in tickets:
        stack.file(ticket_id)
    for process in stack.parts:
        process.kill()
    for process in stack.parts:
        process.start()
    stack.wait_until_ready()
    for ticket_id in tickets:
        stack.wait_for_stage(ticket_id, "awaiting_approval", seconds=60)
        assert stack.events(ticket_id).count("solution_proposed") == 1


def test_while_dapr_is_away_tickets_are_turned_down_and_decisions_are_kept(stack: DeskStack) -> None:
    stack.file("dapr-away")
    stack.wait_for_stage("dapr-away", "awaiting_approval")
    stack.sidecar.kill()
    body = {"ticket_id": "turned-down", "customer_id": "CUST001", "description": "Anything."}
    refused = stack.post("/support/ticket", body)
    assert (refused.status, refused.body["type"]) == (503, "/problems/dapr-away")
    assert refused.headers["retry-after"]
    assert stack.get("/support/status/dapr-away").status == 503
    assert stack.get("/health").status == 200
    ready = stack.get("/health/ready")
    assert (ready.status, ready.body["checks"]["sidecar"]["ready"]) == (503, False)
    assert stack.ticket("dapr-away")["stage"] == "awaiting_approval"
    assert stack.post("/support/approve/dapr-away", APPROVE).status == 200

    stack.sidecar.start()
    stack.wait_until_ready()
    assert stack.wait_for_stage("dapr-away", "solved", seconds=60)["notification"]["fallback"] is False
    assert stack.get("/support/ticket/turned-down").status == 404
    assert stack.post("/support/ticket", body).status == 202


def test_a_waiting_ticket_is_there_after_everything_was_stopped_and_started(stack: DeskStack) -> None:
    stack.file("stopped")
    stack.wait_for_stage("stopped", "awaiting_approval")
    for process in stack.parts:
        process.stop()
    for process in stack.parts:
        process.start()
    stack.wait_until_ready()
    stack.post("/support/approve/stopped", APPROVE)
    stack.wait_for_stage("stopped", "solved")
    assert stack.events("stopped").count("notified") == 1


def test_the_app_may_start_long_before_its_sidecar(stack: DeskStack) -> None:
    stack.app.stop()
    stack.sidecar.stop()
    stack.app.start()
    stack.app.wait_for_http(f"{stack.url}/health")
    assert stack.get("/health/ready").status == 503
    stack.sidecar.start()
    stack.wait_until_ready()
    stack.file("early-app")
    stack.wait_for_stage("early-app", "awaiting_approval")


def test_a_decision_during_a_restart_of_the_app_is_acted_upon_once(stack: DeskStack) -> None:
    stack.file("restarted")
    stack.wait_for_stage("restarted", "awaiting_approval")
    stack.forget_calls()
    stack.post("/support/approve/restarted", APPROVE)
    stack.app.kill()
    stack.app.start()
    stack.wait_until_ready()
    stack.wait_for_stage("restarted", "solved", seconds=60)
    assert stack.events("restarted").count("notified") == 1


def test_api_and_worker_may_be_two_processes(stack: DeskStack) -> None:
    stack.app.stop()
    port = free_port()
    worker = stack.process("worker", "-m", "api", "--role", "worker", "--port", str(port))
    api = stack.process("api", "-m", "api", "--role", "api", "--port", str(stack.api_port))
    with worker, api:
        api.wait_for_http(f"{stack.url}/health/ready", seconds=60)
        stack.file("two-processes")
        stack.wait_for_stage("two-processes", "awaiting_approval")
        stack.post("/support/approve/two-processes", APPROVE)
        stack.wait_for_stage("two-processes", "solved")
        assert call("GET", f"http://127.0.0.1:{port}/health").status == 200
        assert call("GET", f"http://127.0.0.1:{port}/support/tickets").status == 404


def test_the_app_leaves_in_order_and_without_a_stack_trace(stack: DeskStack) -> None:
    stack.app.stop()
    wait_until(lambda: not stack.app.is_running, what="the app to end")
    last = stack.app.text().rpartition("Started server process")[2]
    assert "Finished server process" in last
    assert "Traceback" not in last
