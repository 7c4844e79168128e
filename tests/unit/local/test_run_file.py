"""Reading dapr.yaml."""

from __future__ import annotations

from pathlib import Path

import pytest

from local.errors import RunFileError
from local.run_file import read_run_file
from tests.kit.local_project import ROOT

ONE_APP = """
version: 1
apps:
  - appID: customer-support-system
    appDirPath: .
    appPort: 9000
    daprHTTPPort: 9001
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "dapr.yaml"
    path.write_text(text)
    return path


def test_the_ports_of_the_project_are_named_with_who_needs_them() -> None:
    needs = {need.port: need.who for need in read_run_file(ROOT / "dapr.yaml").port_needs()}
    assert needs == {
        8000: "customer-support-system",
        3500: "the sidecar of customer-support-system (HTTP)",
        50001: "the sidecar of customer-support-system (gRPC)",
        8001: "knowledge-base",
        3501: "the sidecar of knowledge-base (HTTP)",
        50011: "the sidecar of knowledge-base (gRPC)",
        8002: "offline-model",
        3502: "the sidecar of offline-model (HTTP)",
        50021: "the sidecar of offline-model (gRPC)",
    }


def test_ports_that_are_left_open_need_no_check(tmp_path: Path) -> None:
    run_file = read_run_file(write(tmp_path, ONE_APP))
    assert [need.port for need in run_file.port_needs()] == [9000, 9001]
    assert run_file.common.placement == "127.0.0.1:50005"
    assert run_file.desk_url == "http://127.0.0.1:9000"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("apps: []", "apps"),
        ("apps: {", "cannot be read"),
        ("- a list", "cannot be used"),
        ("apps: [{appPort: 1}]", "apps.0.appID"),
        ("apps: [{appID: x, appPort: many}]", "apps.0.appPort"),
        ("common: {placementHostAddress: localhost}\napps: [{appID: x}]", "common.placementHostAddress"),
    ],
)
def test_a_run_file_that_cannot_be_used_is_an_error_that_names_the_place(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(RunFileError, match=message):
        read_run_file(write(tmp_path, text))


def test_a_missing_run_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RunFileError, match="cannot be read"):
        read_run_file(tmp_path / "dapr.yaml")


def test_a_run_file_without_the_desk_is_an_error(tmp_path: Path) -> None:
    run_file = read_run_file(write(tmp_path, "apps: [{appID: other, appPort: 1}]"))
    with pytest.raises(RunFileError, match="no app 'customer-support-system'"):
        _ = run_file.desk_url
