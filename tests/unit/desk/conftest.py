"""A desk for each test."""

from collections.abc import AsyncGenerator

import pytest

from tests.kit.desk_room import DeskRoom, open_room


@pytest.fixture
async def room(anyio_backend: str) -> AsyncGenerator[DeskRoom]:
    """A desk with a real database and stand-ins for everything outside."""
    async with open_room() as room:
        yield room
