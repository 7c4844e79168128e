"""The whole desk, once for these tests."""

from collections.abc import Iterator

import pytest

from dapr_bridge.testing import ControlPlane
from tests.kit.desk_stack import DeskStack


@pytest.fixture(scope="session")
def stack(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DeskStack]:
    """Everything that `make run` starts, on free ports."""
    with DeskStack(tmp_path_factory.mktemp("desk"), control_plane) as stack:
        yield stack


@pytest.fixture(autouse=True)
def _healthy_model(stack: DeskStack) -> Iterator[None]:
    """No test inherits another one's faults."""
    stack.forget_calls()
    yield
    stack.forget_faults()
