"""Subgraphs of a call that is delivered again: they go on as if the worker that was at them had not died.

LangGraph knows nothing of deliveries. To a loop that finds a checkpoint it is as if its caller went on with it: a
subgraph would pass the breakpoint at which it stands, have its recursion limit anew, and, with a memory of its own, go
on where it is to be called anew.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver, CheckpointTuple
from langgraph.errors import GraphInterrupt
from langgraph.pregel import Pregel

from dapr_bridge._langgraph import call_anew, going_on, outer_of, path_of
from dapr_bridge._stops import Looks, alook, look, stands_at_breakpoint
from dapr_bridge.saver import DaprSaver

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

    graph: Pregel[Any, Any, Any, Any]
    saver: DaprSaver
    is_midway: bool = False
    _made: dict[_Superstep, int] = field(default_factory=dict[_Superstep, int])

    def read(self, saver: BaseCheckpointSaver[Any], config: RunnableConfig) -> CheckpointTuple | None:
        """Read one, as `aread` does."""
        found = saver.get_tuple(config)
        if not self._is_first(config):
            return found
        made = self.saver.count_made(config) if found else 0
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
        made = await self.saver.acount_made(config) if found else 0
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
