"""The index of runs: in which threads a run has made checkpoints, for state cannot be listed."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from dapr_bridge.saver.documents import Documents, guard_of
from dapr_bridge.saver.effects import Steps
from dapr_bridge.saver.keys import run_key
from dapr_bridge.saver.store import Document, Write


def run_writes(
    documents: Documents, run_ids: Collection[str], thread_id: str, found: Mapping[str, Document]
) -> list[Write]:
    """Return the writes that note a thread with runs, where it is not noted yet."""
    writes: list[Write] = []
    for run_id in run_ids:
        key = run_key(run_id)
        threads = documents.load(found.get(key)) or []
        if thread_id not in threads:
            writes.append(Write(key, documents.dump([*threads, thread_id]), guard_of(found, key)))
    return writes


def read_threads(documents: Documents, run_ids: Sequence[str]) -> Steps[list[str]]:
    """Return the threads in which one of the runs has made checkpoints."""
    found = yield from documents.store.read([run_key(run_id) for run_id in run_ids])
    return list(dict.fromkeys(thread for document in found.values() for thread in documents.load(document)))


def note_runs(documents: Documents, run_ids: Collection[str], thread_id: str) -> Steps[None]:
    """Note that runs have made checkpoints in a thread."""
    if run_ids:
        yield from documents.store.update(
            [run_key(run_id) for run_id in run_ids],
            lambda found: run_writes(documents, run_ids, thread_id, found),
        )


def forget_runs(documents: Documents, run_ids: Collection[str], thread_id: str) -> Steps[None]:
    """Note that runs have no checkpoints in a thread any more."""

    def decide(found: Mapping[str, Document]) -> list[Write]:
        writes: list[Write] = []
        for key, document in found.items():
            threads = documents.load(document)
            if thread_id in threads:
                others = [each for each in threads if each != thread_id]
                writes.append(Write(key, documents.dump(others) if others else None, document.etag))
        return writes

    if run_ids:
        yield from documents.store.update([run_key(run_id) for run_id in run_ids], decide)
