"""Durations as people write them."""

from datetime import timedelta

import pytest

from desk.durations import parse_duration


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("90s", timedelta(seconds=90)),
        ("30m", timedelta(minutes=30)),
        ("24h", timedelta(hours=24)),
        (" 2 D ", timedelta(days=2)),
        (timedelta(minutes=5), timedelta(minutes=5)),
    ],
)
def test_durations_are_read(written: object, meant: timedelta) -> None:
    assert parse_duration(written) == meant


@pytest.mark.parametrize(
    "written", ["", "24", "h", "1.5h", "-1h", "0s", "1w", "9999999999d", "999999999d", 3600, None, "٣h"]
)
def test_anything_else_is_refused_with_what_was_found(written: object) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        parse_duration(written)
