"""Views of a saver: over the same connection, locks and cache, for who may do or see less."""

from __future__ import annotations

from collections.abc import Callable, Collection
from copy import copy
from typing import Any, Self

from dapr_bridge.saver.documents import ALL, Glimpse
from dapr_bridge.saver.sidecar import Holder
from dapr_bridge.saver.store import StateStore

_OF_A_VIEW = frozenset({"_viewed", "_is_fenced", "_glimpse", "store", "serde"})


class Viewed:
    """What makes views of a saver.

    Attributes:
        store: the state store.
    """

    store: StateStore
    _is_fenced: bool = False
    _glimpse: Glimpse = ALL
    _viewed: Viewed | None = None

    def fenced(self) -> Self:
        """Return a view of this saver for a run that nobody else may drive, over the same connection and cache.

        Its `put` succeeds only when the latest checkpoint of the namespace is the parent of the new one, or the new one
        itself; else it raises `StaleWriterError`. This saver's own `put` stays free, as for a person's `update_state`
        or fork.
        """
        view = self._view()
        view._is_fenced = True
        return view

    def on_behalf_of(self, holder: Holder) -> Self:
        """Return a view of this saver for a run that saves something only as long as it has its thread.

        Args:
            holder: tells whether it has, each time before something is sent.
        """
        view = self._view()
        view.store = self.store.on_behalf_of(holder)
        return view

    def glimpsing(self, *, hides: Callable[[str], bool], without: Collection[str]) -> Self:
        """Return a view of this saver for one task of many, which reads no more than concerns it.

        Args:
            hides: tells, by task id, whose writes on a checkpoint of the root graph are left out.
            without: channels of the root graph whose values are left out.
        """
        view = self._view()
        view._glimpse = Glimpse(hides=hides, without=without)
        return view

    def _view(self) -> Self:
        view = copy(self)
        view._viewed = self
        return view

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        # Each attempt at a run has a view of its own: what a subclass notes is to outlast it.
        if self._viewed is not None and name not in _OF_A_VIEW:
            setattr(self._viewed, name, value)
