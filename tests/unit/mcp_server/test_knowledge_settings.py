"""Settings from the environment, and the two forms of log lines."""

from __future__ import annotations

import io
import json
import logging
from pathlib import Path

import pytest

from mcp_server.errors import StartError
from mcp_server.logs import JsonFormatter, TextFormatter
from mcp_server.settings import read_settings

VARIABLES = ("KNOWLEDGE_BASE_HOST", "KNOWLEDGE_BASE_PORT", "KNOWLEDGE_BASE_ARTICLES", "LOG_LEVEL", "LOG_FORMAT")


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


def test_defaults_listen_on_loopback_and_serve_the_shipped_articles() -> None:
    settings = read_settings()
    assert (settings.knowledge_base_host, settings.knowledge_base_port) == ("127.0.0.1", 8001)
    assert (settings.knowledge_base_articles / "connectivity").is_dir()


def test_the_environment_wins_over_the_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(
        "KNOWLEDGE_BASE_PORT=9001\nLOG_FORMAT=JSON\nOPENAI_API_KEY=x\nKNOWLEDGE_BASE_HOST=\n"
    )
    monkeypatch.setenv("KNOWLEDGE_BASE_PORT", "9002")
    monkeypatch.setenv("LOG_LEVEL", "debug")
    settings = read_settings()
    assert (settings.knowledge_base_port, settings.log_format, settings.log_level) == (9002, "json", "DEBUG")
    assert settings.knowledge_base_host == "127.0.0.1"


@pytest.mark.parametrize(
    ("name", "value"),
    [("KNOWLEDGE_BASE_PORT", "eighty"), ("KNOWLEDGE_BASE_PORT", "70000"), ("LOG_LEVEL", "LOUD"), ("LOG_FORMAT", "xml")],
)
def test_a_bad_variable_is_named_with_its_value(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(StartError, match=f"{name}='{value}'"):
        read_settings()


def log_line(formatter: logging.Formatter) -> str:
    """Log one message with a field, and one with a stack, through a formatter."""
    output = io.StringIO()
    handler = logging.StreamHandler(output)
    handler.setFormatter(formatter)
    record = logging.LogRecord("kb", logging.INFO, __file__, 1, "queried %s times", (3,), None)
    record.category = "connectivity"
    handler.emit(record)
    return output.getvalue().rstrip("\n")


def test_a_line_for_people_is_one_readable_line() -> None:
    assert log_line(TextFormatter()).endswith("INFO    kb: queried 3 times")


def test_a_line_for_machines_carries_the_fields() -> None:
    fields = json.loads(log_line(JsonFormatter()))
    assert {name: fields[name] for name in ("level", "logger", "message", "category")} == {
        "level": "INFO",
        "logger": "kb",
        "message": "queried 3 times",
        "category": "connectivity",
    }


def test_a_failure_stays_one_line_for_machines() -> None:
    error = ValueError("broken")
    record = logging.LogRecord("kb", logging.ERROR, __file__, 1, "failed", (), (ValueError, error, None))
    line = JsonFormatter().format(record)
    assert "\n" not in line
    assert "ValueError: broken" in json.loads(line)["exception"]
