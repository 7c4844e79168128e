"""LangGraph's store on a real daprd, compared with LangGraph's own."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from langgraph.store.base import BaseStore, GetOp, ListNamespacesOp, MatchCondition, Op, PutOp, SearchOp
from langgraph.store.memory import InMemoryStore
from pydantic import BaseModel

from dapr_bridge import DaprStore, ValueNotKeptError
from dapr_bridge.saver.effects import run
from dapr_bridge.testing import Sidecar
from tests.kit.stores import ALL_STORES

pytestmark = pytest.mark.anyio


@pytest.fixture(params=ALL_STORES)
def store(request: pytest.FixtureRequest, stores_sidecar: Sidecar) -> Iterator[DaprStore]:
    with DaprStore(request.param, address=stores_sidecar.address) as opened:
        yield opened


def fill(store: BaseStore) -> None:
    for number in range(5):
        store.put(("customers", "c1", "tickets"), f"t{number}", {"number": number, "plan": {"name": "basic"}})
    store.put(("customers", "c2", "tickets"), "t9", {"number": 9, "plan": {"name": "pro"}})
    store.put(("other",), "x", {"number": 1})


FILTERS = [None, {"number": 3}, {"number": {"$gte": 3}}, {"number": {"$ne": 1}}, {"plan": {"name": "pro"}}]


@pytest.mark.parametrize("wanted", FILTERS)
def test_a_search_finds_what_the_memory_store_finds(store: DaprStore, wanted: dict[str, object] | None) -> None:
    memory = InMemoryStore()
    fill(memory)
    fill(store)

    found = {(item.namespace, item.key) for item in store.search(("customers",), filter=wanted)}

    assert found == {(item.namespace, item.key) for item in memory.search(("customers",), filter=wanted)}


VALUES: dict[str, dict[str, Any]] = {
    "full": {"n": 1, "s": "10", "l": [1, 2], "o": [{"a": 1, "b": 2}], "t": None, "d": {"x": {"y": 1}, "z": 2}},
    "other": {"n": 5.5, "s": "9", "l": [1, 2, 3], "o": [{"a": 2}], "t": 0, "d": {"x": 1}},
    "text": {"n": "3", "s": 7, "l": "12", "o": {"a": 1}, "t": "", "d": None},
    "flags": {"n": True, "s": "7.0", "l": [], "o": [], "t": False, "d": {}, "$eq": 1},
    "pair": {"n": -1, "s": "-1", "l": ["1", 2], "o": [{"a": 1}], "t": [], "d": {"x": {"y": None}}},
}
NARROW: list[dict[str, Any]] = [
    {},
    {"zz": {"$ne": 1}},
    {"zz": None},
    {"zz": {"$eq": None}},
    {"zz": {}},
    {"t": None},
    {"t": {"$eq": None}},
    {"t": {"$ne": None}},
    {"t": 0},
    {"n": True},
    {"n": {"$ne": 1}},
    {"n": {"$gt": 0, "$lt": 3}},
    {"n": {"$gt": "0"}},
    {"n": {"$gte": True}},
    {"n": {}},
    {"n": 1, "s": "10"},
    {"s": {"$gt": "5"}},
    {"s": {"$gt": 5}},
    {"s": {"$lte": 9}},
    {"s": "7.0"},
    {"l": (1, 2)},
    {"l": [1, 2]},
    {"l": []},
    {"l": [{"$gt": 0}, {"$lt": 9}]},
    {"l": {"$eq": [1, 2]}},
    {"l": {"$eq": (1, 2)}},
    {"o": [{"a": 1}]},
    {"o": ({"a": {"$ne": 1}},)},
    {"o": {"a": 1}},
    {"d": {"x": {"y": 1}}},
    {"d": {"x": {"y": None}}},
    {"d": {"x": {"y": {"$ne": 1}}}},
    {"d": {"$eq": {}}},
    {"$eq": 1},
]
REFUSED: list[dict[str, Any]] = [
    {"n": {"$bad": 1}},
    {"n": {"$eq": 1, "x": 2}},
    {"l": [{"$bad": 1}, 2]},
    {"s": {"$gt": "five"}},
    {"s": {"$ne": "10", "$x": 1}},
]


def outcome(store: BaseStore, wanted: dict[str, Any]) -> set[str] | type[ValueError]:
    try:
        return {item.key for item in store.search(("filters",), filter=wanted)}
    except ValueError:
        return ValueError


def test_a_filter_means_what_it_means_to_the_memory_store(store: DaprStore) -> None:
    memory = InMemoryStore()
    for key, value in VALUES.items():
        memory.put(("filters",), key, value)
        store.put(("filters",), key, value)

    filters = [*NARROW, *REFUSED]
    found = [(wanted, outcome(store, wanted)) for wanted in filters]

    assert found == [(wanted, outcome(memory, wanted)) for wanted in filters]
    assert [wanted for wanted, result in found if result is ValueError] == REFUSED


@pytest.mark.parametrize("name", ["$gt", "$gte", "$lt", "$lte"])
def test_an_ordered_filter_passes_over_items_that_lack_the_value(store: DaprStore, name: str) -> None:
    store.put(("ordered",), "has", {"n": 1})
    store.put(("ordered",), "lacks", {"m": 1})

    assert [item.key for item in store.search(("ordered",), filter={"n": {name: 1}})] == ["has"] * ("e" in name)


def test_the_newest_come_first_and_are_paged(store: DaprStore) -> None:
    fill(store)

    assert [item.key for item in store.search(("customers", "c1"), limit=2)] == ["t4", "t3"]
    assert [item.key for item in store.search(("customers", "c1"), limit=2, offset=2)] == ["t2", "t1"]


def test_namespaces_are_listed_as_the_memory_store_lists_them(store: DaprStore) -> None:
    memory = InMemoryStore()
    fill(memory)
    fill(store)

    assert store.list_namespaces(prefix=("customers",)) == memory.list_namespaces(prefix=("customers",))
    assert store.list_namespaces(prefix=("customers",), max_depth=1) == [("customers",)]
    assert store.list_namespaces(max_depth=0) == memory.list_namespaces(max_depth=0)
    assert store.list_namespaces(suffix=("tickets",)) == memory.list_namespaces(suffix=("tickets",))


def test_a_deleted_item_is_gone_and_an_overwritten_one_keeps_its_birth(store: DaprStore) -> None:
    store.put(("d",), "k", {"n": 1})
    born = store.get(("d",), "k")
    store.put(("d",), "k", {"n": 2})
    later = store.get(("d",), "k")
    store.delete(("d",), "k")

    assert born is not None
    assert later is not None
    assert (later.value, later.created_at) == ({"n": 2}, born.created_at)
    assert store.get(("d",), "k") is None
    assert store.search(("d",)) == []


async def test_puts_side_by_side_are_all_found(store: DaprStore) -> None:
    await asyncio.gather(*(store.aput(("race", str(n % 3)), f"k{n}", {"n": n}) for n in range(12)))

    assert sorted(item.value["n"] for item in await store.asearch(("race",), limit=50)) == list(range(12))


BATCH: list[Op] = [
    PutOp(("batch",), "old", {"n": 1}),
    GetOp(("batch",), "old"),
    *(PutOp(("batch",), f"twice{n}", {"n": time}) for time in range(2) for n in range(5)),
    *(PutOp(("batch",), f"gone{n}", {"n": n}) for n in range(5)),
    *(PutOp(("batch",), f"gone{n}", None) for n in range(5)),
    *(PutOp(("batch",), f"back{n}", value) for value in (None, {"n": 7}) for n in range(5)),
    SearchOp(("batch",)),
    ListNamespacesOp((MatchCondition("prefix", ("batch",)),)),
]


def contents(store: BaseStore, label: str) -> dict[str, Any]:
    """What a search of a namespace finds, by key."""
    return {item.key: item.value for item in store.search((label,), limit=50)}


def answers(results: Sequence[Any]) -> list[Any]:
    """What a batch has answered, without times."""
    return [
        [each if isinstance(each, tuple) else (each.key, each.value) for each in result]
        if isinstance(result, list)
        else result and result.value
        for result in results
    ]


@pytest.mark.parametrize("is_async", [True, False])
async def test_a_batch_reads_what_was_before_it_and_the_last_put_of_an_item_counts(
    store: DaprStore, is_async: bool
) -> None:
    memory = InMemoryStore()
    for each in (memory, store):
        for item in each.search(("batch",), limit=50):
            each.delete(item.namespace, item.key)
        each.put(("batch",), "old", {"n": 0})

    results = await store.abatch(BATCH) if is_async else store.batch(BATCH)

    assert answers(results) == answers(memory.batch(BATCH))
    assert contents(store, "batch") == contents(memory, "batch")
    assert store.get(("batch",), "gone1") is None
    assert contents(store, "batch")["twice1"] == {"n": 1}


class Note(BaseModel):
    """A class of one's own."""

    text: str


def test_a_put_refuses_a_type_that_could_not_be_read_back_and_the_rest_is_found(store: DaprStore) -> None:
    store.put(("types", "a"), "plain", {"n": 1})

    with pytest.raises(ValueNotKeptError, match=r"'note' of .* holds .*Note; pass it to DaprStore\(allowed_types"):
        store.put(("types", "b"), "note", {"note": Note(text="x")})

    assert contents(store, "types") == {"plain": {"n": 1}}
    assert store.get(("types", "b"), "note") is None


@pytest.mark.parametrize("value", ["text", 5, [1], [("number", 3)]], ids=str)
def test_a_put_takes_what_the_memory_store_takes_and_the_rest_is_found(store: DaprStore, value: Any) -> None:
    found: list[object] = []
    for each in (InMemoryStore(), store):
        each.put(("odd",), "good", {"number": 1})
        try:
            each.put(("odd",), "odd", value)
        except (TypeError, ValueError) as error:
            found += [type(error)]
        found += [{item.key: item.value for item in each.search(("odd",), filter={"number": {"$gte": 1}})}]
        each.delete(("odd",), "odd")

    assert found[: len(found) // 2] == found[len(found) // 2 :]


def test_an_allowed_type_is_kept_and_a_store_that_does_not_know_it_can_replace_it(store: DaprStore) -> None:
    name, address = store._store.name, store._store.address
    with DaprStore(name, address=address, allowed_types=[Note]) as knowing:
        knowing.put(("allowed",), "note", {"note": Note(text="x")})
        assert contents(knowing, "allowed") == {"note": {"note": Note(text="x")}}

    with pytest.raises(ValueNotKeptError, match=r"DaprStore\(allowed_types"):
        store.get(("allowed",), "note")
    store.put(("allowed",), "note", {"note": "y"})

    assert contents(store, "allowed") == {"note": {"note": "y"}}


@contextmanager
def watched(store: DaprStore, watch: Callable[[Any], None]) -> Iterator[DaprStore]:
    """A store on the same documents, each request of which is looked at before it is sent."""
    with DaprStore(store._store.name, address=store._store.address) as opened:
        calls = opened._store._calls
        start = calls.start

        def watch_and_start(method: Any, request: Any) -> Any:
            watch(request)
            return start(method, request)

        calls.start = watch_and_start
        yield opened


class KilledError(Exception):
    """The process has ended."""


SMALL, LARGE, LARGER = {"n": 1}, {"n": "2" * 1_500_000}, {"n": "3" * 4_000_000}
CHANGES: dict[str, tuple[dict[str, Any] | None, dict[str, Any] | None]] = {
    "created": (None, SMALL),
    "created-large": (None, LARGER),
    "overwritten": (SMALL, {"n": 2}),
    "overwritten-large": (LARGER, LARGE),
    "grown": (SMALL, LARGER),
    "deleted": (SMALL, None),
    "deleted-large": (LARGER, None),
}


def is_cut_short(store: DaprStore, op: PutOp, *, after: int) -> bool:
    """Put from a process that ends when it has sent so many requests; tells whether they were too few."""
    sent = itertools.count()

    def die(_: Any) -> None:
        if next(sent) >= after:
            raise KilledError

    with watched(store, die) as other:
        try:
            other.batch([op])
        except KilledError:
            return True
    return False


@pytest.mark.parametrize("change", CHANGES)
def test_a_put_that_is_cut_short_anywhere_leaves_the_old_or_the_new_and_what_is_got_is_found(
    store: DaprStore, change: str
) -> None:
    old, new = CHANGES[change]
    for after in itertools.count():
        namespace = ("cut", change, str(after))
        store.batch([PutOp(namespace, "k", old)])

        is_cut = is_cut_short(store, PutOp(namespace, "k", new), after=after)

        got = store.get(namespace, "k")
        assert (got and got.value) in ((old, new) if is_cut else (new,))
        # There is no other item here, but for entries of what was cut short before.
        assert [item.value for item in store.search(namespace[:2], limit=1)] == ([got.value] if got else [])
        store.put(namespace, "k", SMALL)
        store.delete(namespace, "k")
        assert store.search(namespace[:2]) == []
        if not is_cut:
            break


async def test_after_puts_and_deletes_side_by_side_a_search_finds_what_is_got(store: DaprStore) -> None:
    with DaprStore(store._store.name, address=store._store.address) as other:
        both = itertools.cycle([store, other])
        values = [None if n % 3 == 2 else {"n": n} for n in range(24)]
        puts = [next(both).abatch([PutOp(("mixed",), f"k{n % 4}", value)]) for n, value in enumerate(values)]
        await asyncio.gather(*puts)

    got = {f"k{n}": await store.aget(("mixed",), f"k{n}") for n in range(4)}
    assert contents(store, "mixed") == {key: item.value for key, item in got.items() if item}
    for key in got:
        await store.adelete(("mixed",), key)
    assert ("mixed",) not in await store.alist_namespaces()


def keys_of(request: Any) -> list[str]:
    """What a request reads or writes."""
    pairs = getattr(request, "states", None) or [each.request for each in getattr(request, "operations", ())]
    return [*getattr(request, "keys", ()), *(pair.key for pair in pairs)]


def stored_parts(store: DaprStore, keys: Iterable[str]) -> set[str]:
    """Those of some keys that are of parts, and there."""
    parts = sorted({key for key in keys if "/part/" in key})
    return set(run(store._store._read_raw(parts)))


def test_no_parts_of_a_large_item_remain_when_it_is_overwritten_or_deleted(store: DaprStore) -> None:
    keys: set[str] = set()
    with watched(store, lambda request: keys.update(keys_of(request))) as writer:
        for value in (LARGER, {"n": "4" * 3_500_000}, LARGE, LARGER):
            writer.put(("leak",), "k", value)
        assert store.get(("leak",), "k").value == LARGER
        assert len(stored_parts(store, keys)) == 4

        writer.put(("leak",), "k", SMALL)
        assert stored_parts(store, keys) == set()
        writer.put(("leak",), "k", LARGE)
        writer.delete(("leak",), "k")

    assert len({key for key in keys if "/part/" in key}) == 4 + 4 + 2 + 4 + 2
    assert stored_parts(store, keys) == set()


async def test_no_parts_remain_of_large_items_that_are_put_and_deleted_side_by_side(store: DaprStore) -> None:
    keys: set[str] = set()
    with watched(store, lambda request: keys.update(keys_of(request))) as writer:
        values = [{"n": str(n) * 1_500_000} if n % 3 else None for n in range(9)]
        await asyncio.gather(*(writer.abatch([PutOp(("leaks",), "k", value)]) for value in values))
        found = await store.aget(("leaks",), "k")
        assert len(stored_parts(store, keys)) == (2 if found else 0)
        await writer.adelete(("leaks",), "k")

    assert stored_parts(store, keys) == set()


def test_no_parts_of_a_large_namespace_remain_when_it_changes(store: DaprStore) -> None:
    keys: set[str] = set()
    with watched(store, lambda request: keys.update(keys_of(request))) as writer:
        for n in range(14):
            writer.put(("many",), f"{n}" + "k" * 100_000, {"n": n})

    assert sorted(item.value["n"] for item in store.search(("many",), limit=50)) == list(range(14))
    assert len({key for key in keys if key.startswith("lg/N/many/part/")}) > 2
    assert len(stored_parts(store, keys)) == 2


@pytest.mark.parametrize("new", [LARGE, SMALL, None])
def test_a_reader_whose_item_is_replaced_while_it_reads_it_gets_what_replaced_it(
    store: DaprStore, new: dict[str, Any] | None
) -> None:
    store.put(("reread",), "k", LARGER)
    replaced: list[str] = []

    def replace(request: Any) -> None:
        if not replaced and any("/part/" in key for key in keys_of(request)):
            replaced.extend(keys_of(request))
            store.batch([PutOp(("reread",), "k", new)])

    with watched(store, replace) as reader:
        got = reader.get(("reread",), "k")

    assert replaced
    assert (got and got.value) == new


def test_a_question_in_words_is_refused(store: DaprStore) -> None:
    with pytest.raises(NotImplementedError, match="no semantic search"):
        store.search(("a",), query="what?")
