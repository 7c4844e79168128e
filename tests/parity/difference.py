"""Where two things that should be equal differ, one line for each place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_SHOWN = 300
_NOTHING = object()


def differences(native: Any, bridged: Any, *, path: str = "") -> Iterator[str]:
    """Name each place where the bridge's side differs from LangGraph's."""
    match native, bridged:
        case Mapping(), Mapping():
            for key in dict.fromkeys([*native, *bridged]):
                yield from differences(
                    native.get(key, _NOTHING), bridged.get(key, _NOTHING), path=f"{path}.{key}" if path else str(key)
                )
        case (list(), list()) | (tuple(), tuple()):
            for index in range(max(len(native), len(bridged))):
                yield from differences(_item(native, index), _item(bridged, index), path=f"{path}[{index}]")
        case _ if native != bridged or type(native) is not type(bridged):
            yield f"{path}: LangGraph {_show(native)}, the bridge {_show(bridged)}"
        case _:
            pass


def _item(sequence: Any, index: int) -> Any:
    return sequence[index] if index < len(sequence) else _NOTHING


def _show(value: Any) -> str:
    return "nothing" if value is _NOTHING else repr(value)[:_SHOWN]
