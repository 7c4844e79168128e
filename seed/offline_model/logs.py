"""One log line per event, for people or for machines."""

import json
import logging
from datetime import UTC, datetime

from typing_extensions import override

from seed.offline_model.settings import OfflineModelSettings

_FIELDS = ("node", "task_id")


class JsonFormatter(logging.Formatter):
    """Writes a record as one JSON object."""

    @override
    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line = {"time": moment, "level": record.levelname, "logger": record.name, "message": record.getMessage()}
        line.update({name: record.__dict__[name] for name in _FIELDS if record.__dict__.get(name) is not None})
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def configure_logging(settings: OfflineModelSettings) -> None:
    """Send this process's log to standard error in the form that the settings ask for."""
    handler = logging.StreamHandler()
    if settings.log_format == "json":
        handler.setFormatter(JsonFormatter())
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=settings.log_level, handlers=[handler], force=True)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
