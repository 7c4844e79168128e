"""What a process says while it waits for a sidecar that does not answer."""

from __future__ import annotations

import logging
import threading
from collections.abc import Generator
from contextlib import contextmanager

from dapr_bridge.saver.sidecar import target_of

logger = logging.getLogger(__name__)

_FIRST_SECONDS, _NEXT_SECONDS = 5.0, 60.0


@contextmanager
def telling_of_absence(address: str | None) -> Generator[None]:
    """Warn after some seconds, and then now and then, for as long as the block waits for the sidecar."""
    is_over = threading.Event()
    teller = threading.Thread(target=_tell, args=(target_of(address), is_over), name="SidecarAbsence", daemon=True)
    teller.start()
    try:
        yield
    finally:
        is_over.set()
        teller.join()


def _tell(target: str, is_over: threading.Event) -> None:
    seconds = _FIRST_SECONDS
    while not is_over.wait(seconds):
        logger.warning(
            "no sidecar answers at %s yet; start this under `dapr run ...`, or give `address=`",
            target,
            extra={"address": target},
        )
        seconds = _NEXT_SECONDS
