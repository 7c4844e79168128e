"""Calls of a graph's activities as the turns of a workflow make them, without the workflow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any, cast
from uuid import uuid4

from dapr.ext.workflow import WorkflowActivityContext
from langgraph.pregel import Pregel

from dapr_bridge import DaprSaver, Unit
from dapr_bridge._activities import GraphActivities, LiveWork
from dapr_bridge._alone import AloneAtWork
from dapr_bridge._graph_runs import GraphRuns
from dapr_bridge._graph_shape import GraphShape, fingerprint
from dapr_bridge._payloads import NO_INPUT, Payload, encode_inline
from dapr_bridge._run_turns import RunTurns
from dapr_bridge._wire import RunOutcome, RunRequest, Stage, TaskOutcome, TaskRequest


async def is_live(_: str) -> bool:
    """Say that every workflow goes on."""
    return True


@dataclass(kw_only=True)
class GraphCalls:
    """A graph on a thread of its own, and the workers that host it."""

    saver: DaprSaver
    unit: Unit
    graph: Pregel[Any, Any, Any, Any]
    thread_id: str = field(default_factory=lambda: uuid4().hex)
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    calls: int = 0

    def worker(self) -> GraphActivities:
        """Return a worker that has done nothing yet."""
        runs = GraphRuns(graph=self.graph.copy({"checkpointer": self.saver}), saver=self.saver, unit=self.unit)
        return GraphActivities(
            runs=runs,
            live=LiveWork(),
            turns=RunTurns(self.saver.store, is_live),
            alone=AloneAtWork(leases=self.saver.leases),
            shape=GraphShape(name="asks", runs=runs, fingerprint=fingerprint(self.graph)),
        )

    async def call(self, run_id: str, value: Any, *, worker: GraphActivities | None = None) -> RunOutcome:
        """Bring a run an input, or None to go on."""
        payload = encode_inline(value, self.saver.serde, what="the input")
        return await self._advance(self._request(run_id, input=payload), worker)

    async def answer(self, run_id: str, answers: Mapping[str, Any]) -> RunOutcome:
        """Answer what a run has asked, by interrupt id."""
        given: dict[str, Payload] = {each: {"json": answer} for each, answer in answers.items()}
        return await self._advance(self._request(run_id, answers=given))

    async def to_end(self, plan: RunOutcome) -> RunOutcome:
        """Run what was planned, and go on until no more is."""
        outcome = plan
        while outcome.status == "planned":
            done = [await self._run_task(outcome, number) for number in range(len(outcome.tasks))]
            assert [each.status for each in done] == ["saved"] * len(done)
            stage = Stage(checkpoint_id=outcome.checkpoint_id, last_step=outcome.last_step)
            outcome = await self._advance(self._request(outcome.run_id, stage=stage))
        return outcome

    def _request(self, run_id: str, **given: Any) -> RunRequest:
        self.calls += 1
        plain = RunRequest(
            graph="asks",
            thread_id=self.thread_id,
            run_id=run_id,
            asked_at=f"{self.calls:02}",
            input=NO_INPUT,
            config={},
            options=self.options,
        )
        return replace(plain, **given)

    async def _advance(self, request: RunRequest, worker: GraphActivities | None = None) -> RunOutcome:
        advance = (worker or self.worker()).advance()
        return RunOutcome.from_json(await advance(self._delivery(), request.to_json()))

    async def _run_task(self, plan: RunOutcome, number: int) -> TaskOutcome:
        order = TaskRequest(
            run=self._request(plan.run_id),
            checkpoint_id=plan.checkpoint_id,
            last_step=plan.last_step,
            task=plan.tasks[number],
        )
        return TaskOutcome.from_json(await self.worker().run_node()(self._delivery(), order.to_json()))

    def _delivery(self) -> WorkflowActivityContext:
        return cast("WorkflowActivityContext", SimpleNamespace(workflow_id="workflow", task_id=self.calls))
