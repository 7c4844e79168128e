"""A desk with a real database and stand-ins for everything outside."""

import contextlib
import tempfile
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from desk.activities import DeskActivities
from desk.approvals import Approvals
from desk.casework import Casework
from desk.database import Database
from desk.outbox import Outbox
from desk.records import Ticket
from desk.settings import Settings
from desk.stages import expert_thread, triage_thread
from desk.support_desk import SupportDesk
from desk.tickets import Tickets
from tests.kit.desk_fakes import (
    FakeChannel,
    FakeEngine,
    FakeGraphData,
    FakeMemory,
    FakeProgress,
    FakeSidecar,
    analysis,
    triage_report,
)


def settings(**values: Any) -> Settings:
    """Settings that owe nothing to the environment's files."""
    return Settings(_env_file=None, **values)  # pyright: ignore[reportCallIssue]


@dataclass
class DeskRoom:
    """A desk on one database."""

    database: Database
    settings: Settings
    sidecar: FakeSidecar = field(default_factory=FakeSidecar)
    engine: FakeEngine = field(default_factory=FakeEngine)
    graphs: FakeGraphData = field(default_factory=FakeGraphData)
    memory: FakeMemory = field(default_factory=FakeMemory)
    channel: FakeChannel = field(default_factory=FakeChannel)
    progress: FakeProgress = field(default_factory=FakeProgress)

    def __post_init__(self) -> None:
        self.tickets = Tickets(self.database)
        self.casework = Casework(self.database)
        self.approvals = Approvals(self.database)
        self.outbox = Outbox(self.database)
        self.desk = SupportDesk(
            tickets=self.tickets,
            casework=self.casework,
            approvals=self.approvals,
            engine=self.engine,
            heartbeat=self.sidecar,
            progress=self.progress,
            max_description=self.settings.max_description,
        )
        self.activities = DeskActivities(
            settings=self.settings,
            tickets=self.tickets,
            casework=self.casework,
            approvals=self.approvals,
            outbox=self.outbox,
            graphs=self.graphs,
            state=self.sidecar,
            publisher=self.sidecar,
            conversation=self.sidecar,
            channel=self.channel,
            memory=self.memory,
            conversation_pause=timedelta(milliseconds=1),
        )

    async def file(self, ticket_id: str = "T-1", *, customer_id: str = "CUST001") -> Ticket:
        """File a ticket whose graphs have good answers in store."""
        self.graphs.final[triage_thread(ticket_id)] = {"triage": triage_report()}
        self.graphs.final[expert_thread(ticket_id, round_number=1)] = {"analysis": analysis()}
        self.graphs.final[expert_thread(ticket_id, round_number=2)] = {"analysis": analysis("Second thoughts.")}
        return await self.desk.file_ticket(
            ticket_id=ticket_id, customer_id=customer_id, description="Services cannot call each other."
        )

    async def bring_to_approval(self, ticket_id: str = "T-1") -> None:
        """File a ticket and have it wait for the decision on its first proposal."""
        await self.file(ticket_id)
        await self.activities.open_ticket({"ticket_id": ticket_id, "run": 1})
        await self.activities.record_triage({"ticket_id": ticket_id})
        await self.activities.record_proposal({"ticket_id": ticket_id, "round": 1})

    async def events(self, ticket_id: str = "T-1") -> list[str]:
        """Return the kinds of the lines of the audit trail."""
        return [line.event for line in await self.tickets.read_trail(ticket_id)]

    async def stage(self, ticket_id: str = "T-1") -> str:
        """Return where a ticket stands."""
        return (await self.tickets.get(ticket_id)).stage


@contextlib.asynccontextmanager
async def open_room(**values: Any) -> AsyncGenerator[DeskRoom]:
    """Open a desk whose database is a file that goes with it."""
    with tempfile.TemporaryDirectory(dir=_memory()) as folder:
        url = f"sqlite+aiosqlite:///{folder}/data/desk.db"
        async with Database(url) as database:
            yield DeskRoom(database, settings(database_url=url, **values))


def _memory() -> Path | None:
    """Return a folder in memory where there is one: the desk waits for the disk, which proves nothing here."""
    memory = Path("/dev/shm")  # noqa: S108
    return memory if memory.is_dir() else None
