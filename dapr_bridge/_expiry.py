"""What a purge deletes: decided on what workflows and threads tell, before anything is touched."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum

from dapr_bridge._instances import Instance
from dapr_bridge._pending import PendingTasks
from dapr_bridge._thread_claim import Holding
from dapr_bridge.saver.standing import Standing

_LAST = datetime.max.replace(tzinfo=UTC)


class Reason(StrEnum):
    """Why a thread is kept."""

    LIVE = "going on"
    WAITING = "waiting"
    RECENT = "recent"
    UNKNOWN = "not found"


def by_thread(instances: Iterable[Instance]) -> dict[str, list[Instance]]:
    """Return the workflows of each thread, in the order of their ends; those that go on come last."""
    threads: dict[str, list[Instance]] = {}
    for instance in sorted(instances, key=_end_of):
        for thread_id in instance.threads:
            threads.setdefault(thread_id, []).append(instance)
    return threads


def judge_by_workflows(workflows: Sequence[Instance], *, before: datetime) -> Reason | None:
    """Tell why a thread is kept, as far as its workflows say; None when they do not."""
    last = workflows[-1]
    if last.ended_at is None:
        return Reason.LIVE
    return Reason.RECENT if last.ended_at >= before else None


def judge_by_standing(standing: Standing, *, before: datetime) -> Reason | None:
    """Tell why a thread is kept, as far as its own documents say."""
    is_interrupted = Holding.from_document(standing.claim).last_status == "interrupted"
    if is_interrupted or PendingTasks.on(standing.latest).questions:
        return Reason.WAITING
    # A person may have changed it, or a workflow that has begun anew and tells no more of it.
    changed_at = standing.changed_at
    return Reason.RECENT if changed_at is not None and changed_at >= before else None


def ended_for_good(
    workflows: Mapping[str, Sequence[Instance]], *, without_thread: Collection[str], before: datetime
) -> list[Instance]:
    """Return the workflows whose histories are of no use any more.

    The last workflow of a thread that is kept stays, for by it the thread is found the next time.

    Args:
        workflows: those of each thread, in the order of their ends.
        without_thread: threads of which nothing is stored.
        before: only those that ended before that.
    """
    by_id = {instance.id: instance for several in workflows.values() for instance in several}
    needed = {several[-1].id for thread_id, several in workflows.items() if thread_id not in without_thread}
    return [each for each in by_id.values() if each.id not in needed and _end_of(each)[0] < before]


def only_of(instances: Iterable[Instance], threads: Collection[str]) -> list[Instance]:
    """Return the ended workflows that have run graphs on some threads, and on no others."""
    return [each for each in instances if each.ended_at and each.threads and each.threads <= frozenset(threads)]


def values_of(doomed: Iterable[Instance], instances: Iterable[Instance]) -> list[str]:
    """Return the values by reference that go with some workflows, and that no other one refers to."""
    going = {each.id: each for each in doomed}
    spared = {name for each in instances if each.id not in going for name in each.references}
    return sorted({name for each in going.values() for name in each.own_values} - spared)


def _end_of(instance: Instance) -> tuple[datetime, str]:
    return instance.ended_at or _LAST, instance.id
