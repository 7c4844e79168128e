"""The HTTP side of the offline model."""

import asyncio
import logging
from dataclasses import dataclass, field
from time import perf_counter
from typing import Annotated

from fastapi import FastAPI, Header
from fastapi.responses import JSONResponse, Response, StreamingResponse

from seed.offline_model.answering import answer_kind, give_answer
from seed.offline_model.calls import Call, CallLog, CallReport
from seed.offline_model.completion import CREATED, MODEL_NAME, Completion, as_events
from seed.offline_model.errors import error_response, install_error_handlers
from seed.offline_model.faults import FaultOrder, FaultPlan
from seed.offline_model.protocol import ChatRequest

logger = logging.getLogger(__name__)

REFUSALS = {
    "401": (401, "The offline model was asked to refuse the key.", "invalid_request_error", "invalid_api_key"),
    "429": (429, "The offline model was asked to be overloaded.", "rate_limit_error", "rate_limit_exceeded"),
    "500": (500, "The offline model was asked to fail.", "server_error", "server_error"),
}
MODEL_CARD = {"id": MODEL_NAME, "object": "model", "created": CREATED, "owned_by": "offline"}


def create_app() -> FastAPI:
    """Build the server with a call log and a fault plan of its own."""
    app = FastAPI(title="Offline model", version="1", description="OpenAI-compatible, deterministic, extractive.")
    install_error_handlers(app)
    server = _Server()
    app.add_api_route("/v1/chat/completions", server.complete_chat, methods=["POST"])
    app.add_api_route("/v1/models", server.list_models, methods=["GET"])
    app.add_api_route("/v1/models/{model}", server.get_model, methods=["GET"])
    app.add_api_route("/calls", server.list_calls, methods=["GET"])
    app.add_api_route("/calls", server.forget_calls, methods=["DELETE"], status_code=204)
    app.add_api_route("/faults", server.order_fault, methods=["POST"], status_code=201)
    app.add_api_route("/faults", server.forget_faults, methods=["DELETE"], status_code=204)
    app.add_api_route("/health", server.report_health, methods=["GET"])
    return app


@dataclass(frozen=True)
class _Server:
    log: CallLog = field(default_factory=CallLog)
    faults: FaultPlan = field(default_factory=FaultPlan)

    async def complete_chat(
        self,
        request: ChatRequest,
        x_graph_node: Annotated[str | None, Header()] = None,
        x_task_id: Annotated[str | None, Header()] = None,
    ) -> Response:
        """Answer a conversation."""
        call = self.log.open(node=x_graph_node, task_id=x_task_id, stream=bool(request.stream))
        started = perf_counter()
        try:
            response = await _respond(request, call, self.faults.take(x_graph_node))
        except Exception:
            call.status = 500
            logger.exception("model call %s failed", call.sequence, extra=_extra(call))
            raise
        call.status = response.status_code
        _report(call, seconds=perf_counter() - started)
        return response

    async def list_models(self) -> dict[str, object]:
        """List the only model."""
        return {"object": "list", "data": [MODEL_CARD]}

    async def get_model(self, model: str) -> Response:
        """Describe the only model."""
        if model == MODEL_NAME:
            return JSONResponse(MODEL_CARD)
        message = f"The model {model!r} does not exist; there is {MODEL_NAME!r}."
        return error_response(404, message, kind="invalid_request_error", code="model_not_found", param="model")

    async def list_calls(self) -> CallReport:
        """Report the calls since the last reset."""
        return self.log.report()

    async def forget_calls(self) -> None:
        """Start counting at zero."""
        self.log.clear()

    async def order_fault(self, fault: FaultOrder) -> FaultOrder:
        """Order faults for the next calls."""
        self.faults.order(fault)
        return fault

    async def forget_faults(self) -> None:
        """Withdraw every order."""
        self.faults.clear()

    async def report_health(self) -> dict[str, str]:
        """Say that the server lives."""
        return {"status": "ok", "model": MODEL_NAME}


async def _respond(request: ChatRequest, call: Call, fault: FaultOrder | None) -> Response:
    if fault is not None:
        call.fault = fault.kind
        if fault.kind in REFUSALS:
            status, message, kind, code = REFUSALS[fault.kind]
            return error_response(status, message, kind=kind, code=code)
        if fault.kind == "slow":
            await asyncio.sleep(fault.seconds)
    answer = await asyncio.to_thread(give_answer, request)
    call.kind = answer_kind(request, answer)
    shown = answer.cut_off() if call.fault == "malformed" else answer
    return _write(request, Completion(answer=shown, prompt="\n".join(message.text for message in request.messages)))


def _write(request: ChatRequest, completion: Completion) -> Response:
    if not request.stream:
        return JSONResponse(completion.body())
    include_usage = bool(request.stream_options and request.stream_options.include_usage)
    return StreamingResponse(as_events(completion.chunks(include_usage=include_usage)), media_type="text/event-stream")


def _report(call: Call, *, seconds: float) -> None:
    message = "model call %s answered: node=%s kind=%s status=%s fault=%s %.1f ms"
    logger.info(
        message, call.sequence, call.node, call.kind, call.status, call.fault, seconds * 1000, extra=_extra(call)
    )


def _extra(call: Call) -> dict[str, str | None]:
    return {"node": call.node, "task_id": call.task_id}
