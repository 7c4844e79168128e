"""The desk's database: its connections, its schema and its transactions."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator
from pathlib import Path
from types import TracebackType
from typing import Self

from sqlalchemy import Connection, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

from desk.tables import Base

logger = logging.getLogger(__name__)

_BUSY_TIMEOUT = 30_000
_SCHEMA_LOCK = 7_203_117
_WRITES = "desk_writes"


class Database:
    """The database behind a URL; belongs to the event loop that opened it.

    A context manager: entering creates what is missing of the schema, leaving closes the connections.
    """

    def __init__(self, url: str) -> None:
        self._url = make_url(url)
        self._engine = _create_engine(self._url)
        # SQLite takes one writer at a time; queueing here is fair and cheap, its own busy wait is neither.
        self._turn: contextlib.AbstractAsyncContextManager[object] = (
            asyncio.Lock() if self._is_sqlite else contextlib.nullcontext()
        )

    @property
    def _is_sqlite(self) -> bool:
        return self._url.get_backend_name() == "sqlite"

    async def __aenter__(self) -> Self:
        if self._is_sqlite and self._url.database:
            Path(self._url.database).parent.mkdir(parents=True, exist_ok=True)
        await self._create_schema()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._engine.dispose()

    @contextlib.asynccontextmanager
    async def read(self) -> AsyncGenerator[AsyncSession]:
        """Open a session that only reads."""
        async with AsyncSession(self._engine, expire_on_commit=False) as session:
            yield session

    @contextlib.asynccontextmanager
    async def write(self) -> AsyncGenerator[AsyncSession]:
        """Open a transaction; it is committed at the end of the block and rolled back when the block raises."""
        writer = self._engine.execution_options(**{_WRITES: True})
        async with self._turn, AsyncSession(writer, expire_on_commit=False) as session, session.begin():
            yield session

    async def _create_schema(self) -> None:
        async with self.write() as session:
            if not self._is_sqlite:
                # Two processes that start at once would both see no tables and both create them.
                await session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _SCHEMA_LOCK})
            connection = await session.connection()
            await connection.run_sync(Base.metadata.create_all)


def _create_engine(url: URL) -> AsyncEngine:
    engine = create_async_engine(url, pool_pre_ping=url.get_backend_name() != "sqlite")
    if url.get_backend_name() == "sqlite":
        event.listen(engine.sync_engine, "connect", _prepare_sqlite)
        event.listen(engine.sync_engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: DBAPIConnection, _: object) -> None:
    # Without this the driver begins transactions itself, and too late to keep a reader from becoming a second writer.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", f"busy_timeout={_BUSY_TIMEOUT}", "synchronous=FULL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
