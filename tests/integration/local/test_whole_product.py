"""The product as its users start it: by `make run`'s launcher, and by hand with the Dapr CLI."""

from __future__ import annotations

import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from dapr_bridge.testing import ControlPlane, Process, find_runtime, wait_until
from dapr_bridge.testing.processes import answers
from local.desk_client import DeskClient, Ticket
from tests.kit.local_project import LocalProject, launch, make_project

KAFKA = "orders-pubsub cannot reach the Kafka brokers: dial tcp 10.2.0.14:9092: i/o timeout. Publishing fails."


def wait_for_ticket(desk: DeskClient, ticket_id: str, *, closed: bool) -> Ticket:
    def stands() -> bool:
        ticket = desk.read_ticket(ticket_id)
        return ticket.is_closed if closed else ticket.is_waiting

    wait_until(stands, what=f"ticket {ticket_id} to get on", seconds=60)
    return desk.read_ticket(ticket_id)


def test_the_launcher_runs_the_product_and_the_demo_goes_through_it(tmp_path: Path) -> None:
    project = make_project(tmp_path / "project")
    offline = project.use_offline_model()
    with launch(project, "run", extra=offline) as launched:
        launched.wait_for("Ready after", seconds=120)
        with launch(project, "demo", "--yes", name="demo", extra=offline) as demo:
            assert demo.process.wait(120) == 0, demo.output()
        assert launched.end() == 0
        assert launched.survivors() == []
    assert "Sample data setup completed successfully!" in (project.root / ".data/logs/data-setup.log").read_text()
    shown = demo.output()
    assert re.findall(r"CUST\d+", shown)[:3] == ["CUST001", "CUST002", "CUST003"]
    assert "Acme Corporation, enterprise plan, entitled" in shown
    for area in ("connectivity", "configuration", "compatibility"):
        assert shown.count(f"knowledge base ({area})") >= 2
    assert shown.count("proposed solution, round 1") == 2
    assert "Basic User LLC, basic plan, not entitled" in shown
    assert shown.count("message to ") == 3


def test_a_ticket_that_waits_goes_on_after_everything_was_stopped_and_started(tmp_path: Path) -> None:
    project = make_project(tmp_path / "project")
    offline = project.use_offline_model()
    with launch(project, "run", extra=offline) as launched, DeskClient(project.api_url) as desk:
        launched.wait_for("Ready after", seconds=120)
        ticket_id = desk.file_ticket("CUST001", KAFKA)
        waiting = wait_for_ticket(desk, ticket_id, closed=False)
        assert launched.end() == 0
    with launch(project, "run", name="second", extra=offline) as launched, DeskClient(project.api_url) as desk:
        launched.wait_for("Sample data: loaded already")
        launched.wait_for("Ready after", seconds=120)
        desk.approve(waiting)
        ticket = wait_for_ticket(desk, ticket_id, closed=True)
        assert launched.end() == 0
    assert ticket.stage == "solved"
    assert ticket.notification is not None


@contextmanager
def run_by_hand(project: LocalProject, environment: dict[str, str]) -> Iterator[Process]:
    """`dapr run -f .` as a person types it; Ctrl-C goes to all that it has started, as at a terminal."""
    cli = Process(["dapr", "run", "-f", "."], log=project.root / "cli.txt", cwd=project.root, env=environment)
    cli.start()
    below: set[psutil.Process] = set()
    try:
        yield cli
        below |= set(psutil.Process(cli.pid).children(recursive=True))
        psutil.Process(cli.pid).send_signal(signal.SIGINT)
        wait_until(lambda: not any(map(psutil.Process.is_running, below)), what="everything to end")
    finally:
        cli.kill()


@pytest.fixture
def by_hand(tmp_path: Path, control_plane: ControlPlane) -> tuple[LocalProject, dict[str, str]]:
    """A project, and the environment of someone who has Dapr installed and the packages synced."""
    ports = (control_plane.placement_port, control_plane.scheduler_port)
    project = make_project(tmp_path / "project", control_plane=ports)
    runtime = find_runtime()
    home = tmp_path / "home" / ".dapr"
    (home / "bin").mkdir(parents=True)
    (home / "bin" / "daprd").symlink_to(runtime.daprd)
    (home / "config.yaml").write_text("apiVersion: dapr.io/v1alpha1\nkind: Configuration\nmetadata:\n  name: x\n")
    environment = {**project.environment(), **project.use_offline_model(), "DAPR_RUNTIME_PATH": str(home.parent)}
    environment["PATH"] = f"{runtime.daprd.parent}:{environment['PATH']}"
    return project, environment


def test_the_classic_way_works_with_the_dapr_cli_alone(by_hand: tuple[LocalProject, dict[str, str]]) -> None:
    project, environment = by_hand
    load = ["dapr", "run", "--app-id", "data-setup", "--resources-path", "resources", "--", "python", "-m", "seed"]
    for expected in ("6 of 6 records written", "nothing changed"):
        done = subprocess.run(
            load, cwd=project.root, env=environment, capture_output=True, text=True, timeout=90, check=True
        )
        assert expected in done.stdout
        assert "Sample data setup completed successfully!" in done.stdout
    with run_by_hand(project, environment) as cli, DeskClient(project.api_url) as desk:
        cli.wait_for(lambda: answers(f"{project.api_url}/health/ready"), what="the desk to be ready", seconds=120)
        ticket_id = desk.file_ticket("CUST001", KAFKA)
        desk.approve(wait_for_ticket(desk, ticket_id, closed=False))
        ticket = wait_for_ticket(desk, ticket_id, closed=True)
    assert ticket.stage == "solved"
    assert ticket.notification is not None
    assert ticket.notification.recipient == "platform-team@acme.example"
    assert not ticket.notification.fallback
