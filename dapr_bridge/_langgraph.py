"""What the bridge relies on in LangGraph beyond its documented names.

All of it stands here. `test_langgraph_assumptions.py` and `test_tool_artifacts.py`, in `tests/unit/dapr_bridge`, test
each, and say what broke when a release of LangGraph changes it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Generator, Mapping
from dataclasses import dataclass
from functools import cache
from types import FunctionType
from typing import Any, Self, cast

import ormsgpack
from langchain_core.callbacks import AsyncCallbackManager
from langchain_core.messages import ToolMessage
from langchain_core.runnables import RunnableConfig
from langgraph._internal._config import (
    DEFAULT_RECURSION_LIMIT,
    ensure_config,
    get_async_callback_manager_for_config,
    merge_configs,
)
from langgraph.checkpoint.base import CheckpointTuple
from langgraph.checkpoint.serde import jsonplus
from langgraph.constants import TAG_HIDDEN
from langgraph.pregel import NodeBuilder, Pregel
from langgraph.pregel._loop import PregelLoop
from langgraph.pregel._read import PregelNode
from langgraph.pregel.protocol import StreamProtocol
from langgraph.runtime import Runtime
from langgraph.store.base import BaseStore
from langgraph.types import GraphOutput, Send

# What LangGraph puts into the config of a task.
_TASK, _RUNTIME, _SCRATCHPAD = "__pregel_task_id", "__pregel_runtime", "__pregel_scratchpad"

# Its default is told from the same number that somebody has given.
_DEFAULT_LIMIT = type(DEFAULT_RECURSION_LIMIT)

NO_WRITES = "__no_writes__"
"""Channel by which a task says that it has run and written nothing; a task with such a write is not run again."""

INTERRUPT = "__interrupt__"
"""Channel of the questions that a task has asked."""

RESUME = "__resume__"
"""Channel of the answers that a task has read, in the order of its questions."""

ERROR = "__error__"
"""Channel of a task's exception."""

ERROR_SOURCE = "__error_source_node__"
"""Channel that hands a failed task to its node's error handler."""

CONTROL = frozenset({INTERRUPT, RESUME, ERROR, ERROR_SOURCE, "__scheduled__"})
"""Channels that tell what happened to a task; a write to any other one is its output."""

TASKS = "__pregel_tasks"
"""Channel of the Sends that become tasks of the next superstep, in their order."""

IDLE = "__dapr_bridge_idle__"

_BRANCH, _JOIN = "branch:to:", "join:"
_LEVEL = "|"

_STREAM_KEY = "__pregel_stream"
_RUNTIME_KEY = "__pregel_runtime"
_RESUMING_KEY = "__pregel_resuming"
_SAVING = "_put_checkpoint_fut"


class StepMade(int):
    """The step of a checkpoint from which a loop goes on that had made some steps before its worker was killed.

    A loop begins at the step after, and adds its recursion limit to that, for the last step that it allows; managed
    values such as `RemainingSteps` are read from the sum. What the loop had made before is taken off.
    """

    _made: int

    def __new__(cls, step: int, *, made: int) -> Self:
        """Say how many steps a loop had made up to this one; they may be more than its limit."""
        told = super().__new__(cls, step)
        told._made = made
        return told

    def __add__(self, more: int) -> int:
        return _FirstStep(int(self) + more, made=self._made)

    def __reduce__(self) -> tuple[type[int], tuple[int]]:
        """Let it be copied, as the plain step that it is to all others."""
        return int, (int(self),)


class _FirstStep(StepMade):
    """The step at which a loop begins; the first that is added to it is the loop's limit."""

    def __add__(self, more: int) -> int:
        made, self._made = self._made, 0
        return int(self) + more - made


class KeepingSerializer(jsonplus.JsonPlusSerializer):
    """LangGraph's serializer, but what a tool hands over beside its message, its artifact, comes back with its types.

    LangGraph saves a message as pydantic dumps it, which makes plain data of an artifact. And a set with tuples comes
    back as it was, where LangGraph makes a list of lists of it. Each reads what the other has written.
    """

    def dumps_typed(self, obj: Any) -> tuple[str, bytes]:
        """Serialize a value; returns how, and its bytes."""
        return self.dumped(obj)[0]

    def dumped(self, obj: Any) -> tuple[tuple[str, bytes], bool]:
        """Serialize a value; returns also whether a set in it will be a list: one of tuples that are no keys."""
        if obj is None or isinstance(obj, bytes | bytearray):
            return super().dumps_typed(obj), False
        # A class of one's own may serialize something itself while it is asked for its fields.
        around, _lost.is_any = _lost.is_any, False
        try:
            return ("msgpack", _encoder()(obj)), _lost.is_any
        finally:
            _lost.is_any = around


class _LostSets(threading.local):
    is_any = False


_lost = _LostSets()


@cache
def _encoder() -> Callable[[Any], bytes]:
    """Return LangGraph's encoder, but for artifacts and for sets with tuples, however deep they stand."""
    names = dict(vars(jsonplus))
    encode = FunctionType(names["_msgpack_enc"].__code__, names)
    encode_others = FunctionType(names["_msgpack_default"].__code__, names)

    def encode_type(value: Any) -> Any:
        kind = type(value)
        if isinstance(value, ToolMessage) and value.artifact is not None:
            fields = {**value.model_dump(exclude={"artifact"}), "artifact": value.artifact}
            parts = (kind.__module__, kind.__name__, fields, "model_validate_json")
            return ormsgpack.Ext(jsonplus.EXT_PYDANTIC_V2, encode(parts))
        if isinstance(value, set | frozenset) and any(type(each) is tuple for each in cast("frozenset[object]", value)):
            if all(map(_is_key, cast("frozenset[object]", value))):
                # Of keys it makes tuples again.
                parts = (kind.__module__, kind.__name__, dict.fromkeys(cast("frozenset[object]", value)))
                return ormsgpack.Ext(jsonplus.EXT_CONSTRUCTOR_SINGLE_ARG, encode(parts))
            _lost.is_any = True
        return encode_others(value)

    # The two call each other by these names.
    names |= {"_msgpack_enc": encode, "_msgpack_default": encode_type}
    return encode


def _is_key(item: object) -> bool:
    """Whether an item of a set can be a key that comes back as it was."""
    if type(item) is tuple:
        return all(map(_is_key, cast("tuple[object, ...]", item)))
    return item is None or type(item) in (str, bytes, int, float, bool)


class _NothingToWaitFor:
    """Stands for the saving of a checkpoint where there is no saver."""

    def result(self) -> None:
        """Wait, in a thread."""

    def __await__(self) -> Generator[Any, Any, None]:
        yield from ()


def mend_sync_durability() -> None:
    """Let a graph without a saver run within one that saves each superstep.

    With `durability="sync"`, which a graph hands on to those in it, LangGraph 1.2.22 waits for a checkpoint to be saved
    also where none is, and finds no attribute of that name.
    """
    if not hasattr(PregelLoop, _SAVING):
        setattr(PregelLoop, _SAVING, _NothingToWaitFor())


def idle_send() -> Send:
    """Return a Send of which LangGraph makes no task; it holds the place of one, for ids of tasks tell places."""
    return Send(IDLE, None)


def nodes_with_idle(graph: Pregel[Any, Any, Any, Any]) -> dict[str, PregelNode]:
    """Return a graph's nodes and that of idle Sends: one that does nothing and writes nothing."""
    return {**graph.nodes, IDLE: _idle_node()}


@cache
def _idle_node() -> PregelNode:
    return NodeBuilder().build().copy({"writers": []})


@dataclass(frozen=True, kw_only=True)
class Called:
    """A node that is called by a channel of a `StateGraph`, at once or when others have ended too."""

    node: str
    is_next: bool


def called_by(channel: str, value: Any) -> Called | None:
    """Return what a channel calls by its saved value; None when it calls nothing."""
    if channel.startswith(_BRANCH):
        return Called(node=channel.removeprefix(_BRANCH), is_next=True)
    if not channel.startswith(_JOIN):
        return None
    starts, _, node = channel.removeprefix(_JOIN).rpartition(":")
    arrived = _arrived(value)
    return Called(node=node, is_next=len("+".join(arrived)) == len(starts)) if arrived else None


def after_write(channel: str, value: Any, written: Any) -> Any:
    """Return the saved value of a channel that calls nodes once a write to it is applied."""
    return {*_arrived(value), written} if channel.startswith(_JOIN) else written


def _arrived(value: Any) -> Collection[str]:
    # A join in front of a deferred node also says whether all others have ended.
    return value[0] if isinstance(value, list | tuple) else value or ()


def listening(config: RunnableConfig, stream: StreamProtocol, *, store: BaseStore | None = None) -> RunnableConfig:
    """Return a config under which LangGraph's loop calls `stream` for each event, at once and in its own thread."""
    # A run that is listened to takes the writer of custom events, and its store, from the runtime of its caller.
    heard = {_STREAM_KEY: stream, _RUNTIME_KEY: Runtime(store=store)}
    return {**config, "configurable": {**config.get("configurable", {}), **heard}}


def heard_alone(config: RunnableConfig) -> None:
    """Leave the loop that reads its checkpoint with this config the only one that is listened to.

    Else the loops in it would be too, and a subgraph whose events nobody asks for would hand on what its nodes write.
    """
    config.get("configurable", {}).pop(_STREAM_KEY, None)


def resuming(config: RunnableConfig, *, is_resumed: bool) -> RunnableConfig:
    """Return a config that says whether subgraphs with a memory of their own go on, or are called anew."""
    return {**config, "configurable": {**config.get("configurable", {}), _RESUMING_KEY: is_resumed}}


def error_handlers(graph: Pregel[Any, Any, Any, Any]) -> Mapping[str, str]:
    """Return the names of error handlers, by the nodes whose failures they handle."""
    return graph.node_error_handler_map


def steps_allowed(graph: Pregel[Any, Any, Any, Any], config: RunnableConfig) -> int:
    """Return the recursion limit under which LangGraph runs a graph."""
    own = graph.config or {}
    return config.get("recursion_limit") or own.get("recursion_limit") or DEFAULT_RECURSION_LIMIT


def bound_with(*configs: RunnableConfig | None) -> RunnableConfig:
    """Return in one what a graph is bound to, and what is added to that."""
    return merge_configs(*configs)


def called_with(*configs: RunnableConfig | None) -> RunnableConfig:
    """Return the config of a call: what it brings, on what it is made within; a recursion limit if one was given."""
    config = ensure_config(*configs)
    if isinstance(config.get("recursion_limit"), _DEFAULT_LIMIT):
        del config["recursion_limit"]
    return config


def callbacks_of(config: RunnableConfig) -> AsyncCallbackManager:
    """Return a call's callbacks, which are told of it what LangGraph tells of its runs: tracers sort them by thread."""
    manager = get_async_callback_manager_for_config(ensure_config(config))
    if "ls_integration" not in manager.metadata:
        manager.add_metadata({"ls_integration": "langgraph"})
    return manager


@dataclass(frozen=True, kw_only=True)
class TaskAround:
    """The task in which a call is made.

    Attributes:
        thread_id: thread of its graph.
        namespace: its own checkpoint namespace.
        attempt: which of its node's attempts it is, by its retry policy.
        mark: the same object for all calls of this execution of the task, of all attempts.
    """

    thread_id: str
    namespace: str
    attempt: int
    mark: object


def task_around(config: RunnableConfig) -> TaskAround | None:
    """Return the task whose config this is, or None when it is no task's."""
    configurable = config.get("configurable", {})
    if _TASK not in configurable:
        return None
    info = configurable[_RUNTIME].execution_info
    return TaskAround(
        thread_id=str(configurable.get("thread_id", "")),
        namespace=configurable.get("checkpoint_ns", ""),
        attempt=info.node_attempt if info else 1,
        mark=configurable[_SCRATCHPAD].get_null_resume,
    )


def is_hidden(graph: Pregel[Any, Any, Any, Any], node: str) -> bool:
    """Tell whether a node is one of LangGraph's own, at which no breakpoint is meant that names none."""
    known = graph.nodes.get(node)
    return known is not None and TAG_HIDDEN in (known.tags or ())


def call_anew(config: RunnableConfig) -> None:
    """Let the loop that reads its checkpoint with this config take its input, though its caller goes on."""
    config.get("configurable", {})[_RESUMING_KEY] = False


def outer_of(namespace: str) -> str:
    """Return the namespace of the graph around a subgraph; empty for that of the root."""
    parts = namespace.split(_LEVEL)
    # Further subgraphs of one task are numbered.
    return _LEVEL.join(parts[: -2 if parts[-1].isdigit() else -1])


def path_of(namespace: str) -> str:
    """Return the names of the nodes in which a subgraph runs, as `get_subgraphs` gives them, from its namespace."""
    return _LEVEL.join(part.partition(":")[0] for part in namespace.split(_LEVEL) if not part.isdigit())


def going_on(found: CheckpointTuple, *, made: int) -> CheckpointTuple:
    """Return a checkpoint for a loop that goes on there with less than its recursion limit.

    Args:
        found: the checkpoint.
        made: how many steps up to it count towards the limit.
    """
    step = StepMade(found.metadata.get("step", -2), made=made)
    return found._replace(metadata={**found.metadata, "step": step}) if made else found


def told(output: Any, *, after: GraphOutput[Any] | None = None) -> GraphOutput[Any]:
    """Tell output and questions apart: LangGraph adds these to a dictionary, or gives them in place of another value.

    Args:
        output: what `ainvoke` has returned, or a `values` event.
        after: what the events before it have told.
    """
    asked = after.interrupts if after else ()
    if not isinstance(output, dict) or INTERRUPT not in output:
        return GraphOutput(output, asked)
    value = {key: each for key, each in output.items() if key != INTERRUPT} or None
    return GraphOutput(value, (*asked, *output[INTERRUPT]))
