"""What a workflow's history tells of the graphs that it ran: threads, runs, and values that it carried by reference."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

import grpc

from dapr_bridge import _names
from dapr_bridge._at_once import each_of
from dapr_bridge._payloads import LOST
from dapr_bridge._wire import RunRequest
from dapr_bridge._workflows import ENDED, Workflows
from dapr_bridge.errors import BridgeError
from dapr_bridge.saver.sidecar import describe


@dataclass(frozen=True, kw_only=True)
class Instance:
    """One workflow.

    Attributes:
        id: its instance id.
        ended_at: when it ended; None while it goes on.
        events: how long its history is.
        size: how many bytes its events have.
        threads: the LangGraph threads of the graphs that it ran here, as far as its history tells.
        runs: the ids of their runs.
        leases: names of the leases under which their work may have been done.
        references: names of values that it has carried by reference.
    """

    id: str
    ended_at: datetime | None = None
    events: int = 0
    size: int = 0
    threads: frozenset[str] = frozenset()
    runs: frozenset[str] = frozenset()
    leases: frozenset[str] = frozenset()
    references: frozenset[str] = frozenset()

    @property
    def own_values(self) -> frozenset[str]:
        """Names of the values by reference that were saved for this workflow or its runs, and for nobody else."""
        mine = (f"{self.id}/", f"{self.id}:", *(f"{run}/" for run in self.runs))
        # Those that a workflow forgets when it begins anew.
        given = {f"{run}/{what}" for run in self.runs for what in ("input", "context")}
        return frozenset(each for each in self.references if each.startswith(mine)) | given


async def read_instances(workflows: Workflows) -> list[Instance]:
    """Read all workflows of the app.

    Raises:
        BridgeError: Dapr does not list them, or no worker is there to read them.
    """
    try:
        found = await each_of(await workflows.instance_ids(), lambda each: _read(workflows, each))
    except NotImplementedError as error:
        raise BridgeError(f"{error} Threads can be deleted by name.") from error
    except grpc.RpcError as error:
        text = f"the sidecar does not tell its workflows; is a worker of this app connected? {describe(error)}"
        raise BridgeError(text) from error
    return [each for each in found if each is not None]


async def _read(workflows: Workflows, instance_id: str) -> Instance | None:
    state = await workflows.state(instance_id)
    if state is None:
        return None
    events = await workflows.history(instance_id)
    has_ended = state.runtime_status in ENDED
    ended_at = cast("datetime", state.last_updated_at).replace(tzinfo=UTC) if has_ended else None
    return instance_of(instance_id, events, ended_at=ended_at)


def instance_of(instance_id: str, events: Sequence[Any], *, ended_at: datetime | None) -> Instance:
    """Gather what a history tells."""
    given = [(event.eventId, name, record) for event in events for name, record in _given_to(event)]
    requests = [(number, request) for number, name, record in given for request in _requests(name, record)]
    tasks = [(_run_id(record["run"]), record["task"]["id"]) for _, _, record in given if _is_of_a_task(record)]
    # A run that was given no name takes that of its first call.
    named = (each.run_id or f"{instance_id}:{each.asked_at}:{number}" for number, each in requests)
    runs = frozenset(named) | {run for run, _ in tasks if run}
    return Instance(
        id=instance_id,
        ended_at=ended_at,
        events=len(events),
        size=sum(event.ByteSize() for event in events),
        threads=frozenset(each.thread_id for _, each in requests),
        runs=runs,
        leases=runs | {f"{run}/{task}" for run, task in tasks},
        references=frozenset(name for event in events for value in _values(event) for name in _references(value)),
    )


def _given_to(event: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """What an event has handed to an activity or a workflow, with its name."""
    kind = event.WhichOneof("eventType")
    if kind in ("executionStarted", "taskScheduled", "childWorkflowInstanceCreated"):
        payload = getattr(event, kind)
        record = decoded(payload.input.value)
        if isinstance(record, dict):
            yield payload.name, cast("Mapping[str, Any]", record)


def _requests(name: str, record: Mapping[str, Any]) -> Iterator[RunRequest]:
    """A request to run a graph here; one in another app is that app's own matter."""
    asked = record["run"] if isinstance(record.get("run"), dict) else record
    graph = asked.get("graph")
    if isinstance(graph, str) and name in _names.run_by(graph):
        request = RunRequest.from_json(asked)
        if not request.options.get("is_from_afar"):
            yield request


def _is_of_a_task(record: Mapping[str, Any]) -> bool:
    return {"run", "checkpoint_id", "task"} <= record.keys()


def _run_id(record: Mapping[str, Any]) -> str:
    return record.get("run_id") or ""


def _values(event: Any) -> Iterator[Any]:
    """Every JSON value that an event carries."""
    kind = event.WhichOneof("eventType")
    payload = getattr(event, kind) if kind else None
    for field, value in payload.ListFields() if payload is not None else ():
        if field.name in ("input", "result"):
            yield decoded(value.value)


def decoded(text: str | None) -> Any:
    """Return what a workflow has recorded; None when it is nothing, or no JSON."""
    try:
        return json.loads(text) if text else None
    except ValueError:
        # Another language's workflow may carry what it likes.
        return None


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        record = cast("Mapping[str, Any]", value)
        name = record.get("reference")
        if isinstance(name, str) and record.keys() <= {"reference", LOST}:
            yield name
        yield from _references_in(record.values())
    elif isinstance(value, list):
        yield from _references_in(cast("Sequence[Any]", value))


def _references_in(values: Iterable[Any]) -> Iterator[str]:
    for value in values:
        yield from _references(value)
