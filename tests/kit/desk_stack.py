"""The whole desk on free ports: a real Dapr, a real MCP server, the offline model, and the app as a process."""

import json
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from dapr_bridge import DaprStore
from dapr_bridge.testing import ControlPlane, Process, Sidecar, free_port, wait_until
from graph.memory import tickets_namespace

PROJECT = Path(__file__).resolve().parents[2]
APP_ID = "customer-support-system"

Json = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """An HTTP answer."""

    status: int
    body: Any
    headers: Mapping[str, str]


def copy_resources(folder: Path) -> Path:
    """Copy the project's components so that their files lie in `folder`."""
    copies = folder / "resources"
    copies.mkdir(parents=True, exist_ok=True)
    for component in (PROJECT / "resources").glob("*.yaml"):
        (copies / component.name).write_text(component.read_text().replace('".data/', f'"{folder}/'))
    return copies


@dataclass
class DeskStack:
    """Everything that `make run` starts, on free ports and with its data in a folder of its own.

    Each part is a `Process` that can be killed and started again.
    """

    folder: Path
    control_plane: ControlPlane
    settings: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.api_port, self.model_port, self.knowledge_port = free_port(), free_port(), free_port()
        self.model_url = f"http://127.0.0.1:{self.model_port}"
        self.url = f"http://127.0.0.1:{self.api_port}"
        self.sidecar = Sidecar(
            APP_ID,
            control_plane=self.control_plane,
            resources=copy_resources(self.folder),
            folder=self.folder,
            app_port=self.api_port,
            env={"OPENAI_BASE_URL": f"{self.model_url}/v1"},
            anchored=False,
        )
        self.model = self._process("model", "-m", "seed.offline_model", "--port", str(self.model_port))
        self.knowledge_base = self._process(
            "knowledge-base", "-m", "mcp_server", "--transport", "http", "--port", str(self.knowledge_port)
        )
        self.app = self._app({})

    def start(self) -> Self:
        """Start everything, load the sample data and wait until the desk is ready."""
        self.model.start()
        self.sidecar.start(wait=False)
        self.app.start()
        self.start_knowledge_base()
        self.model.wait_for_http(f"{self.model_url}/health")
        self.load_sample_data()
        self.wait_until_ready()
        return self

    def stop(self) -> None:
        """Stop everything but the control plane."""
        for process in (self.app, self.sidecar, self.knowledge_base, self.model):
            process.stop()

    def load_sample_data(self) -> None:
        """Run `python -m seed` against the sidecar."""
        seed = self._process("seed", "-m", "seed").start()
        while seed.is_running:
            time.sleep(0.02)
        assert "completed successfully" in seed.text(), seed.text()

    def start_knowledge_base(self) -> None:
        """Start the knowledge base, again."""
        self.knowledge_base.start()
        self.knowledge_base.wait_for_http(f"http://127.0.0.1:{self.knowledge_port}/health")

    def restart_app(self, **settings: str) -> None:
        """Stop the app in order and start it with other settings."""
        self.app.stop()
        self.app = self._app(settings)
        self.app.start()
        self.wait_until_ready()

    def process(self, name: str, *arguments: str, **settings: str) -> Process:
        """Return a Python process, not started, that finds all the parts of the stack."""
        return self._process(name, *arguments, **settings)

    @property
    def parts(self) -> tuple[Process, ...]:
        """Every process of the stack, without the control plane."""
        return (self.app, self.sidecar.process, self.knowledge_base, self.model)

    def wait_until_ready(self) -> None:
        """Wait until `/health/ready` says so."""
        self.app.wait_for_http(f"{self.url}/health/ready", seconds=60)

    # ----- HTTP ---------------------------------------------------------------------------------------------------

    def get(self, path: str) -> Answer:
        """GET a path of the API."""
        return call("GET", f"{self.url}{path}")

    def post(self, path: str, body: object = None) -> Answer:
        """POST JSON to a path of the API."""
        return call("POST", f"{self.url}{path}", body)

    def file(self, ticket_id: str, customer_id: str = "CUST001", description: str = "") -> None:
        """File a ticket that is accepted."""
        text = description or "Service invocation fails with ERR_DIRECT_INVOKE after the upgrade to Dapr 1.16."
        body = {"ticket_id": ticket_id, "customer_id": customer_id, "description": text}
        answer = self.post("/support/ticket", body)
        assert answer.status == 202, answer

    def ticket(self, ticket_id: str) -> Json:
        """Return everything on a ticket."""
        return self.get(f"/support/ticket/{ticket_id}").body

    def events(self, ticket_id: str) -> list[str]:
        """Return the kinds of the lines of a ticket's audit trail."""
        return [line["event"] for line in self.get(f"/support/ticket/{ticket_id}/history").body["history"]]

    def wait_for_stage(self, ticket_id: str, stage: str, *, seconds: float = 30) -> Json:
        """Wait until a ticket is in a stage, and return it."""
        return self.wait_for_ticket(ticket_id, lambda ticket: ticket["stage"] == stage, seconds=seconds, what=stage)

    def wait_for_ticket(
        self, ticket_id: str, condition: Callable[[Json], bool], *, what: str, seconds: float = 30
    ) -> Json:
        """Wait until a condition holds for a ticket, and return it."""
        deadline = time.monotonic() + seconds
        while True:
            ticket = self.ticket(ticket_id)
            if condition(ticket):
                return ticket
            if time.monotonic() > deadline:
                stood = ticket.get("stage"), ticket.get("attention")
                raise AssertionError(f"waited for {what}, ticket is {stood}\n{self.app.tail()}")
            time.sleep(0.02)

    def wait_for_status(self, ticket_id: str, status: str, *, seconds: float = 10) -> None:
        """Wait until Dapr says that a ticket's workflow is in a status."""
        wait_until(
            lambda: self.get(f"/support/status/{ticket_id}").body["status"] == status,
            what=f"workflow of {ticket_id} to be {status}",
            seconds=seconds,
        )

    def post_at_once(self, path: str, body: object, *, times: int) -> list[Answer]:
        """Send one request several times at the same moment."""
        with ThreadPoolExecutor(times) as pool:
            return list(pool.map(lambda _: self.post(path, body), range(times)))

    # ----- Dapr state ---------------------------------------------------------------------------------------------

    def read_state(self, store: str, key: str) -> Any:
        """Return what a state store holds under a key."""
        return call("GET", f"http://127.0.0.1:{self.sidecar.http_port}/v1.0/state/{store}/{key}").body

    def read_memory(self, customer_id: str) -> list[Json]:
        """Return what is remembered of a customer's solved tickets."""
        with DaprStore("memory-state", address=self.sidecar.address) as store:
            return [item.value for item in store.search(tickets_namespace(customer_id), limit=100)]

    # ----- the model's far end ------------------------------------------------------------------------------------

    def model_calls(self) -> list[Json]:
        """Return the calls that the offline model has counted."""
        return call("GET", f"{self.model_url}/calls").body["calls"]

    def forget_calls(self) -> None:
        """Let the offline model count from zero."""
        call("DELETE", f"{self.model_url}/calls")

    def order_fault(self, kind: str, *, count: int, node: str | None = None, **more: object) -> None:
        """Let the offline model fail."""
        assert (
            call("POST", f"{self.model_url}/faults", {"kind": kind, "count": count, "node": node, **more}).status == 201
        )

    def forget_faults(self) -> None:
        """Let the offline model work again."""
        call("DELETE", f"{self.model_url}/faults")

    # ----- processes ----------------------------------------------------------------------------------------------

    def _app(self, settings: Mapping[str, str]) -> Process:
        return self._process("app", "-m", "api", "--role", "all", "--port", str(self.api_port), **settings)

    def _process(self, name: str, *arguments: str, **settings: str) -> Process:
        env = {
            **self.sidecar.environment(),
            "OPENAI_BASE_URL": f"{self.model_url}/v1",
            "KNOWLEDGE_BASE_URL": f"http://127.0.0.1:{self.knowledge_port}/mcp",
            "DATABASE_URL": f"sqlite+aiosqlite:///{self.folder}/desk.db",
            "SWEEP_INTERVAL": "1s",
            # A session starts many processes; compiling their imports anew each time takes seconds.
            "PYTHONDONTWRITEBYTECODE": "",
            **self.settings,
            **settings,
        }
        return Process([sys.executable, *arguments], log=self.folder / f"{name}.log", env=env, cwd=self.folder)

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.stop()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def events_of_solved(*, queries: int) -> list[str]:
    """Return the kinds of the lines that a solved ticket's audit trail has when nothing went wrong."""
    asked = ["knowledge_base_queried"] * queries
    return ["received", "started", "triage_done", *asked, "solution_proposed", "decision", "notified"]


def call(method: str, url: str, body: object = None) -> Answer:
    """Send a request and return the answer, whatever its status."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return _answer(response.status, response.read(), response.headers)
    except urllib.error.HTTPError as error:
        with error:
            return _answer(error.code, error.read(), error.headers)


def _answer(status: int, body: bytes, headers: Any) -> Answer:
    return Answer(status=status, body=json.loads(body) if body else None, headers=dict(headers))
