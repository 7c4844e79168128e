"""Durations as people write them in settings: `90s`, `30m`, `24h`, `2d`."""

import re
from datetime import timedelta
from typing import Annotated

from pydantic import BeforeValidator

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_WRITTEN = re.compile(r"\s*(\d{1,9})\s*([smhd])\s*", re.IGNORECASE | re.ASCII)
LONGEST = timedelta(days=366)


def parse_duration(written: object) -> timedelta:
    """Read a duration; a timedelta is taken as it is.

    Raises:
        ValueError: it is not written as a number and one of s, m, h, d, or is not between 1 second and a year.
    """
    duration = written if isinstance(written, timedelta) else _read(written)
    if not timedelta(0) < duration <= LONGEST:
        raise ValueError(f"{written!r} is not a duration between 1 second and {LONGEST.days} days")
    return duration


def _read(written: object) -> timedelta:
    match = _WRITTEN.fullmatch(written) if isinstance(written, str) else None
    if match is None:
        raise ValueError(f"{written!r} is not a duration; write 90s, 30m, 24h or 2d")
    return timedelta(**{_UNITS[match[2].lower()]: int(match[1])})


Duration = Annotated[timedelta, BeforeValidator(parse_duration)]
"""A positive duration, read from `90s`, `30m`, `24h` or `2d`."""
