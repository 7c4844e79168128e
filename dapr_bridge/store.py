"""`DaprStore`: LangGraph's store (`runtime.store`) on a Dapr state store.

Dapr state cannot be listed, so each namespace has a node document that names its children and its items. A node is
written when something new appears in it, an item on each put; ancestors and nodes go first, and on deletion last, so
that nothing is ever saved that a search would not find. A node may list an item that is not there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice

from langgraph.store.base import (
    BaseStore,
    GetOp,
    Item,
    ListNamespacesOp,
    MatchCondition,
    Op,
    PutOp,
    Result,
    SearchItem,
    SearchOp,
)

from dapr_bridge._contexts import Closing
from dapr_bridge._filters import meets
from dapr_bridge.saver.effects import Steps, arun, run
from dapr_bridge.saver.keys import item_key, node_key
from dapr_bridge.saver.records import Codec
from dapr_bridge.saver.serializer import OwnTypesSerializer
from dapr_bridge.saver.sidecar import Patience
from dapr_bridge.saver.store import ABSENT, Document, StateStore, Write

Namespace = tuple[str, ...]
_Read = GetOp | SearchOp | ListNamespacesOp
_ITEMS_AT_ONCE = 20


@dataclass(frozen=True, kw_only=True)
class _Node:
    """One namespace: the labels below it, and its items with the time of their last change."""

    children: tuple[str, ...] = ()
    items: Mapping[str, str] | None = None


class DaprStore(BaseStore, Closing):
    """A LangGraph store without semantic search, usable from any thread and event loop.

    Args:
        store: name of a Dapr state store component that supports ETags and transactions.
        address: the sidecar's gRPC address, `host:port`; Dapr's own settings when not given.
        allowed_types: classes that items may hold beside LangGraph's, LangChain's and Python's; a put refuses others.
        patience: how long to wait for a sidecar that is away.
    """

    __slots__ = ("_codec", "_store")

    def __init__(
        self,
        store: str,
        *,
        address: str | None = None,
        allowed_types: Iterable[type] = (),
        patience: Patience | None = None,
    ) -> None:
        self._store = StateStore(store, address=address, patience=patience or Patience())
        self._codec = Codec(OwnTypesSerializer(allowed_types), owner="DaprStore")

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        """Carry out operations: reads see what was before the batch, and of several puts of an item the last counts."""
        batch = list(ops)
        found = {place: run(self._read(op)) for place, op in _reads(batch).items()}
        for put in _last_puts(batch):
            run(self._put(put))
        return [found.get(place) for place in range(len(batch))]

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        """Carry out operations as `batch` does, the reads side by side and then the puts."""
        batch = list(ops)
        reads = _reads(batch)
        results = await asyncio.gather(*(arun(self._read(op)) for op in reads.values()))
        await asyncio.gather(*(arun(self._put(put)) for put in _last_puts(batch)))
        found = dict(zip(reads, results, strict=True))
        return [found.get(place) for place in range(len(batch))]

    def close(self) -> None:
        """Close the connection to the sidecar."""
        self._store.close()

    def _read(self, op: _Read) -> Steps[Result]:
        match op:
            case GetOp():
                return self._get(op)
            case SearchOp():
                return self._search(op)
            case ListNamespacesOp():
                return self._list_namespaces(op)

    def _get(self, op: GetOp) -> Steps[Result]:
        return next((yield from self._items([(op.namespace, op.key)])), None)

    def _put(self, op: PutOp) -> Steps[None]:
        return self._delete(op.namespace, op.key) if op.value is None else self._save(op)

    def _save(self, op: PutOp) -> Steps[None]:
        what = f"item {op.key!r} of {op.namespace!r}"
        # As LangGraph's own store has it. What is no dictionary, or cannot be read back, would fail every search that
        # comes across it.
        value = dict(op.value or {})
        self._codec.load(self._codec.dump(value, what=what), what=what)
        for depth in range(len(op.namespace)):
            yield from self._add_child(op.namespace[:depth], op.namespace[depth])
        item, node = item_key(op.namespace, op.key), node_key(op.namespace)
        now = datetime.now(UTC).isoformat()

        def decide(found: Mapping[str, Document]) -> list[Write]:
            old = self._node(found.get(node))
            created = self._codec.load_plain(found[item].data)["created_at"] if item in found else now
            data = self._codec.dump({"value": value, "created_at": created, "updated_at": now}, what=what)
            listed = self._node_write(node, old.children, {**(old.items or {}), op.key: now}, found)
            # The item is guarded too: the later of two puts in a race is the one that stays.
            return [listed, Write(item, data, _guard(found, item))]

        yield from self._store.update([item, node], decide, at_once=True)

    def _delete(self, namespace: Namespace, key: str) -> Steps[None]:
        item, node = item_key(namespace, key), node_key(namespace)
        deleted: str | None = None

        def decide(found: Mapping[str, Document]) -> list[Write]:
            nonlocal deleted
            old = self._node(found.get(node))
            entry = (old.items or {}).get(key)
            if item in found:
                deleted = entry
            elif entry is None or entry != deleted:
                # An entry of another time is that of a put on its way, which needs it.
                return []
            items = {each: time for each, time in (old.items or {}).items() if each != key}
            gone = [Write(item, None, found[item].etag)] if item in found else []
            return [*gone, self._node_write(node, old.children, items, found)]

        yield from self._store.update([item, node], decide, at_once=True)

    def _search(self, op: SearchOp) -> Steps[Result]:
        if op.query:
            raise NotImplementedError("DaprStore has no semantic search: search by namespace and filter")
        entries: list[tuple[str, Namespace, str]] = []
        for namespace, node in (yield from self._walk(op.namespace_prefix)):
            entries += [(time, namespace, key) for key, time in (node.items or {}).items()]
        spots = [(namespace, key) for _, namespace, key in sorted(entries, reverse=True)]
        # A negative bound counts from the end.
        wanted = op.offset + op.limit if min(op.offset, op.limit) >= 0 else len(spots)
        found: list[Item] = []
        for start in range(0, len(spots), _ITEMS_AT_ONCE):
            items = yield from self._items(spots[start : start + _ITEMS_AT_ONCE])
            matching = (item for item in items if meets(item.value, op.filter or {}))
            found += islice(matching, wanted - len(found))
            if len(found) == wanted:
                break
        return [_search_item(item) for item in found[op.offset : op.offset + op.limit]]

    def _list_namespaces(self, op: ListNamespacesOp) -> Steps[Result]:
        conditions = op.match_conditions or ()
        filled = [namespace for namespace, node in (yield from self._walk(())) if node.items]
        wanted = [namespace for namespace in filled if all(_fits(condition, namespace) for condition in conditions)]
        cut = sorted({namespace[: op.max_depth] for namespace in wanted})
        return cut[op.offset : op.offset + op.limit]

    def _add_child(self, parent: Namespace, label: str) -> Steps[None]:
        key = node_key(parent)

        def decide(found: Mapping[str, Document]) -> list[Write]:
            node = self._node(found.get(key))
            if label in node.children:
                return []
            return [self._node_write(key, (*node.children, label), node.items or {}, found)]

        yield from self._store.update([key], decide)

    def _walk(self, root: Namespace) -> Steps[list[tuple[Namespace, _Node]]]:
        """Read the nodes at and below a namespace, a level at a time."""
        seen: list[tuple[Namespace, _Node]] = []
        level = [root]
        while level:
            found = yield from self._store.read([node_key(namespace) for namespace in level])
            nodes = [(namespace, self._node(found.get(node_key(namespace)))) for namespace in level]
            seen += nodes
            level = [(*namespace, label) for namespace, node in nodes for label in node.children]
        return seen

    def _items(self, spots: Sequence[tuple[Namespace, str]]) -> Steps[Iterator[Item]]:
        """Read items; one that is listed and not there was deleted, or its put is not done."""
        found = yield from self._store.read([item_key(*spot) for spot in spots])
        return (self._item(*spot, found[item_key(*spot)]) for spot in spots if item_key(*spot) in found)

    def _item(self, namespace: Namespace, key: str, document: Document) -> Item:
        return Item(namespace=namespace, key=key, **self._codec.load(document.data))

    def _node(self, document: Document | None) -> _Node:
        if document is None:
            return _Node()
        record = self._codec.load(document.data)
        return _Node(children=tuple(record["children"]), items=record["items"])

    def _node_write(
        self, key: str, children: Sequence[str], items: Mapping[str, str], found: Mapping[str, Document]
    ) -> Write:
        data = self._codec.dump({"children": list(children), "items": dict(items)}, what="a namespace")
        return Write(key, data, _guard(found, key))


def _reads(ops: Iterable[Op]) -> dict[int, _Read]:
    """The reads among some operations, by place."""
    return {place: op for place, op in enumerate(ops) if not isinstance(op, PutOp)}


def _last_puts(ops: Iterable[Op]) -> Iterable[PutOp]:
    """The last put of each item; a deletion is a put too."""
    return {(op.namespace, op.key): op for op in ops if isinstance(op, PutOp)}.values()


def _guard(found: Mapping[str, Document], key: str) -> str:
    return found[key].etag if key in found else ABSENT


def _search_item(item: Item) -> SearchItem:
    return SearchItem(item.namespace, item.key, item.value, item.created_at, item.updated_at)


def _fits(condition: MatchCondition, namespace: Namespace) -> bool:
    path = condition.path
    if len(namespace) < len(path):
        return False
    part = namespace[: len(path)] if condition.match_type == "prefix" else namespace[len(namespace) - len(path) :]
    return all(wanted in ("*", label) for wanted, label in zip(path, part, strict=True))
