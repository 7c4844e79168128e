"""Retries, timeouts, caches, error handlers, and failures that nothing catches."""

from __future__ import annotations

from typing import Any

from langgraph.cache.memory import InMemoryCache
from langgraph.errors import NodeError
from langgraph.graph import START, StateGraph
from langgraph.types import CachePolicy, Command, RetryPolicy

from tests.parity.shape import AnyGraph, Ask, Edit, Shape, fails_times
from tests.parity.shapes.flow import Words, say, talk

_AT_ONCE = RetryPolicy(initial_interval=0.001, max_attempts=3, jitter=False, retry_on=ValueError)


def fragile(times: int, error: Exception | None = None):
    """Return a node that fails so many times."""
    maybe_fail = fails_times(times, error or ValueError("not yet"))

    async def try_it(_: Words) -> Words:
        maybe_fail()
        return {"words": ["at last"]}

    return try_it


def retry_that_helps() -> AnyGraph:
    graph = talk("before", "after")
    graph.add_node("fragile", fragile(2), retry_policy=_AT_ONCE)
    graph.add_edge(START, "before")
    graph.add_edge("before", "fragile")
    graph.add_edge("fragile", "after")
    return graph.compile()


def retry_beside_other_nodes() -> AnyGraph:
    graph = talk("beside", "join")
    graph.add_node("fragile", fragile(2), retry_policy=[_AT_ONCE])
    graph.add_edge(START, "beside")
    graph.add_edge(START, "fragile")
    graph.add_edge(["beside", "fragile"], "join")
    return graph.compile()


def retry_that_is_used_up() -> AnyGraph:
    graph = talk("after")
    graph.add_node("fragile", fragile(3), retry_policy=_AT_ONCE)
    graph.add_edge(START, "fragile")
    graph.add_edge("fragile", "after")
    return graph.compile()


def retry_that_does_not_apply() -> AnyGraph:
    graph = StateGraph(Words)
    graph.add_node("fragile", fragile(1, KeyError("other")), retry_policy=_AT_ONCE)
    graph.add_edge(START, "fragile")
    return graph.compile()


def timeout_that_passes() -> AnyGraph:
    graph = StateGraph(Words)
    graph.add_node("quick", say("quick"), timeout=30)
    graph.add_edge(START, "quick")
    return graph.compile()


def cached_nodes() -> AnyGraph:
    async def measure(state: Words) -> Words:
        return {"count": len(state["words"])}

    graph = talk("beside")
    graph.add_node("measure", measure, cache_policy=CachePolicy(key_func=lambda _: "the one key"))
    graph.add_edge(START, "measure")
    graph.add_edge(START, "beside")
    return graph.compile(cache=InMemoryCache())


def error_handler() -> AnyGraph:
    async def comfort(_: Words, error: NodeError) -> Words:
        return {"words": [f"{error.node} failed with {error.error!r}"]}

    graph = talk("after")
    graph.add_node("fragile", fragile(1), error_handler=comfort)
    graph.add_edge(START, "fragile")
    graph.add_edge("fragile", "after")
    return graph.compile()


def error_handler_after_retries() -> AnyGraph:
    async def comfort(_: Words, error: NodeError) -> Words:
        return {"words": [f"gave up on {error.node}"]}

    graph = talk("beside", "join")
    graph.add_node("fragile", fragile(3), retry_policy=_AT_ONCE, error_handler=comfort)
    graph.add_edge(START, "fragile")
    graph.add_edge(START, "beside")
    graph.add_edge(["fragile", "beside"], "join")
    return graph.compile()


def error_handler_that_goes_elsewhere() -> AnyGraph:
    async def comfort(_: Words, error: NodeError) -> Command[Any]:
        return Command(goto="rescue", update={"words": [str(error.error)]})

    graph = talk("rescue")
    graph.add_node("fragile", fragile(1), error_handler=comfort)
    graph.add_edge(START, "fragile")
    return graph.compile()


def error_handler_that_fails() -> AnyGraph:
    async def comfort(_: Words, error: NodeError) -> Words:
        raise LookupError(f"no comfort for {error.node}")

    graph = StateGraph(Words)
    graph.add_node("fragile", fragile(1), error_handler=comfort)
    graph.add_edge(START, "fragile")
    return graph.compile()


def error_handler_of_the_graph() -> AnyGraph:
    async def comfort(_: Words, error: NodeError) -> Words:
        return {"words": [f"the graph comforts {error.node}"]}

    graph = talk("after")
    graph.set_node_defaults(error_handler=comfort)
    graph.add_node("fragile", fragile(1))
    graph.add_edge(START, "fragile")
    graph.add_edge("fragile", "after")
    return graph.compile()


def failure_that_passes() -> AnyGraph:
    graph = talk("before", "after")
    graph.add_node("fragile", fragile(1))
    graph.add_edge(START, "before")
    graph.add_edge("before", "fragile")
    graph.add_edge("fragile", "after")
    return graph.compile()


def failure_twice() -> AnyGraph:
    graph = talk("before")
    graph.add_node("fragile", fragile(2, ZeroDivisionError("division by zero")))
    graph.add_edge(START, "before")
    graph.add_edge("before", "fragile")
    return graph.compile()


def failure_given_up_for_a_new_input() -> AnyGraph:
    return failure_that_passes()


def failure_mended_by_hand() -> AnyGraph:
    return failure_that_passes()


def failure_beside_a_node_that_is_done() -> AnyGraph:
    graph = talk("beside", "join")
    graph.add_node("fragile", fragile(1))
    graph.add_edge(START, "beside")
    graph.add_edge(START, "fragile")
    graph.add_edge(["beside", "fragile"], "join")
    return graph.compile()


def condition_that_fails() -> AnyGraph:
    maybe_fail = fails_times(1, RuntimeError("cannot decide"))

    def decide(_: Words) -> str:
        maybe_fail()
        return "after"

    graph = talk("a", "after")
    graph.add_edge(START, "a")
    graph.add_conditional_edges("a", decide, ["after"])
    return graph.compile()


def conflicting_writes() -> AnyGraph:
    async def write(_: Words) -> Words:
        return {"count": 1}

    graph = StateGraph(Words)
    graph.add_node("left", write)
    graph.add_node("right", write)
    graph.add_edge(START, "left")
    graph.add_edge(START, "right")
    return graph.compile()


def write_to_a_channel_that_is_not_there() -> AnyGraph:
    async def write(_: Words) -> Any:
        return {"nothing": 1}

    graph = StateGraph(Words)
    graph.add_node("write", write)
    graph.add_edge(START, "write")
    return graph.compile()


def node_that_returns_no_update() -> AnyGraph:
    async def write(_: Words) -> Any:
        return "a string"

    graph = StateGraph(Words)
    graph.add_node("write", write)
    graph.add_edge(START, "write")
    return graph.compile()


_IN = Ask({"words": ["in"]})
_ON = Ask(None)

SHAPES = (
    *(
        Shape(build=build, script=[_IN])
        for build in (
            retry_that_helps,
            retry_beside_other_nodes,
            timeout_that_passes,
            error_handler,
            error_handler_after_retries,
            error_handler_that_goes_elsewhere,
            error_handler_that_fails,
            error_handler_of_the_graph,
            conflicting_writes,
            write_to_a_channel_that_is_not_there,
            node_that_returns_no_update,
        )
    ),
    *(
        Shape(build=build, script=[_IN, _ON])
        for build in (
            retry_that_is_used_up,
            retry_that_does_not_apply,
            failure_that_passes,
            failure_beside_a_node_that_is_done,
            condition_that_fails,
        )
    ),
    Shape(build=cached_nodes, script=[_IN, Ask({"words": ["again"]})]),
    Shape(build=failure_twice, script=[_IN, _ON, _ON]),
    Shape(build=failure_given_up_for_a_new_input, script=[_IN, Ask({"words": ["again"]})]),
    Shape(build=failure_mended_by_hand, script=[_IN, Edit({"words": ["by hand"]}, as_node="fragile"), _ON]),
)
