"""Streamed events of two runs of one graph, made comparable."""

from __future__ import annotations

import re
from typing import Any

_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|\b[0-9a-f]{32}\b")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT[\d:.+]+")


def comparable(event: Any) -> str:
    """An event as text, without what differs between two runs of the same graph: ids and times."""
    return _TIME.sub("TIME", _ID.sub("ID", repr(event)))
