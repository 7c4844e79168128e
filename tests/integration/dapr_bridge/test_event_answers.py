"""What a graph asks inside one's own workflow, answered by events, on a real daprd."""

from __future__ import annotations

import asyncio
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from dapr.ext.workflow import DaprWorkflowClient
from langgraph.types import Interrupt

from dapr_bridge import DaprSaver, DurableGraph
from dapr_bridge.testing import ControlPlane, Process, Sidecar, wait_until
from tests.kit.counter import FarEnd, far_end
from tests.kit.serving import serving, start_serving
from tests.kit.sidecars import output_of, sqlite_sidecar, workflow_client
from tests.kit.waiting_worker import EVENT, build_inquiry


@dataclass(kw_only=True)
class Rig:
    """One sidecar, one worker process, and what tests ask of both."""

    sidecar: Sidecar
    worker: Process
    far: FarEnd
    saver: DaprSaver
    client: DaprWorkflowClient

    def start_worker(self) -> None:
        start_serving(self.worker)

    def start(self, **given: Any) -> str:
        """Start a workflow that waits as told; returns its id, which is its thread's too."""
        instance = f"inquiry-{uuid.uuid4()}"
        self.client.schedule_new_workflow("inquiring", input=given, instance_id=instance)
        return instance

    def told(self, instance: str, what: str) -> None:
        """Wait until a workflow has notified of something."""
        self.far.wait_for(f"{instance}: {what}")

    def answer(self, instance: str, data: Any) -> None:
        self.client.raise_workflow_event(instance, EVENT, data=data)

    def answer_all(self, instance: str) -> None:
        """Answer the first questions together, then the one that follows."""
        asked = self.questions(instance)
        self.answer(instance, {asked["one?"]: "yes", asked["within?"]: "w"})
        self.told(instance, SECOND)
        self.answer(instance, "more")

    def outcome(self, instance: str) -> Any:
        """Wait for a workflow's end, and return what it returned."""
        return output_of(self.client, instance)

    def questions(self, instance: str) -> dict[str, str]:
        """The ids of the questions that wait, by what they ask."""
        return asyncio.run(self._questions(instance))

    async def cancel(self, run_id: str) -> bool:
        async with DurableGraph("inquiry", saver=self.saver, address=self.sidecar.address, events=None) as graph:
            return await graph.acancel(run_id)

    async def _questions(self, instance: str) -> dict[str, str]:
        async with DurableGraph(
            build_inquiry(self.far.url), name="inquiry", saver=self.saver, address=self.sidecar.address, events=None
        ) as graph:
            state = await graph.aget_state({"configurable": {"thread_id": instance}})
        asked: tuple[Interrupt, ...] = state.interrupts
        return {str(each.value): each.id for each in asked}


@pytest.fixture(scope="module", params=["run", "task"])
def rig(
    control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Rig]:
    """A sidecar with a SQLite store, and a worker of one unit."""
    folder = tmp_path_factory.mktemp("answers")
    sidecar = sqlite_sidecar("answers", control_plane=control_plane, folder=folder)
    with far_end() as far, sidecar, DaprSaver("execution-state", address=sidecar.address) as saver:
        env = {**sidecar.environment(), "FAR_END": far.url, "UNIT": request.param}
        worker = Process([sys.executable, "-m", "tests.kit.waiting_worker"], log=folder / "worker.log", env=env)
        with serving(worker), workflow_client(sidecar) as client:
            yield Rig(sidecar=sidecar, worker=worker, far=far, saver=saver, client=client)


in_one_unit = pytest.mark.parametrize("rig", ["run"], indirect=True)

BOTH = "asked ['one?', 'within?']"
SECOND = "asked [\"{'and after': 'yes'}\"]"
ENDED = {"status": "finished", "words": ["twice yes 4", "within w", "closed"]}


def in_any_order(outcome: dict[str, Any]) -> dict[str, Any]:
    return {**outcome, "words": sorted(outcome["words"])}


def test_questions_are_answered_together_and_the_next_one_without_its_id(rig: Rig) -> None:
    instance = rig.start()
    rig.told(instance, BOTH)

    rig.answer_all(instance)

    assert in_any_order(rig.outcome(instance)) == in_any_order(ENDED)


def test_questions_are_answered_one_after_the_other(rig: Rig) -> None:
    before = rig.far.counts()
    instance = rig.start()
    rig.told(instance, BOTH)

    # Both at once, before the workflow has read the first.
    asked = rig.questions(instance)
    rig.answer(instance, {asked["within?"]: "w"})
    rig.answer(instance, {asked["one?"]: "yes"})
    rig.told(instance, SECOND)
    (follow_up,) = rig.questions(instance).values()
    rig.answer(instance, {follow_up: "more"})

    assert in_any_order(rig.outcome(instance)) == in_any_order(ENDED)
    assert rig.far.counts()["within"] - before["within"] == 1
    assert rig.far.counts()["twice"] - before["twice"] == 1


def test_a_run_as_a_child_workflow_ends_in_the_same_way(rig: Rig) -> None:
    instance = rig.start(as_child=True)
    rig.told(instance, BOTH)

    rig.answer_all(instance)

    assert in_any_order(rig.outcome(instance)) == in_any_order(ENDED)
    own, of_child = (
        str(rig.client.get_workflow_history(instance)),
        str(rig.client.get_workflow_history(f"{instance}:0002")),
    )
    assert "inquiry:advance" not in own
    assert "inquiry:advance" in of_child
    # In unit `task` it has begun anew after the fan-out.
    assert "inquiry.twice" not in of_child


@in_one_unit
def test_what_answers_nothing_is_refused_with_the_reason_and_the_questions_wait_on(rig: Rig) -> None:
    instance = rig.start(run_id=f"run-{uuid.uuid4()}")
    rig.told(instance, BOTH)
    asked = rig.questions(instance)
    ids = list(asked.values())
    nobody = "0" * 32

    rig.answer(instance, "yes")
    rig.answer(instance, {asked["one?"]: "yes", nobody: "x"})
    rig.answer(instance, {asked["one?"]: "x" * 9_000})
    rig.answer(instance, {asked["one?"]: "yes", asked["within?"]: "w"})
    rig.told(instance, SECOND)
    rig.answer(instance, None)
    rig.answer(instance, "more")

    assert in_any_order(rig.outcome(instance)) == in_any_order(ENDED)
    refusals = [each for each in rig.far.marks if each.startswith(f"{instance}: refused")]
    assert len(refusals) == 4
    assert f"2 questions wait, {ids[0]!r}, {ids[1]!r}: answer them by id" in refusals[0]
    assert f"no question {nobody!r} waits" in refusals[1]
    assert "an answer has 9002 bytes and history carries at most 8192" in refusals[2]
    assert "its data is null" in refusals[3]


@in_one_unit
def test_a_large_answer_comes_by_reference(rig: Rig) -> None:
    instance = rig.start()
    rig.told(instance, BOTH)
    asked = rig.questions(instance)
    reference = asyncio.run(rig.saver.aput_value(f"{instance}/answer", "x" * 5_000_000))

    rig.answer(instance, {asked["one?"]: "yes", asked["within?"]: "w"})
    rig.told(instance, SECOND)
    rig.answer(instance, dict(reference.to_json()))

    assert "twice yes 5000000" in rig.outcome(instance)["words"]


@in_one_unit
def test_an_answer_with_a_reference_to_nothing_is_refused_and_a_right_one_taken(rig: Rig) -> None:
    instance = rig.start()
    rig.told(instance, BOTH)
    asked = rig.questions(instance)
    name = f"{instance}/answer"

    rig.answer(instance, {asked["one?"]: {"reference": name}, asked["within?"]: "w"})
    wait_until(lambda: any(name in each for each in rig.far.marks), what="the answer to be refused")
    reference = asyncio.run(rig.saver.aput_value(name, "yes"))
    rig.answer(instance, {asked["one?"]: dict(reference.to_json()), asked["within?"]: "w"})
    rig.told(instance, SECOND)
    rig.answer(instance, "more")

    assert in_any_order(rig.outcome(instance)) == in_any_order(ENDED)
    (refusal,) = [each for each in rig.far.marks if each.startswith(f"{instance}: refused")]
    assert f"holds no value {name!r}: save the value with DaprSaver.aput_value" in refusal


@in_one_unit
def test_after_the_deadline_the_default_is_taken_and_until_then_there_are_reminders(rig: Rig) -> None:
    instance = rig.start(timeout=4, remind_every=0.3, default="by default")

    assert set(rig.outcome(instance)["words"]) == {"twice by default 10", "within by default", "closed"}
    marks = [each.removeprefix(f"{instance}: ") for each in rig.far.marks if each.startswith(instance)]
    reminders = [each for each in marks if each.startswith("reminder")]
    assert reminders[0] == "reminder ['one?', 'within?'] 1"
    assert reminders[-1].endswith(f" {len(reminders)}")


@in_one_unit
@pytest.mark.parametrize("as_child", [False, True])
def test_a_run_that_waits_is_cancelled_at_once_and_another_one_answers_its_questions(rig: Rig, as_child: bool) -> None:
    run_id = f"run-{uuid.uuid4()}"
    instance = rig.start(run_id=run_id, as_child=as_child)
    rig.told(instance, BOTH)
    # A refused answer does not end the waiting.
    rig.answer(instance, {rig.questions(instance)["one?"]: {"reference": f"{instance}/nothing"}})
    wait_until(lambda: any(f"{instance}/nothing" in each for each in rig.far.marks), what="the answer to be refused")

    assert asyncio.run(rig.cancel(run_id)) is True

    assert rig.outcome(instance) == {"status": "cancelled"}
    assert sorted(rig.questions(instance)) == ["one?", "within?"]
    next_one = rig.start(thread_id=instance)
    rig.told(next_one, BOTH)
    assert len([each for each in rig.far.marks if each.startswith(f"{instance}: refused")]) == 1


@in_one_unit
def test_without_a_default_the_workflow_is_told_and_the_questions_can_be_answered_later(rig: Rig) -> None:
    instance = rig.start(timeout=1)

    outcome = rig.outcome(instance)

    assert outcome["unanswered"] == ["one?", "within?"]
    assert f"graph 'inquiry', thread {instance!r}: no event {EVENT!r} has answered" in outcome["message"]
    assert sorted(rig.questions(instance)) == ["one?", "within?"]


def test_a_kill_of_worker_and_sidecar_while_it_waits_loses_nothing(rig: Rig) -> None:
    before = rig.far.counts()
    answered, expiring = rig.start(), rig.start(timeout=12, default="by default")
    for instance in (answered, expiring):
        rig.told(instance, BOTH)
        rig.answer(instance, {rig.questions(instance)["within?"]: "w"})
        wait_until(lambda: list(rig.questions(instance)) == ["one?"], what="the first answer to be saved")  # noqa: B023

    rig.worker.kill()
    rig.sidecar.kill()
    rig.sidecar.start()
    rig.start_worker()
    rig.answer(answered, "yes")
    rig.told(answered, SECOND)
    rig.answer(answered, "more")

    assert set(rig.outcome(answered)["words"]) == {"twice yes 4", "within w", "closed"}
    assert set(rig.outcome(expiring)["words"]) == {"twice by default 10", "within w", "closed"}
    after = rig.far.counts()
    assert [after[each] - before[each] for each in ("twice", "within", "close")] == [2, 2, 2]
