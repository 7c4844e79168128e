"""Logs on stderr, one line per event: readable, or JSON for machines."""

import json
import logging
from datetime import UTC, datetime

from desk.settings import LogFormat, Settings

_NAMED = ("ticket_id", "instance_id", "thread_id", "run_id", "node", "task_id", "notification_key")
_NOISY = ("httpx", "httpx2", "httpcore", "httpcore2", "openai", "aiosqlite", "asyncio", "mcp")
_SDK_LOGGERS = ("WorkflowRuntime", "DaprWorkflowContext", "DaprWorkflowClient")
_QUIET = (*_NOISY, *_SDK_LOGGERS, "durabletask-worker", "durabletask-client")


class TextFormatter(logging.Formatter):
    """A readable line: time, level, logger, message, ids."""

    def format(self, record: logging.LogRecord) -> str:
        """Write one event."""
        named = "".join(f" {name}={value}" for name, value in _ids(record).items())
        line = f"{_moment(record)} {record.levelname:<7} {record.name}: {_message(record)}{named}"
        # A message of several lines would look like several events.
        line = line.replace("\n", "\\n")
        # What is retried or reported elsewhere is one line; its traceback is in the JSON form.
        with_traceback = record.exc_info if record.levelno >= logging.WARNING else None
        return f"{line}\n{self.formatException(with_traceback)}" if with_traceback else line


class JsonFormatter(logging.Formatter):
    """One JSON object per line."""

    def format(self, record: logging.LogRecord) -> str:
        """Write one event."""
        event = {
            "time": _moment(record),
            "level": record.levelname,
            "logger": record.name,
            "message": _message(record),
            **_ids(record),
        }
        if record.exc_info:
            event["exception"] = self.formatException(record.exc_info)
        return json.dumps(event, ensure_ascii=False)


def configure_logging(settings: Settings) -> None:
    """Send everything that this process logs to stderr in the wanted form."""
    logging.basicConfig(level=settings.log_level, handlers=[_handler(settings.log_format)], force=True)
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLevelNamesMapping()[settings.log_level]))
    for name in _SDK_LOGGERS:
        # The SDK gives a logger that has no handler one of its own, and each line would come twice.
        logging.getLogger(name).addHandler(logging.NullHandler())
    # The desk says itself, and with the ticket's id, what went wrong with a call of this client.
    logging.getLogger("DaprWorkflowClient").setLevel(logging.CRITICAL)


def _handler(log_format: LogFormat) -> logging.Handler:
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter() if log_format == "json" else TextFormatter())
    return handler


def _moment(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")


def _message(record: logging.LogRecord) -> str:
    return record.getMessage()


def _ids(record: logging.LogRecord) -> dict[str, str]:
    known = vars(record)
    return {name: str(known[name]) for name in _NAMED if known.get(name) is not None}
