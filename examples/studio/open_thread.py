"""Put a thread of a durable run on the list of `langgraph dev`; README.md says why it is not there by itself.

Run it: `.venv/bin/python -m examples.studio.open_thread TICKET_ID/expert/1 expert`
"""

import argparse
import asyncio
import uuid

from langgraph_sdk import get_client

from dapr_bridge import DaprSaver


async def open_thread(name: str, graph: str, *, url: str, address: str | None = None) -> str:
    """Return the id under which Studio has the thread: its own when it is a UUID, else that of a copy."""
    thread_id = name if is_uuid(name) else str(uuid.uuid5(uuid.NAMESPACE_URL, f"thread:{name}"))
    async with DaprSaver("execution-state", address=address) as saver:
        if await saver.aget_tuple({"configurable": {"thread_id": name}}) is None:
            raise LookupError(f"no thread {name!r} in the state store 'execution-state'")
        if thread_id != name:
            await saver.acopy_thread(name, thread_id)
    async with get_client(url=url) as studio:
        metadata = {"copy_of": name} if thread_id != name else {}
        await studio.threads.create(thread_id=thread_id, graph_id=graph, metadata=metadata, if_exists="do_nothing")
    return thread_id


def is_uuid(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("thread", help="id of the LangGraph thread")
    parser.add_argument("graph", help="name of its graph in langgraph.json")
    parser.add_argument("--url", default="http://127.0.0.1:2024", help="where `langgraph dev` listens")
    given = parser.parse_args()
    print(asyncio.run(open_thread(given.thread, given.graph, url=given.url)))
