"""Where a thread stands, read without a value of its state: for whoever looks through many."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from langgraph.checkpoint.base import CheckpointTuple

from dapr_bridge.saver import keys
from dapr_bridge.saver.documents import Documents, Place
from dapr_bridge.saver.effects import Steps
from dapr_bridge.saver.reading import read_latest_without_values
from dapr_bridge.saver.store import Document


@dataclass(frozen=True, kw_only=True)
class Standing:
    """Where a thread stands.

    Attributes:
        latest: its latest checkpoint with the writes on it, whose values are left out; None when there is none.
        checkpoints: how many checkpoints it lists, in all namespaces.
        claim: the document of its claim; None when no run of the bridge has had it.
        exists: whether anything is stored of it.
    """

    latest: CheckpointTuple | None
    checkpoints: int
    claim: Document | None
    exists: bool

    @property
    def changed_at(self) -> datetime | None:
        """When its latest checkpoint was made."""
        return datetime.fromisoformat(self.latest.checkpoint["ts"]) if self.latest else None


def read_standing(documents: Documents, thread_id: str) -> Steps[Standing]:
    """Read where a thread stands."""
    thread_key, claim_key = keys.thread_key(thread_id), keys.claim_key(thread_id)
    found = yield from documents.store.read([thread_key, claim_key])
    places = [Place(thread_id=thread_id, namespace=each) for each in documents.load(found.get(thread_key)) or []]
    heads = yield from documents.store.read([place.head_key for place in places])
    checkpoints = 0
    for place in places:
        checkpoints += len((yield from documents.read_ids_of(place, documents.head(heads.get(place.head_key)))))
    root = Place(thread_id=thread_id, namespace="")
    latest = (yield from read_latest_without_values(documents, root)) if places else None
    return Standing(latest=latest, checkpoints=checkpoints, claim=found.get(claim_key), exists=bool(found))
