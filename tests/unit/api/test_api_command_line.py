"""`python -m api` when something is wrong with how it is started."""

import socket
from pathlib import Path

import pytest

from api.cli import main


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_taken_port_is_named_with_who_needs_it(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["--port", str(port)]) == 2
    said = capsys.readouterr().err
    assert f"port {port}" in said
    assert "support desk" in said
    assert "API_PORT" in said


def test_an_invalid_setting_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("APPROVAL_TIMEOUT", "[soon]")
    assert main([]) == 2
    assert "APPROVAL_TIMEOUT" in capsys.readouterr().err


def test_an_address_that_is_not_ours_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--host", "203.0.113.1", "--port", "8000"]) == 2
    assert "203.0.113.1" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--role", "boss"], ["--port", "x"], ["--port", "70000"], ["--nonsense"]])
def test_odd_arguments_end_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 2
    assert "usage:" in capsys.readouterr().err


def test_help_explains_the_roles(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["--help"])
    assert end.value.code == 0
    said = capsys.readouterr().out
    assert "--role" in said
    assert "worker" in said
