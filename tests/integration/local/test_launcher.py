"""`python -m local run` with the real Dapr CLI: small apps in the place of the product's, everything else real."""

from __future__ import annotations

import json
import signal
import socket
import time
import urllib.request
from pathlib import Path

import psutil
import pytest
import yaml

from tests.kit.local_project import APPS, Launched, LocalProject, launch, make_project

READY = "Ready after"


@pytest.fixture
def project(tmp_path: Path) -> LocalProject:
    """A project whose apps are stubs and whose sample data counts as loaded."""
    project = make_project(tmp_path / "project")
    project.use_stubs()
    project.pretend_sample_data()
    return project


def sidecar_port(project: LocalProject, app_id: str) -> int:
    content = yaml.safe_load((project.root / "dapr.yaml").read_text())
    return next(app["daprHTTPPort"] for app in content["apps"] if app["appID"] == app_id)


def call_state(project: LocalProject, *, body: object = None) -> bytes:
    """Write to, or read from, a state store through the desk's sidecar."""
    url = f"http://127.0.0.1:{sidecar_port(project, APPS[0])}/v1.0/state/analysis-state"
    if body is None:
        return urllib.request.urlopen(f"{url}/one", timeout=10).read()
    content = json.dumps([{"key": "one", "value": body}]).encode()
    request = urllib.request.Request(url, data=content, headers={"content-type": "application/json"})
    return urllib.request.urlopen(request, timeout=10).read()


def open_listeners(launched: Launched) -> list[tuple[str, str]]:
    """Name the listeners of all processes that take connections from other machines."""
    return [
        (process.name(), f"{connection.laddr.ip}:{connection.laddr.port}")
        for process in launched.living()
        for connection in process.net_connections(kind="inet")
        if connection.laddr and not connection.raddr and connection.laddr.ip not in {"127.0.0.1", "::1"}
    ]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_everything_and_leaves_no_process(project: LocalProject, number: signal.Signals) -> None:
    with launch(project, "run") as launched:
        launched.wait_for(READY)
        assert launched.names().count("daprd") == len(APPS)
        assert {"dapr", "placement", "scheduler"} <= set(launched.names())
        assert launched.end(number) == 0
        assert launched.survivors() == []
    assert "Stopped." in launched.output()


def test_the_next_run_goes_on_with_the_same_data(project: LocalProject) -> None:
    with launch(project, "run") as launched:
        launched.wait_for(READY)
        call_state(project, body={"kept": True})
        assert launched.end() == 0
    with launch(project, "run", name="second") as launched:
        launched.wait_for(READY)
        assert json.loads(call_state(project)) == {"kept": True}
        assert launched.end() == 0


def test_nothing_of_ours_listens_beyond_this_machine(project: LocalProject) -> None:
    with launch(project, "run") as launched:
        launched.wait_for(READY)
        # Dapr 1.18's placement and scheduler ignore the address given for their health endpoints.
        health_only = {"placement", "scheduler"}
        assert [each for each in open_listeners(launched) if each[0] not in health_only] == []
        assert len(open_listeners(launched)) <= len(health_only)
        assert launched.end() == 0


def test_a_taken_port_is_named_with_who_needs_it_and_who_has_it(project: LocalProject) -> None:
    with socket.create_server(("127.0.0.1", project.ports["knowledge-base"])), launch(project, "run") as launched:
        assert launched.process.wait(30) == 2
        assert launched.survivors() == []
    output = launched.output()
    assert f"port {project.ports['knowledge-base']} is taken by" in output
    assert "knowledge-base needs it" in output


@pytest.mark.parametrize("app_id", APPS)
def test_an_app_that_ends_at_its_start_is_named_with_its_last_words(project: LocalProject, app_id: str) -> None:
    project.use_stubs(**{app_id.replace("-", "_"): "--broken"})
    with launch(project, "run") as launched:
        assert launched.process.wait(60) == 1
        assert launched.survivors() == []
    assert f"{app_id} has ended" in launched.output()
    assert "boom: the stub is broken" in launched.output()


def test_a_sidecar_that_cannot_start_is_named_with_its_last_words(project: LocalProject) -> None:
    component = project.root / "resources" / "analysis-state.yaml"
    component.write_text(component.read_text().replace(".data/analysis-state.db", "/nowhere/at/all.db"))
    with launch(project, "run") as launched:
        assert launched.process.wait(60) == 1
        assert launched.survivors() == []
    assert "the sidecar of customer-support-system has ended" in launched.output()
    assert "analysis-state" in launched.output()


def test_an_app_that_ends_later_stops_everything(project: LocalProject) -> None:
    with launch(project, "run") as launched:
        launched.wait_for(READY)
        launched.find(str(project.ports["offline-model"])).kill()
        assert launched.process.wait(30) == 1
        assert launched.survivors() == []
    assert "offline-model has ended" in launched.output()


def test_a_second_ctrl_c_does_not_wait_for_an_app_that_ignores_the_first(project: LocalProject) -> None:
    project.use_stubs(knowledge_base="--stubborn")
    with launch(project, "run") as launched:
        launched.wait_for(READY)
        # Whoever ignores SIGTERM has eight seconds, so a quick end proves that it was forced.
        launched.process.send_signal(signal.SIGINT)
        launched.wait_for("Stopping everything")
        started = time.monotonic()
        assert launched.end(signal.SIGINT) == 0
        assert time.monotonic() - started < 6
        assert launched.survivors() == []


def test_what_a_killed_launcher_left_behind_is_ended_by_the_next_run(project: LocalProject) -> None:
    with launch(project, "run") as killed:
        killed.wait_for(READY)
        killed.process.kill()
        killed.process.wait()
        assert killed.survivors() != []
        with launch(project, "run", name="second") as launched:
            launched.wait_for(READY)
            assert "Ended what an earlier run had left behind" in launched.output()
            assert killed.survivors() == []
            assert launched.end() == 0


def test_a_second_launcher_in_the_same_folder_is_refused(project: LocalProject) -> None:
    with launch(project, "run") as first:
        first.wait_for(READY)
        with launch(project, "run", name="second") as second:
            assert second.process.wait(30) == 2
            assert f"the project runs already (process {first.process.pid})" in second.output()
        assert psutil.pid_exists(first.process.pid)
        assert first.end() == 0


def test_an_invalid_setting_stops_the_start_with_its_name(project: LocalProject) -> None:
    with launch(project, "run", extra={"OPENAI_BASE_URL": "not a url"}) as launched:
        assert launched.process.wait(30) == 2
    assert "OPENAI_BASE_URL" in launched.output()
