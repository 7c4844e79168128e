"""Log lines for people (text) and machines (json), always on standard error: stdout is the stdio transport's."""

import json
import logging
import logging.config
from datetime import UTC, datetime

# What every record carries; anything beyond it came in through `extra`.
_PLAIN_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}

# These report each request or session at INFO; our own line for each query says it better.
_CHATTY = ("mcp", "uvicorn", "httpx2")
# The SDK's one line for each call that it or we refused, without the caller's values.
_REFUSALS = "mcp.server.mcpserver.server"


class TextFormatter(logging.Formatter):
    """One readable line: time, level, logger, message."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(name)s: %(message)s")

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802 - logging's name
        """Write the moment as the JSON form does."""
        return _moment(record)


class JsonFormatter(logging.Formatter):
    """One JSON object a line, with the fields given in `extra`."""

    def format(self, record: logging.LogRecord) -> str:
        """Render a record."""
        fields: dict[str, object] = {
            "time": _moment(record),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        fields |= {name: value for name, value in vars(record).items() if name not in _PLAIN_FIELDS}
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return json.dumps(fields, ensure_ascii=False, default=repr)


def configure_logging(*, level: str, style: str) -> None:
    """Send all logging of this process to standard error."""
    formatter = JsonFormatter if style == "json" else TextFormatter
    quiet = level if level == "DEBUG" else "WARNING"
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {"line": {"()": formatter}},
            "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
            "loggers": {name: {"level": quiet} for name in _CHATTY} | {_REFUSALS: {"level": level}},
            "root": {"level": level, "handlers": ["stderr"]},
        }
    )


def _moment(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
