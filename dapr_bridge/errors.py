"""The exceptions of the bridge.

BridgeError
|-- GraphNotFoundError        no graph of that name on this worker
|-- GraphRefusedError         a graph uses something that cannot be kept; raised when it is registered
|-- GraphFailedError          a node failed after its own retries; the thread can be resumed
|   `-- GraphChangedError     the worker's graph lacks what the run has to do next; a worker that has it can resume it
|-- UnansweredError           nobody answered in time what a run asks; its thread can be answered later
|-- CallRefusedError          a call asks for what a durable run cannot do, or cannot do here
|-- RunCancelledError         the run was cancelled; its thread can be gone on with
|-- ThreadBusyError           another run of the thread is going on
|-- LeaseHeldError            another holds a lease, and did not let go in the time given
|-- StaleWriterError          a driven run wrote to a thread that has gone on without it
|-- CheckpointNotFoundError   a checkpoint was to follow one that was deleted, with whose values it would be gone
|-- ThreadLostError           a driven run wrote when its thread was no longer its own
|-- ValueNotKeptError         a value cannot come back equal from the store
|-- PayloadTooLargeError      a value is too large for a workflow's history; pass it by reference
|-- StateStoreNotFoundError   the sidecar has no state store of that name
|-- StateStoreError           the state store refused a call, or answered with what nobody wrote
|   |-- ValueNotFoundError           nothing is saved under a reference
|   |-- SubgraphNotSavedError        it gave a subgraph no checkpoint, or took none
|   `-- StateStoreUnavailableError   the sidecar or the store did not answer in time
`-- LocalDaprError            the local Dapr of `dapr_bridge.testing` did not start or not answer
    `-- RuntimeNotFoundError  no Dapr runtime on this machine
"""

from __future__ import annotations

from collections.abc import Sequence

from langgraph.errors import GraphBubbleUp
from langgraph.types import Interrupt


class BridgeError(Exception):
    """Base of everything this package raises."""


class GraphNotFoundError(BridgeError):
    """A graph was asked for that the worker does not host; of a run that it took, nothing was done."""


class GraphRefusedError(BridgeError):
    """A graph uses a feature that the bridge cannot keep; the message names it and the way out."""


class GraphFailedError(BridgeError):
    """A graph run stopped at a node's exception.

    Calling the graph again on the same thread goes on from the last checkpoint: nodes that had finished are not run
    again.

    Attributes:
        graph: name of the graph.
        thread_id: thread of the run.
        node: node that failed, or None when the run failed between nodes (such as at the recursion limit).
        task_id: LangGraph's id of the failed task, or None.
        error_type: class name of the node's exception.
        message: text of the node's exception.
    """

    def __init__(
        self, *, graph: str, thread_id: str, node: str | None, task_id: str | None, error_type: str, message: str
    ) -> None:
        where = f"node {node!r}" if node else "the run"
        super().__init__(f"graph {graph!r}, thread {thread_id!r}: {where} failed with {error_type}: {message}")
        self.graph = graph
        self.thread_id = thread_id
        self.node = node
        self.task_id = task_id
        self.error_type = error_type
        self.message = message


class GraphChangedError(GraphFailedError):
    """A run was to go on with a graph that lacks the nodes of its next tasks; the message names them.

    Nothing is lost: calling the graph again on the same thread goes on, once a worker has those nodes.
    """


class UnansweredError(BridgeError):
    """Nobody answered in time what a run asks; calling the graph with `Command(resume={id: answer})` goes on.

    Attributes:
        interrupts: the questions that wait.
    """

    def __init__(self, message: str, *, interrupts: Sequence[Interrupt]) -> None:
        super().__init__(message)
        self.interrupts = interrupts


class CallRefusedError(BridgeError):
    """A call asks for something that would be lost on the way to the worker; the message names it and the way out."""


class RunCancelledError(BridgeError):
    """A run was cancelled; calling the graph again on its thread goes on from the last checkpoint."""


class ThreadBusyError(BridgeError):
    """A thread has a live run already.

    Attributes:
        run_id: that run, for `DurableGraph.acancel`; empty when it is not known.
    """

    def __init__(self, message: str, *, run_id: str = "") -> None:
        super().__init__(message)
        self.run_id = run_id


class LeaseHeldError(BridgeError):
    """A lease is held by another, who did not let go in the time given."""


class StaleWriterError(BridgeError, GraphBubbleUp):
    """A checkpoint was to follow one that is no longer the latest: another writer has gone on with the thread.

    When it comes out of a subgraph, LangGraph neither tries its node again, nor calls an error handler, nor saves it as
    what the node has come to: it ends the attempt, and the other writer's counts.

    Attributes:
        thread_id: the thread.
        namespace: its checkpoint namespace.
        parent: the checkpoint that the refused one was to follow, or None for the first.
        latest: the checkpoint that is the latest, or None when there is none.
    """

    def __init__(self, *, thread_id: str, namespace: str, parent: str | None, latest: str | None) -> None:
        where = f"thread {thread_id!r}" + (f", namespace {namespace!r}" if namespace else "")
        super().__init__(
            f"{where} has gone on without this writer: its latest checkpoint is {latest or None!r}, and the one to be "
            f"saved follows {parent!r}. Another worker drives it, or a person has changed it"
        )
        self.thread_id = thread_id
        self.namespace = namespace
        self.parent = parent
        self.latest = latest or None


class CheckpointNotFoundError(BridgeError):
    """A checkpoint was deleted from which a thread was to be gone on with; the thread is as it was."""


class ThreadLostError(BridgeError, GraphBubbleUp):
    """A driven run was to save something when its call had ended elsewhere, or its thread was another run's.

    Its worker was stopped or cut off for a while, and taken for dead. LangGraph ends the attempt, as with
    `StaleWriterError`; nothing is saved.
    """


class ValueNotKeptError(BridgeError):
    """A value would not come back equal from the store."""


class PayloadTooLargeError(BridgeError):
    """A value was to travel in a workflow's history and is too large for it."""


class StateStoreError(BridgeError):
    """A Dapr state store refused a call."""


class StateStoreNotFoundError(BridgeError):
    """The sidecar has no state store of the name that is asked for, which trying again does not mend."""


class ValueNotFoundError(StateStoreError):
    """Nothing is saved under a reference."""


class StateStoreUnavailableError(StateStoreError):
    """The sidecar or its state store did not answer within the patience given."""


class SubgraphNotSavedError(StateStoreError, GraphBubbleUp):
    """The state store gave a subgraph no checkpoint, or took none, within the patience given.

    That is no fault of the node in which the subgraph runs: LangGraph neither tries the node again, nor calls its error
    handler, nor saves this as what the node has come to. The attempt ends, and the next one goes on.
    """


class LocalDaprError(BridgeError):
    """The local Dapr of `dapr_bridge.testing` did not do as asked."""


class RuntimeNotFoundError(LocalDaprError):
    """No usable Dapr runtime was found; the message says where it was looked for."""
