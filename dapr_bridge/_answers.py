"""What an external event's data answers: one question, or several by their ids."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, cast

from dapr_bridge._payloads import INLINE_BYTES, Payload, is_plain
from dapr_bridge._pending import is_interrupt_id
from dapr_bridge.reference import Reference

_CANCELLED = "dapr_bridge:cancelled"


def cancellation_of(run_id: str) -> dict[str, str]:
    """Return the data of an event that wakes a workflow because a run of its own is cancelled."""
    return {_CANCELLED: run_id}


def cancelled_run(given: Any) -> str | None:
    """Return the run that an event says is cancelled, or None for any other event."""
    if not isinstance(given, dict) or set(cast("dict[object, object]", given)) != {_CANCELLED}:
        return None
    return str(cast("dict[str, object]", given)[_CANCELLED])


def read_answers(given: Any, waiting: Sequence[str]) -> Mapping[str, Payload] | str:
    """Return the answers by interrupt id, or say why the data brings none.

    Args:
        given: the event's data.
        waiting: the ids of the questions that wait.
    """
    if not is_plain(given):
        return f"its data is a {type(given).__name__}: send JSON"
    if not _is_by_id(given):
        if len(waiting) > 1:
            return f"{len(waiting)} questions wait, {_listed(waiting)}: answer them by id, {{id: answer}}"
        if given in (None, {}):
            return f"its data is {json.dumps(given)}, which may be meant or not: answer by id, {{{waiting[0]!r}: ...}}"
        given = {waiting[0]: given}
    answers = cast("Mapping[str, Any]", given)
    unknown = sorted(set(answers) - set(waiting))
    if unknown:
        return f"no question {unknown[0]!r} waits for an answer; those that wait: {_listed(waiting)}"
    size = max(len(json.dumps(each)) for each in answers.values())
    if size > INLINE_BYTES:
        return (
            f"an answer has {size} bytes and history carries at most {INLINE_BYTES}: save it with DaprSaver.aput_value "
            "and send the reference's to_json()"
        )
    return {each: _payload(answer) for each, answer in answers.items()}


def _is_by_id(given: Any) -> bool:
    # As LangGraph tells the two forms of `Command(resume=...)` apart.
    return isinstance(given, dict) and given != {} and all(map(is_interrupt_id, cast("dict[object, Any]", given)))


def _payload(answer: Any) -> Payload:
    match answer:
        case {"reference": str(name), **others} if not others:
            return dict(Reference(name=name).to_json())
        case _:
            return {"json": answer}


def _listed(ids: Sequence[str]) -> str:
    return ", ".join(map(repr, ids))
