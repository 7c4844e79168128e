"""A pytest plugin that runs LangGraph's own tests through the bridge, or just looks on.

Loaded with `-p parity.langgraph_suite.plugin` into a pytest that runs in the folder of LangGraph's tests.
PARITY_ROUTE says how: `native` (nothing is changed), `saver` (only the saver is ours), or a unit.
PARITY_LOG names the file to which each test's outcome goes, one JSON object a line.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import langchain_core.language_models.base as language_models
import langgraph.checkpoint.memory
import pytest
from kit.late_worker import LateWorker
from kit.stores import write_component, write_sqlite_store

from dapr_bridge.testing import ControlPlane, Sidecar, find_runtime

from .routing import Router, inside, route
from .saver import RoutedSaver, Stores

_STORES = 12
_HOME = Path(__file__).resolve().parents[3]


class Watcher:
    """Writes down how each test ended."""

    def __init__(self, log: Path, *, router: Router | None = None, stores: Stores | None = None) -> None:
        self._log, self._router, self._stores = log, router, stores

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[Any]) -> Iterator[None]:
        """Note the outcome of the test itself, and a failure to set it up."""
        report: Any = yield
        if call.when == "call" or (call.when == "setup" and not report.passed):
            self._note(item, report, call.excinfo)
        return report

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_teardown(self, nextitem: pytest.Item | None) -> None:
        """Forget what the test has made."""
        if self._router:
            self._router.reset()
        if self._stores:
            self._stores.clear()

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Have LangGraph's fixture for its saver in memory make ours."""
        if self._stores:
            conftest: Any = sys.modules["tests.conftest"]
            conftest._checkpointer_memory = _routed_saver

    def _note(self, item: pytest.Item, report: pytest.TestReport, caught: pytest.ExceptionInfo[Any] | None) -> None:
        record = {
            "test": item.nodeid,
            "outcome": report.outcome,
            "calls": self._router.calls if self._router else 0,
            "left_out": sorted(self._router.left_out) if self._router else [],
            "error": f"{caught.type.__name__}: {caught.value}"[:2000] if caught and report.failed else "",
        }
        with self._log.open("a") as log:
            log.write(json.dumps(record) + "\n")


@contextmanager
def _routed_saver() -> Iterator[RoutedSaver]:
    yield RoutedSaver()


def pytest_configure(config: pytest.Config) -> None:
    """Set the scene before LangGraph's tests are imported."""
    # They expect that LangChain's own package is not installed, whose version models would tell.
    models: Any = language_models
    models._get_langchain_version = lambda: None
    log, how = Path(os.environ["PARITY_LOG"]), os.environ["PARITY_ROUTE"]
    if how == "native":
        config.pluginmanager.register(Watcher(log))
        return
    with ExitStack() as stack:
        stores = RoutedSaver.stores = stack.enter_context(_dapr())
        memory: Any = langgraph.checkpoint.memory
        memory.InMemorySaver = memory.MemorySaver = RoutedSaver
        router = None
        if how != "saver":
            worker = LateWorker(unit=how, address=stores.address, wrap=inside)
            worker.start()
            stack.callback(worker.stop)
            router = Router(worker, stores.address)
            route(router)
        config.pluginmanager.register(Watcher(log, router=router, stores=stores))
        config.add_cleanup(stack.pop_all().close)


@contextmanager
def _dapr() -> Iterator[Stores]:
    """Run a daprd with a state store for each saver of a test."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        resources = folder / "resources"
        databases = {f"suite-{number}": folder / f"suite-{number}.db" for number in range(_STORES)}
        write_sqlite_store(resources, "actors", folder / "actors.db", actors=True)
        for name, database in databases.items():
            write_sqlite_store(resources, name, database)
        write_component(resources, "message-pubsub", "pubsub.in-memory")
        runtime = find_runtime([_HOME / ".dapr-runtime" / "bin"])
        plane = stack.enter_context(ControlPlane(folder, runtime=runtime))
        daprd = stack.enter_context(Sidecar("suite", control_plane=plane, resources=resources, folder=folder))
        yield Stores(databases, address=daprd.address)
