"""`GraphWorker`: hosts graphs on a Dapr workflow runtime."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Any, cast, get_args

from dapr.ext.workflow.logger import LoggerOptions
from langgraph.channels import UntrackedValue
from langgraph.graph import StateGraph
from langgraph.pregel import Pregel
from langgraph.store.base import BaseStore

from dapr_bridge import _names
from dapr_bridge._absence import telling_of_absence
from dapr_bridge._activities import GraphActivities, LiveWork
from dapr_bridge._alone import AloneAtWork
from dapr_bridge._contexts import AsyncRunning
from dapr_bridge._events import EventBus
from dapr_bridge._graph_runs import GraphRuns, KeepCheckpoints, Unit
from dapr_bridge._graph_shape import GraphShape, fingerprint
from dapr_bridge._langgraph import mend_sync_durability
from dapr_bridge._late_turns import LateTurns
from dapr_bridge._run_turns import RunTurns
from dapr_bridge._served import ServedRuntime
from dapr_bridge._workflow import graph_workflow, tasks_workflow
from dapr_bridge._workflows import Workflows
from dapr_bridge.errors import GraphNotFoundError, GraphRefusedError
from dapr_bridge.saver import DaprSaver

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


class GraphWorker(AsyncRunning):
    """Serves the graphs of one app id, and one's own workflows beside them.

    A context manager, synchronous or asynchronous; inside it, Dapr delivers work to this process. All replicas of an
    app id host the same graphs.

    Args:
        graphs: compiled graphs by name, without a checkpointer of their own.
        saver: where their state is kept.
        store: LangGraph store for `runtime.store`; a graph compiled with one keeps its own.
        unit: what an activity is, for all graphs or by name. `run`: a whole run up to its end or a question. `task`:
            one node execution, where several of a superstep run at once; those that run alone share an activity.
        address: the sidecar's gRPC address, `host:port`; Dapr's own settings when not given.
        events: the pub/sub component over which runs stream; None: this worker streams nothing.
        lease: lets one worker at a time do a piece of work that Dapr has delivered twice, so that no model call is paid
            for by two that live; another takes over so long after the last sign of life. None: both work, and what was
            saved first counts.
        keep_checkpoints: how many checkpoints a thread keeps when a run of it has finished, for all graphs or by name:
            all of them, or the last ones, without which older states can neither be read nor gone on from.

    Raises:
        GraphRefusedError: a graph cannot be kept, or an argument is none; the message says why and what to do.
    """

    def __init__(
        self,
        *,
        graphs: Mapping[str, Pregel[Any, Any, Any, Any]],
        saver: DaprSaver,
        store: BaseStore | None = None,
        unit: Unit | Mapping[str, Unit] = "run",
        address: str | None = None,
        events: str | None = "message-pubsub",
        lease: timedelta | None = None,
        keep_checkpoints: KeepCheckpoints | Mapping[str, KeepCheckpoints] = "all",
    ) -> None:
        mend_sync_durability()
        _check_kinds(graphs, saver=saver, store=store, lease=lease)
        keeps = _keeps(graphs, keep_checkpoints)
        self._units = _units(graphs, unit)
        for name, graph in graphs.items():
            _check(name, graph, unit=self.unit(name))
        host, _, port = (address or "").rpartition(":")
        # Without one, the SDK adds a handler of its own for each runtime, beside the application's.
        quiet = LoggerOptions(log_handler=logging.NullHandler())
        self._address, self._stopping = address, threading.Lock()
        self._workflows = Workflows(address)
        self._late = LateTurns(self._workflows.wake)
        self.runtime = ServedRuntime(
            saver.serde, host=host or None, port=port or None, logger_options=quiet, interceptors=[self._late]
        )
        self._graphs = {name: _bind(graph, saver, store) for name, graph in graphs.items()}
        self._live = LiveWork()
        self._bus = EventBus(events, address=address) if events else None
        turns = RunTurns(saver.store, self._workflows.is_live)
        alone = AloneAtWork(leases=saver.leases, ttl=lease)
        for name, graph in self._graphs.items():
            runs = GraphRuns(graph=graph, saver=saver, unit=self.unit(name), bus=self._bus, keeps=keeps[name])
            shape = GraphShape(name=name, runs=runs, fingerprint=fingerprint(graph))
            activities = GraphActivities(runs=runs, live=self._live, turns=turns, alone=alone, shape=shape)
            self._register(name, activities)

    def unit(self, name: str) -> Unit:
        """Return the unit in which a graph runs."""
        return self._units.get(name, "run")

    def graph(self, name: str) -> Pregel[Any, Any, Any, Any]:
        """Return a hosted graph, bound to the worker's saver and store.

        Raises:
            GraphNotFoundError: there is none of that name.
        """
        if name not in self._graphs:
            hosted = ", ".join(repr(each) for each in sorted(self._graphs)) or "none"
            raise GraphNotFoundError(f"no graph {name!r} on this worker; it has {hosted}")
        return self._graphs[name]

    def fingerprints(self) -> dict[str, str]:
        """Return a hash of each graph's shape: its nodes, edges, channels, and subgraphs."""
        return {name: fingerprint(graph) for name, graph in self._graphs.items()}

    def _register(self, name: str, activities: GraphActivities) -> None:
        self.runtime.register_activity(activities.advance(), name=_names.advance_activity(name))
        self.runtime.register_activity(activities.name_call(), name=_names.naming_activity(name))
        self.runtime.register_workflow(graph_workflow(name), name=_names.graph_workflow(name))
        self.runtime.register_workflow(tasks_workflow(name), name=_names.tasks_workflow(name))
        # In both units: the run of an earlier release may have planned some.
        for node in self._graphs[name].nodes:
            self.runtime.register_activity(activities.run_node(), name=_names.node_activity(name, node))

    def start(self) -> None:
        """Connect to the sidecar, for which it waits, and take work; returns when the connection stands.

        A `stop` in another thread ends the waiting.
        """
        with telling_of_absence(self._address):
            self.runtime.start()

    def stop(self) -> None:
        """Take no more work and leave; runs in progress go on in another worker, or in the next one."""
        # The SDK's own shutdown cannot be called by two threads at once.
        with self._stopping:
            self._live.cancel_all()
            self._late.close()
            self.runtime.shutdown()
            self._workflows.close()
            if self._bus:
                self._bus.close()


def _check_kinds(graphs: object, *, saver: object, store: object, lease: object) -> None:
    """Refuse what is of another kind than it has to be, and would fail in the middle of each run."""
    if not isinstance(graphs, Mapping):
        raise GraphRefusedError(f"graphs={graphs!r}: give them by name, {{'triage': graph}}")
    for name, graph in cast("Mapping[object, object]", graphs).items():
        if isinstance(graph, StateGraph):
            raise GraphRefusedError(f"graph {name!r} is a StateGraph that is not compiled: call .compile()")
        if not isinstance(graph, Pregel):
            raise GraphRefusedError(f"graph {name!r} is a {type(graph).__name__}: give a compiled graph")
    if not isinstance(saver, DaprSaver):
        raise GraphRefusedError(f"saver={saver!r}: give a DaprSaver, such as DaprSaver('execution-state')")
    if store is not None and not isinstance(store, BaseStore):
        raise GraphRefusedError(f"store={store!r}: give a store of LangGraph's, such as DaprStore('execution-state')")
    if lease is not None and not (isinstance(lease, timedelta) and lease > timedelta(0)):
        raise GraphRefusedError(
            f"lease={lease!r}: give a time above zero, such as timedelta(seconds=30), or leave it out"
        )


def _check(name: str, graph: Pregel[Any, Any, Any, Any], *, unit: Unit) -> None:
    """Refuse, by name, what cannot be kept."""
    if not _NAME.fullmatch(name):
        raise GraphRefusedError(f"graph name {name!r}: use letters, digits, '_' and '-', starting with a letter")
    if graph.checkpointer is not None:
        raise GraphRefusedError(
            f"graph {name!r} is compiled with checkpointer={graph.checkpointer!r}: compile it without, "
            "the worker's DaprSaver takes that place"
        )
    untracked = sorted(each for each, channel in graph.channels.items() if isinstance(channel, UntrackedValue))
    if unit == "task" and untracked:
        raise GraphRefusedError(
            f"graph {name!r}: channel {untracked[0]!r} is an UntrackedValue, which is not saved and so does not reach "
            "the activities of unit 'task': use unit='run', or an ordinary channel"
        )


def _units(graphs: Collection[str], given: Unit | Mapping[str, Unit]) -> Mapping[str, Unit]:
    """Return each graph's unit, refusing what is none."""
    by_name: Mapping[str, Unit] = given if isinstance(given, Mapping) else dict.fromkeys(graphs, given)
    _check_hosted(graphs, by_name, option="unit")
    for name, unit in by_name.items():
        if unit not in get_args(Unit):
            raise GraphRefusedError(f"graph {name!r}: unit={unit!r} is unknown; there are 'run' and 'task'")
    return by_name


def _keeps(
    graphs: Collection[str], given: KeepCheckpoints | Mapping[str, KeepCheckpoints]
) -> Mapping[str, KeepCheckpoints]:
    """Return what each graph keeps, refusing what is no number of checkpoints."""
    by_name: Mapping[str, KeepCheckpoints] = given if isinstance(given, Mapping) else dict.fromkeys(graphs, given)
    _check_hosted(graphs, by_name, option="keep_checkpoints")
    for name, keeps in by_name.items():
        is_count = isinstance(keeps, int) and not isinstance(keeps, bool) and keeps >= 1
        if keeps != "all" and not is_count:
            raise GraphRefusedError(
                f"graph {name!r}: keep_checkpoints={keeps!r} is neither 'all' nor a number of checkpoints, at least 1"
            )
    everything: KeepCheckpoints = "all"
    return {name: by_name.get(name, everything) for name in graphs}


def _check_hosted(graphs: Collection[str], named: Collection[str], *, option: str) -> None:
    """Refuse an option of a graph that is not there."""
    unknown = sorted(set(named) - set(graphs))
    if unknown:
        hosted = ", ".join(repr(each) for each in sorted(graphs)) or "none"
        raise GraphRefusedError(f"{option} names graph {unknown[0]!r}; this worker has {hosted}")


def _bind(graph: Pregel[Any, Any, Any, Any], saver: DaprSaver, store: BaseStore | None) -> Pregel[Any, Any, Any, Any]:
    return graph.copy({"checkpointer": saver, "store": graph.store or store})
