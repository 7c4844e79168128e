"""Log lines: one per event, readable or for machines."""

import json
import logging

from api.logs import JsonFormatter, TextFormatter


def record(message: str, *values: object, **extra: object) -> logging.LogRecord:
    made = logging.getLogger("desk").makeRecord("desk.x", logging.INFO, "f", 1, message, values, None)
    vars(made).update(extra)
    return made


def test_a_readable_line_names_the_ticket_and_its_instance() -> None:
    line = TextFormatter().format(record("triage %s", "done", ticket_id="T-1", instance_id="ticket-T-1", odd="no"))
    assert line.endswith("INFO    desk.x: triage done ticket_id=T-1 instance_id=ticket-T-1")


def test_a_message_of_several_lines_stays_one_line() -> None:
    assert "\n" not in TextFormatter().format(record("a\nb"))


def test_json_holds_the_same() -> None:
    event = json.loads(JsonFormatter().format(record("ünï\ncode", ticket_id="T-1")))
    assert (event["message"], event["ticket_id"], event["level"], event["logger"]) == (
        "ünï\ncode",
        "T-1",
        "INFO",
        "desk.x",
    )


def failed(level: int) -> logging.LogRecord:
    error = ValueError("the reason")
    made = record("failed")
    made.levelno, made.exc_info = level, (type(error), error, None)
    return made


def test_a_warnings_exception_is_told_in_both_forms() -> None:
    made = failed(logging.WARNING)
    assert "the reason" in TextFormatter().format(made)
    assert "the reason" in json.loads(JsonFormatter().format(made))["exception"]


def test_a_traceback_that_only_informs_is_left_to_machines() -> None:
    made = failed(logging.INFO)
    assert TextFormatter().format(made).endswith("desk.x: failed")
    assert "the reason" in json.loads(JsonFormatter().format(made))["exception"]
