"""What `langgraph.json` names as the checkpointer: the saver of the desk's graphs."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from dapr_bridge import DaprSaver


@asynccontextmanager
async def open_saver() -> AsyncGenerator[DaprSaver]:
    """Open the state store of the sidecar that DAPR_GRPC_PORT names, by default that of `make run`."""
    async with DaprSaver("execution-state") as saver:
        yield saver
