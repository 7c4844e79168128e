"""Values that travel with runs: rebuilt from what history carries, and made fit for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dapr_bridge._as_given import losses_of, made_good
from dapr_bridge._payloads import INLINE_BYTES, LOST, Payload, decode_kept, fits_inline, lost_in
from dapr_bridge._presenting import differ
from dapr_bridge.errors import CallRefusedError, ValueNotFoundError
from dapr_bridge.reference import Reference
from dapr_bridge.saver import DaprSaver
from dapr_bridge.saver.effects import arun
from dapr_bridge.saver.keys import payload_key
from dapr_bridge.saver.records import Codec

_NONE_INLINE = -1


class GivenReferenceError(CallRefusedError):
    """What a call brings is a reference, and nothing is saved under it."""


@dataclass(frozen=True, kw_only=True)
class RunValues:
    """The values of runs; those that are too large for history are in the saver."""

    saver: DaprSaver

    async def given(self, payload: Payload, *, what: str) -> Any:
        """Rebuild a value that a caller has sent; `what` names it in the error.

        Raises:
            GivenReferenceError: it is a reference, under which nothing is saved.
        """
        try:
            return await self.value(payload, what=what)
        except ValueNotFoundError as error:
            text = f"{error}: save the value with DaprSaver.aput_value before its reference is sent"
            raise GivenReferenceError(text) from error

    async def value(self, payload: Payload, *, what: str) -> Any:
        """Rebuild a value that has travelled."""
        value = decode_kept(payload, self.saver.serde, what=what)
        if not isinstance(value, Reference):
            return value
        saved = await self.saver.aget_value(value)
        return made_good(saved, await self.value(payload[LOST], what=what)) if LOST in payload else saved

    async def keep(self, value: Any, name: str, *, what: str, most: int = INLINE_BYTES) -> Payload:
        """Make a value fit for history: itself, or a reference to where it is saved under a name."""
        inline = fits_inline(value, self.saver.serde, what=what, most=most)
        return inline if inline is not None else dict((await self.saver.aput_value(name, value)).to_json())

    async def keep_given(self, value: Any, name: str, *, what: str) -> Payload:
        """Make what a caller has given fit for history, as `keep` does, and what the serializer loses of it."""
        kept = await self.keep(value, name, what=what)
        lost = lost_in(kept, value) if "reference" in kept else {}
        return {**kept, LOST: await self.keep(lost, _lost_of(name), what=what)} if lost else kept

    async def save_given(self, value: Any, name: str, *, what: str) -> Payload:
        """Save what somebody has given under a name, of whatever size; `given_under` the name returns the same."""
        kept = await self.keep(value, name, what=what, most=_NONE_INLINE)
        return {**kept, LOST: await self.keep(losses_of(value), _lost_of(name), what=what, most=_NONE_INLINE)}

    async def given_under(self, name: str) -> Payload:
        """Return how what is saved under a name travels; a worker of an older release has saved the value alone."""
        lost = _lost_of(name)
        noted = await arun(self.saver.store.read([payload_key(lost)]))
        return {**Reference(name=name).to_json(), **({LOST: Reference(name=lost).to_json()} if noted else {})}

    async def is_kept(self, value: Any, name: str) -> bool:
        """Whether what is saved under a name is this value, and not one that somebody else has saved before."""
        key, codec = payload_key(name), Codec(self.saver.serde)
        mine, found = codec.dump(value, what=name), await arun(self.saver.store.read([key]))
        if key not in found or found[key].data == mine:
            return True
        # An equal set may have been walked in another order.
        return not differ(codec.load(found[key].data), codec.load(mine))


def _lost_of(name: str) -> str:
    return f"{name}/lost"
