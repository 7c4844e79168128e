"""The public names of the package, pinned, and what must not be installed beside it."""

from __future__ import annotations

from importlib import metadata

import pytest

import dapr_bridge
import dapr_bridge.testing
from dapr_bridge import BridgeError

TOOLS = {
    "DaprSaver",
    "DaprStore",
    "DurableGraph",
    "GraphResult",
    "GraphWorker",
    "Patience",
    "PurgeReport",
    "Reference",
    "Unit",
    "call_graph",
    "purge_threads",
    "wait_for",
}


def _is_exception(each: object) -> bool:
    return isinstance(each, type) and issubclass(each, BridgeError)


def test_the_package_offers_these_names_and_its_exceptions() -> None:
    exceptions = {name for name in dapr_bridge.__all__ if _is_exception(getattr(dapr_bridge, name))}

    assert set(dapr_bridge.__all__) - exceptions == TOOLS


def test_the_testing_package_offers_these_names() -> None:
    assert set(dapr_bridge.testing.__all__) == {
        "ControlPlane",
        "Process",
        "Runtime",
        "Sidecar",
        "find_runtime",
        "free_port",
        "local_dapr",
        "wait_until",
    }


def test_every_exception_is_drawn_in_the_tree() -> None:
    drawing = dapr_bridge.errors.__doc__ or ""
    raised = [name for name, each in vars(dapr_bridge.errors).items() if _is_exception(each)]

    assert [name for name in raised if name not in drawing] == []


@pytest.mark.parametrize("package", ["dapr-ext-workflow", "dapr-ext-fastapi", "dapr-ext-langgraph"])
def test_the_older_packages_that_overwrite_newer_files_are_absent(package: str) -> None:
    with pytest.raises(metadata.PackageNotFoundError):
        metadata.distribution(package)
