"""What a `DurableGraph` refuses when it is made, or before anything of a call has travelled."""

from __future__ import annotations

from typing import Any

import pytest

from dapr_bridge import CallRefusedError, DaprSaver, DurableGraph

pytestmark = pytest.mark.anyio

NOBODY = "127.0.0.1:1"


def client(**given: Any) -> DurableGraph:
    """A graph as a client sees it that reaches no sidecar."""
    return DurableGraph("shout", saver=DaprSaver("store", address=NOBODY), address=NOBODY, events=None, **given)


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"if_busy": "nonsense"}, "if_busy='nonsense' is unknown; there are 'raise' and 'wait'"),
    ({"if_busy": ""}, "if_busy='' is unknown"),
    ({"config": {"foo": 1}}, r"config\['foo'\] is unknown; it would be lost"),
    ({"config": {"configurable": 5}}, r"config\['configurable'\] is 5: pass a dict"),
    ({"config": {"tags": [object()]}}, "pass a list of strings"),
    ({"config": {"run_name": object()}}, "pass a string"),
    ({"config": {"recursion_limit": "9"}}, r"config\['recursion_limit'\] is '9': pass a whole number"),
]


@pytest.mark.parametrize(("given", "message"), REFUSED)
async def test_what_would_be_lost_is_refused_by_name(given: dict[str, Any], message: str) -> None:
    async with client() as durable:
        with pytest.raises(CallRefusedError, match=message):
            await durable.ainvoke({}, **given)


@pytest.mark.parametrize(("given", "message"), REFUSED)
def test_what_each_call_would_lose_is_refused_at_once(given: dict[str, Any], message: str) -> None:
    with pytest.raises(CallRefusedError, match=message):
        client(**given)


@pytest.mark.parametrize(("given", "message"), [each for each in REFUSED if "config" in each[0]])
async def test_what_a_config_would_lose_is_refused_when_it_is_bound(given: dict[str, Any], message: str) -> None:
    async with client() as durable:
        with pytest.raises(CallRefusedError, match=message):
            durable.with_config(**given)
        with pytest.raises(CallRefusedError, match=message):
            durable.with_config(None, **given["config"])


def test_sections_that_are_none_are_absent() -> None:
    config: Any = {"configurable": None, "metadata": None, "tags": None}

    assert client(config=config).with_config(config).config


async def test_langgraphs_third_version_of_events_is_refused_before_anything_runs() -> None:
    async with client() as durable:
        with pytest.raises(NotImplementedError, match="DurableGraph"):
            await durable.astream_events({}, version="v3")
