"""Calls that are delivered again: graph and subgraphs go on as if the worker that was at them had not died.

LangGraph knows nothing of deliveries. To a loop that finds a checkpoint it is as if its caller went on with it: it
would have its recursion limit anew, pass the breakpoint at which it stands, and, as a subgraph with a memory of its
own, go on where it is to be called anew.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, cast

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver, Checkpoint, CheckpointTuple
from langgraph.constants import START
from langgraph.errors import GraphInterrupt
from langgraph.pregel import Pregel
from langgraph.types import Command

from dapr_bridge._langgraph import call_anew, going_on, outer_of, path_of
from dapr_bridge._payloads import LOST
from dapr_bridge._run_values import RunValues
from dapr_bridge._stops import Looks, alook, has_stopped, look, stands_at_breakpoint
from dapr_bridge._wire import RunRequest
from dapr_bridge.saver import DaprSaver
from dapr_bridge.saver.reading import BY_HAND

Graph = Pregel[Any, Any, Any, Any]


@dataclass(frozen=True, kw_only=True)
class Earlier:
    """What earlier deliveries of a call have come to.

    Attributes:
        made: how many checkpoints they have made.
        has_stopped: whether one has stopped where the thread stands, and only could not say so.
    """

    made: int = 0
    has_stopped: bool = False


def name_of_call(call_id: str, *parts: str) -> str:
    """Return a short name, for each checkpoint has it; a workflow that begins anew numbers its calls anew."""
    name = "/".join((call_id, *parts))
    return hashlib.blake2s(name.encode(), digest_size=8).hexdigest() if call_id else ""


@dataclass(frozen=True, kw_only=True)
class Redelivery:
    """Lets the calls of one graph go on where earlier deliveries have come to.

    Attributes:
        graph: the graph, bound to its saver.
        saver: its saver.
    """

    graph: Graph
    saver: DaprSaver

    async def find(
        self,
        request: RunRequest,
        run_id: str,
        head: CheckpointTuple | None,
        config: RunnableConfig,
        *,
        stood_at: Collection[str],
        may_stop: bool,
    ) -> Earlier:
        """Find out what has been done.

        Args:
            request: what is asked for.
            run_id: the run.
            head: where the thread stands.
            config: LangGraph's.
            stood_at: the checkpoints at which earlier calls of the run have ended.
            may_stop: whether the call goes no further where it has stopped.
        """
        made = await self.saver.amade_before(head, config)
        is_stop = may_stop and await self._has_stopped(request, run_id, head, stood_at)
        return Earlier(made=made, has_stopped=is_stop)

    async def with_input(self, head: CheckpointTuple | None, request: RunRequest) -> CheckpointTuple | None:
        """Return where a thread stands, with the call's input as it was given where that is not applied yet.

        LangGraph's serializer has lost something of it (see `_as_given`).
        """
        is_whole = LOST not in request.input or bool(request.stage or request.answers)
        if is_whole or head is None or START not in head.checkpoint["channel_values"]:
            return head
        given = await RunValues(saver=self.saver).given(request.input, what="the input")
        if isinstance(given, Command):
            return head
        values = {**head.checkpoint["channel_values"], START: given}
        return head._replace(checkpoint=cast("Checkpoint", {**head.checkpoint, "channel_values": values}))

    def subgraphs(self, earlier: Earlier) -> SubgraphReads:
        """Return what reads the checkpoints of subgraphs in this delivery."""
        return SubgraphReads(graph=self.graph, saver=self.saver, is_midway=earlier.made > 0)

    async def _has_stopped(
        self, request: RunRequest, run_id: str, head: CheckpointTuple | None, stood_at: Collection[str]
    ) -> bool:
        began_at = {*stood_at, request.stage.checkpoint_id} if request.stage else stood_at
        if head is None or head.checkpoint["id"] in began_at or head.metadata.get("source") in BY_HAND:
            return False
        if not await self.saver.ais_made_by(run_id, head):
            return False
        # What was asked is asked again for whoever listens, who may not have heard it.
        heeds_questions = request.stream is None
        return await has_stopped(self.graph, head, request.options, heeds_questions=heeds_questions)


_Superstep = tuple[str, frozenset[tuple[str, str]]]
"""A subgraph's namespace, and the checkpoints of the graphs around it."""


@dataclass(frozen=True, kw_only=True)
class SubgraphReads:
    """Reads the checkpoints from which subgraphs go on in one delivery of a call.

    Attributes:
        graph: the graph around them, bound to its saver.
        saver: its saver.
        is_midway: whether an earlier delivery has ended supersteps of that graph.
    """

    graph: Graph
    saver: DaprSaver
    is_midway: bool = False
    _made: dict[_Superstep, int] = field(default_factory=dict[_Superstep, int])

    def read(self, saver: BaseCheckpointSaver[Any], config: RunnableConfig) -> CheckpointTuple | None:
        """Read one, as `aread` does."""
        found = saver.get_tuple(config)
        if not self._is_first(config):
            return found
        made = self.saver.made_before(found, config)
        if made and found and look(self.graph, self._looks(found)):
            raise GraphInterrupt
        return self._from(found, config, made)

    async def aread(self, saver: BaseCheckpointSaver[Any], config: RunnableConfig) -> CheckpointTuple | None:
        """Read one.

        Raises:
            GraphInterrupt: the subgraph stands at a breakpoint, to which an earlier delivery has brought it.
        """
        found = await saver.aget_tuple(config)
        if not self._is_first(config):
            return found
        made = await self.saver.amade_before(found, config)
        if made and found and await alook(self.graph, self._looks(found)):
            raise GraphInterrupt
        return self._from(found, config, made)

    def _is_first(self, config: RunnableConfig) -> bool:
        """Whether this delivery comes to a subgraph for the first time in a superstep; a retry of its node does not."""
        return _superstep(config) not in self._made

    def _from(self, found: CheckpointTuple | None, config: RunnableConfig, made: int) -> CheckpointTuple | None:
        if found and not made and self._is_midway_around(config):
            call_anew(config)
        self._made[_superstep(config)] = made
        return going_on(found, made=made) if found else None

    def _is_midway_around(self, config: RunnableConfig) -> bool:
        """Whether the graph around a subgraph has gone on from where this call has found it.

        Then LangGraph would call anew what has a memory of its own. But it takes the superstep in which a delivery
        goes on for the one in which its call does, where such a subgraph goes on, whatever it is given.
        """
        namespace, around = _superstep(config)
        outer = outer_of(namespace)
        if not outer:
            return self.is_midway
        rest = frozenset(each for each in around if each[0] != outer)
        return self._made.get((outer, rest), 0) > 0

    def _looks(self, found: CheckpointTuple) -> Looks:
        path = path_of(found.config.get("configurable", {})["checkpoint_ns"])
        for _, subgraph in self.graph.get_subgraphs(namespace=path, recurse=True):
            if isinstance(subgraph, Pregel):
                return (yield from stands_at_breakpoint(subgraph, found))
        # One that LangGraph does not know of, such as a graph that a node has built for itself.
        return False


def _superstep(config: RunnableConfig) -> _Superstep:
    configurable = config.get("configurable", {})
    return configurable["checkpoint_ns"], frozenset(configurable.get("checkpoint_map", {}).items())
