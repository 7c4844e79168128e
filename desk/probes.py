"""Readiness: whether each thing that the desk needs answers right now."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import httpx2

from desk.errors import NotReadyError
from desk.settings import Settings

_SECONDS = 2.0


@dataclass(frozen=True, kw_only=True)
class Check:
    """One thing that the desk needs; `detail` says what was found."""

    name: str
    is_ready: bool
    detail: str


class Probes:
    """Asks the sidecar, the workflow engine, the knowledge base and the model.

    Args:
        settings: where they are.
        needs_worker: whether a worker has to be connected to this sidecar; that of an API alone may have none.
        http: a client to ask with, instead of one for each check.
    """

    def __init__(
        self, settings: Settings, *, needs_worker: bool = True, http: httpx2.AsyncClient | None = None
    ) -> None:
        self._settings = settings
        self._needs_worker = needs_worker
        self._http = http

    async def check(self) -> tuple[Check, ...]:
        """Probe everything at once, each with a short timeout."""
        client = self._http or httpx2.AsyncClient(timeout=_SECONDS, trust_env=False)
        try:
            return tuple(
                await asyncio.gather(
                    _run("sidecar", lambda: self._sidecar(client)),
                    _run("workflow_engine", lambda: self._workflow_engine(client)),
                    _run("knowledge_base", lambda: self._knowledge_base(client)),
                    _run("model", lambda: self._model(client)),
                )
            )
        finally:
            if self._http is None:
                await client.aclose()

    async def _sidecar(self, client: httpx2.AsyncClient) -> str:
        answer = await client.get(f"{self._settings.dapr_http_url}/v1.0/healthz/outbound")
        _expect(answer.is_success, f"HTTP {answer.status_code}")
        return "answers"

    async def _workflow_engine(self, client: httpx2.AsyncClient) -> str:
        answer = await client.get(f"{self._settings.dapr_http_url}/v1.0/metadata")
        _expect(answer.is_success, f"HTTP {answer.status_code}")
        if not self._needs_worker:
            return "workers connect to sidecars of their own"
        metadata = answer.json()
        actors = metadata.get("actorRuntime", {})
        _expect(bool(actors.get("hostReady")), f"actor host is {actors.get('runtimeStatus', 'absent')}")
        workers = metadata.get("workflows", {}).get("connectedWorkers", 0)
        _expect(workers > 0, "no worker is connected")
        return f"{workers} connected worker(s)"

    async def _knowledge_base(self, client: httpx2.AsyncClient) -> str:
        # An MCP endpoint answers a plain GET with a stream that does not end, or turns it down: either will do.
        async with client.stream("GET", str(self._settings.knowledge_base_url)) as answer:
            _expect(answer.status_code < httpx2.codes.INTERNAL_SERVER_ERROR, f"HTTP {answer.status_code}")
        return "answers"

    async def _model(self, client: httpx2.AsyncClient) -> str:
        settings = self._settings
        headers = {"Authorization": f"Bearer {settings.model_api_key.get_secret_value()}"}
        answer = await client.get(f"{settings.model_base_url.rstrip('/')}/models", headers=headers)
        _expect(answer.status_code not in (401, 403), "OPENAI_API_KEY is refused")
        _expect(answer.status_code < httpx2.codes.INTERNAL_SERVER_ERROR, f"HTTP {answer.status_code}")
        return settings.model_name


async def _run(name: str, probe: Callable[[], Awaitable[str]]) -> Check:
    try:
        async with asyncio.timeout(_SECONDS):
            return Check(name=name, is_ready=True, detail=await probe())
    except NotReadyError as error:
        return Check(name=name, is_ready=False, detail=str(error))
    except TimeoutError:
        return Check(name=name, is_ready=False, detail=f"no answer in {_SECONDS:g} s")
    except (httpx2.HTTPError, ValueError) as error:
        return Check(name=name, is_ready=False, detail=f"{type(error).__name__}: {error}")


def _expect(condition: bool, problem: str) -> None:  # noqa: FBT001 - reads like assert
    if not condition:
        raise NotReadyError(problem)
