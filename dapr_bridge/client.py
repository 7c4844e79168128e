"""`DurableGraph`: a hosted graph as any process sees it."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Mapping
from types import TracebackType
from typing import Any, Self

import grpc
from dapr.ext.workflow import DaprWorkflowClient, WorkflowState, WorkflowStatus
from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.graph import Graph
from langgraph.pregel import Pregel
from langgraph.types import StateSnapshot

from dapr_bridge import _names
from dapr_bridge._wire import RunOutcome, RunRequest, fits_inline
from dapr_bridge.calling import GraphResult, to_result
from dapr_bridge.errors import BridgeError, GraphFailedError
from dapr_bridge.reference import Reference
from dapr_bridge.saver import DaprSaver
from dapr_bridge.saver.sidecar import Tries, may_pass

_FIRST_PAUSE, _LONGEST_PAUSE = 0.005, 0.25
_ENDED = frozenset({WorkflowStatus.COMPLETED, WorkflowStatus.FAILED, WorkflowStatus.TERMINATED})


class DurableGraph:
    """Runs a graph that some `GraphWorker` hosts, and reads its threads.

    Args:
        graph: the compiled graph, whose channels say how to read a thread.
        name: the name under which a worker hosts it.
        saver: the saver of that worker's threads.
        address: the sidecar's gRPC address, `host:port`; Dapr's own settings when not given.
    """

    def __init__(
        self, graph: Pregel[Any, Any, Any, Any], *, name: str, saver: DaprSaver, address: str | None = None
    ) -> None:
        self.name = name
        self._graph = graph.copy({"checkpointer": saver})
        self._saver = saver
        self._address = address
        self._client: DaprWorkflowClient | None = None

    async def ainvoke(self, input: Any, config: RunnableConfig, *, context: Any = None) -> Any:  # noqa: A002 - LangGraph's name
        """Run the graph on the thread of `config` and return its output, with `__interrupt__` when it asks something.

        Raises:
            GraphFailedError: a node failed after its own retries; `ainvoke(None, config)` goes on.
            ThreadBusyError: another run of the thread is going on.
        """
        result = await self.arun(input, config, context=context)
        output = await self._saver.aget_value(result.output) if isinstance(result.output, Reference) else result.output
        if result.interrupts:
            # A graph whose output is no dict, such as a list, shows its questions and nothing else.
            return {**(output if isinstance(output, dict) else {}), "__interrupt__": list(result.interrupts)}
        return output

    async def arun(self, input: Any, config: RunnableConfig, *, context: Any = None) -> GraphResult:  # noqa: A002 - LangGraph's name
        """Run the graph and tell how the run ended; a large output is returned by reference."""
        configurable = config.get("configurable", {})
        thread_id, run_id = str(configurable["thread_id"]), f"{self.name}-{uuid.uuid4()}"
        request = RunRequest(
            graph=self.name,
            thread_id=thread_id,
            run_id=run_id,
            asked_at="",
            input=await self._payload(input, f"{run_id}/input"),
            config=_wire_config(config),
            context=None if context is None else await self._payload(context, f"{run_id}/context"),
        )
        client = self._workflows()
        workflow = _names.graph_workflow(self.name)
        await asyncio.to_thread(client.schedule_new_workflow, workflow, input=request.to_json(), instance_id=run_id)
        record = await self._output(client, request)
        return to_result(request, RunOutcome.from_json(record), self._saver.serde)

    async def aget_state(self, config: RunnableConfig, *, subgraphs: bool = False) -> StateSnapshot:
        """Return a thread's state: its values, what runs next, and the results of the tasks that are done."""
        return await self._graph.aget_state(config, subgraphs=subgraphs)

    def aget_state_history(self, config: RunnableConfig, *, limit: int | None = None) -> AsyncIterator[StateSnapshot]:
        """Return a thread's states, newest first."""
        return self._graph.aget_state_history(config, limit=limit)

    def get_graph(self) -> Graph:
        """Return the graph's drawing."""
        return self._graph.get_graph()

    async def aclose(self) -> None:
        """Close the connection to the workflow engine; the saver stays open."""
        if self._client is not None:
            await asyncio.to_thread(self._client.close)
            self._client = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def _workflows(self) -> DaprWorkflowClient:
        # The synchronous client, for it can be closed and belongs to no event loop.
        if self._client is None:
            host, _, port = (self._address or "").rpartition(":")
            self._client = DaprWorkflowClient(host=host or None, port=port or None)
        return self._client

    async def _payload(self, value: Any, name: str) -> dict[str, Any]:
        inline = fits_inline(value, self._saver.serde)
        return inline if inline is not None else dict((await self._saver.aput_value(name, value)).to_json())

    async def _output(self, client: DaprWorkflowClient, request: RunRequest) -> Mapping[str, Any]:
        """Wait for the end by short polls: daprd's own waiting stream can be a second late."""
        instance_id, pause = request.run_id or "", _FIRST_PAUSE
        while True:
            state = await self._look(client, instance_id)
            if state is None:
                raise BridgeError(f"workflow {instance_id!r} of graph {self.name!r} has vanished")
            if state.runtime_status in _ENDED:
                return self._record(state, request)
            await asyncio.sleep(pause)
            pause = min(pause * 1.2, _LONGEST_PAUSE)

    async def _look(self, client: DaprWorkflowClient, instance_id: str) -> WorkflowState | None:
        """Return where an instance stands.

        On SQLite daprd reads an instance while it writes it, and then says that a part of it is missing.
        """
        tries = Tries(self._saver.store.patience.away)
        while True:
            try:
                return await asyncio.to_thread(client.get_workflow_state, instance_id)
            except grpc.RpcError as error:
                pause = tries.pause() if may_pass(error) else None
                if pause is None:
                    raise
            await asyncio.sleep(pause.seconds)

    def _record(self, state: WorkflowState, request: RunRequest) -> Mapping[str, Any]:
        if state.runtime_status is WorkflowStatus.COMPLETED:
            return json.loads(state.serialized_output)
        details = state.failure_details
        raise GraphFailedError(
            graph=self.name,
            thread_id=request.thread_id,
            node=None,
            task_id=None,
            error_type=details.error_type if details else state.runtime_status.name,
            message=details.message if details else "the workflow was ended from outside",
        )


def _wire_config(config: RunnableConfig) -> dict[str, Any]:
    """Keep what travels: what LangGraph reads and JSON can hold; callbacks stay with their process."""
    travels = ("tags", "metadata", "recursion_limit")
    # The thread has a field of its own; here it may be anything that `str` makes an id of, such as a UUID.
    configurable = {key: value for key, value in config.get("configurable", {}).items() if key != "thread_id"}
    return {key: value for key, value in config.items() if key in travels} | {"configurable": configurable}
