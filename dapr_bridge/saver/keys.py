"""Names of the saver's documents in the state store; pure functions.

A key is `lg/<kind>/<part>/...`. Dapr refuses `||` in keys and splits them there, so `|` is escaped in parts, as are `/`
(our separator) and `%` (our escape). A thread's keys cannot be listed by prefix: everything is found from `T`, `H`
and, by run, `R`.
"""

from __future__ import annotations

_ESCAPES = str.maketrans({"%": "%25", "/": "%2F", "|": "%7C"})


def thread_key(thread_id: str) -> str:
    """Key of the list of a thread's checkpoint namespaces."""
    return _key("T", thread_id)


def head_key(thread_id: str, namespace: str) -> str:
    """Key of the head: the latest checkpoint id and the last ids; the fence of every put."""
    return _key("H", thread_id, namespace)


def ids_key(thread_id: str, namespace: str, chunk: int) -> str:
    """Key of a full chunk of checkpoint ids, written once."""
    return _key("I", thread_id, namespace, str(chunk))


def unlisted_key(thread_id: str, namespace: str) -> str:
    """Key of the ids of checkpoints that are listed no more and may still have documents."""
    return _key("U", thread_id, namespace)


def run_key(run_id: str) -> str:
    """Key of the list of threads in which a run has made checkpoints."""
    return _key("R", run_id)


def checkpoint_key(thread_id: str, namespace: str, checkpoint_id: str) -> str:
    """Key of one checkpoint without its channel values, written once."""
    return _key("C", thread_id, namespace, checkpoint_id)


def value_key(thread_id: str, namespace: str, channel: str, version: str | float) -> str:
    """Key of one channel's value at one version, written once."""
    return _key("B", thread_id, namespace, channel, str(version))


def pending_key(thread_id: str, namespace: str, checkpoint_id: str) -> str:
    """Key of the writes on a checkpoint, by task: small ones themselves, of others only that they are apart."""
    return _key("W", thread_id, namespace, checkpoint_id)


def apart_key(thread_id: str, namespace: str, checkpoint_id: str, task_id: str) -> str:
    """Key of the writes of one task that are too large to stand with the others, one unit."""
    return _key("W", thread_id, namespace, checkpoint_id, task_id)


def payload_key(name: str) -> str:
    """Key of a value that travels by reference: a run's input, an answer, a result."""
    return _key("P", name)


def claim_key(thread_id: str) -> str:
    """Key of the claim on a thread: which run has it, and how the last ones ended."""
    return _key("L", thread_id)


def cancel_key(run_id: str) -> str:
    """Key of the wish that a run be cancelled."""
    return _key("X", run_id)


def drain_key(run_id: str) -> str:
    """Key of the wish that a run be drained, and of its reason."""
    return _key("D", run_id)


def awaited_key(run_id: str) -> str:
    """Key of the event that a run waits for."""
    return _key("E", run_id)


def lease_key(name: str) -> str:
    """Key of a lease."""
    return _key("K", name)


def item_key(namespace: tuple[str, ...], key: str) -> str:
    """Key of one item of a LangGraph store."""
    return _key("S", *namespace, key)


def node_key(namespace: tuple[str, ...]) -> str:
    """Key of a namespace of a LangGraph store: its children and its items."""
    return _key("N", *namespace)


def witness_key() -> str:
    """Key of the witness: a document that is always there, so that a read without it has failed."""
    return _key("Z")


def part_key(key: str, digest: str, number: int) -> str:
    """Key of one part of a document that is too large for one message.

    The digest of the whole keeps the parts of two attempts apart.
    """
    return f"{key}/part/{digest}/{number}"


def _key(kind: str, *parts: str) -> str:
    return "/".join(("lg", kind, *(part.translate(_ESCAPES) for part in parts)))
