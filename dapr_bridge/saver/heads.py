"""Which checkpoints a namespace of a thread has: the head, and what is listed no more."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

CHUNK_IDS = 64
"""How many checkpoint ids a head holds before they move to a chunk of their own."""


@dataclass(frozen=True, kw_only=True)
class Head:
    """Where a namespace of a thread stands: its latest checkpoint, and where to find the others.

    Attributes:
        latest: id of the latest checkpoint, empty when there is none.
        ids: the last ids.
        chunks: the number that the next full chunk of ids gets.
        first: the number of the first chunk that has not been emptied.
        run: the run that the index of runs is known to hold for this thread, so that it is not read on each put.
    """

    latest: str = ""
    ids: tuple[str, ...] = ()
    chunks: int = 0
    first: int = 0
    run: str = ""

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """Rebuild a head from `to_document`."""
        return cls(
            latest=document["latest"],
            ids=tuple(document["ids"]),
            chunks=document["chunks"],
            first=document.get("first", 0),
            run=document.get("run", ""),
        )

    def to_document(self) -> dict[str, Any]:
        """Return plain data for the codec."""
        return {
            "latest": self.latest,
            "ids": list(self.ids),
            "chunks": self.chunks,
            "first": self.first,
            "run": self.run,
        }

    @property
    def is_full(self) -> bool:
        """Whether the next id starts a new chunk."""
        return len(self.ids) >= CHUNK_IDS

    def with_checkpoint(self, checkpoint_id: str, *, follows_latest: bool = False) -> Head:
        """Add a checkpoint; a full head starts anew, its ids having moved to a chunk.

        Args:
            checkpoint_id: what to add.
            follows_latest: it is known to be the latest's child, so it is the latest now even when the clock that made
                its id is behind.
        """
        if checkpoint_id in self.ids:
            return self
        latest = checkpoint_id if follows_latest else max(self.latest, checkpoint_id)
        if self.is_full:
            return replace(self, latest=latest, ids=(checkpoint_id,), chunks=self.chunks + 1)
        return replace(self, latest=latest, ids=(*self.ids, checkpoint_id))

    def with_run(self, run_id: str) -> Head:
        """Note that the index of runs holds this run for this thread."""
        return replace(self, run=run_id)

    def without(self, doomed: Collection[str], *, others: Collection[str], first: int) -> Head:
        """Take checkpoints out.

        Args:
            doomed: what to take out.
            others: the ids that remain in chunks.
            first: the number of the first chunk that is not empty.
        """
        ids = tuple(each for each in self.ids if each not in doomed)
        latest = max((*ids, *others), default="") if self.latest in doomed else self.latest
        # The run may be gone from the index with its checkpoints: its next put looks.
        return replace(self, latest=latest, ids=ids, first=first, run="")


@dataclass(frozen=True, kw_only=True)
class Unlisted:
    """Checkpoints of a namespace that are listed no more and may still have documents.

    They are on their way out, or a listed checkpoint's delta channels are rebuilt from their writes.

    Attributes:
        ids: ids of the checkpoints.
        cleared: the number of the first chunk of ids that may not have been deleted yet.
    """

    ids: tuple[str, ...] = ()
    cleared: int = 0

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """Rebuild it from `to_document`."""
        return cls(ids=tuple(document["ids"]), cleared=document["cleared"])

    def to_document(self) -> dict[str, Any]:
        """Return plain data for the codec."""
        return {"ids": list(self.ids), "cleared": self.cleared}

    def with_ids(self, more: Collection[str]) -> Unlisted:
        """Add checkpoints."""
        return replace(self, ids=tuple(dict.fromkeys([*self.ids, *more])))
