"""Agents with middleware: LangChain's own, and one's own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, NotRequired

from langchain.agents import AgentState, create_agent
from langchain.agents.middleware import (
    AgentMiddleware,
    HumanInTheLoopMiddleware,
    ModelRequest,
    ModelResponse,
    PIIMiddleware,
    SummarizationMiddleware,
    TodoListMiddleware,
    ToolRetryMiddleware,
    after_model,
    before_model,
    hook_config,
)
from langchain.agents.middleware.types import ToolCallRequest
from langchain_core.documents import Document
from langchain_core.messages import AIMessage, HumanMessage, RemoveMessage, ToolMessage
from langchain_core.tools import tool
from langgraph.runtime import Runtime
from langgraph.types import Command

from tests.parity.shape import Answer, AnyGraph, Ask, Shape, fails_times
from tests.parity.shapes.agent_models import ToldModel, measure, reverse, says


class CountState(AgentState[Any]):
    """What is counted, beside the messages."""

    calls: NotRequired[int]


class Counting(AgentMiddleware[CountState, Any, Any]):
    """Counts, and changes what the model and the tools are given and give."""

    state_schema = CountState

    async def abefore_agent(self, state: CountState, runtime: Runtime[Any]) -> dict[str, Any]:
        """Begin."""
        return {"calls": 0}

    async def abefore_model(self, state: CountState, runtime: Runtime[Any]) -> dict[str, Any]:
        """Count."""
        return {"calls": state.get("calls", 0) + 1}

    async def awrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], Awaitable[ModelResponse[Any]]]
    ) -> ModelResponse[Any]:
        """Offer `reverse` from the second call on."""
        chosen = [each for each in request.tools if request.state.get("calls", 0) > 1 or each is not reverse]
        return await handler(request.override(tools=chosen))

    async def awrap_tool_call(
        self,
        request: ToolCallRequest,
        handler: Callable[[ToolCallRequest], Awaitable[ToolMessage | Command[Any]]],
    ) -> ToolMessage | Command[Any]:
        """Add to what a tool says, or answer for one that failed."""
        try:
            said = await handler(request)
        except ValueError as error:
            return ToolMessage(f"no: {error}", tool_call_id=request.tool_call["id"] or "", status="error")
        assert isinstance(said, ToolMessage)
        return said.model_copy(update={"content": f"{said.content}!"})

    async def aafter_agent(self, state: CountState, runtime: Runtime[Any]) -> dict[str, Any]:
        """Say how often the model was called."""
        return {"messages": [AIMessage(f"{state.get('calls')} calls", id="count")]}


@before_model(can_jump_to=["end"])
async def stop_at_secrets(state: AgentState[Any], runtime: Runtime[Any]) -> dict[str, Any] | None:
    """End when a secret is told."""
    if "secret" not in str(state["messages"][-1].content):
        return None
    return {"messages": [AIMessage("no secrets", id="refusal")], "jump_to": "end"}


@after_model
@hook_config(can_jump_to=["model"])
async def ask_again(state: AgentState[Any], runtime: Runtime[Any]) -> dict[str, Any] | None:
    """Have the model answer once more, without what it was told."""
    if len(state["messages"]) != 2:
        return None
    last = state["messages"][-1]
    more = HumanMessage("measure again, measure more", id="again")
    return {"messages": [RemoveMessage(id=last.id or ""), more], "jump_to": "model"}


@tool(response_format="content_and_artifact")
async def look_up(word: str) -> tuple[str, list[Document]]:
    """Look a word up."""
    return f"found {word}", [Document(page_content=f"all about {word}", metadata={"id": word})]


@before_model
async def cite(state: AgentState[Any], runtime: Runtime[Any]) -> dict[str, Any] | None:
    """Say where it was found."""
    found = [each.artifact for each in state["messages"] if isinstance(each, ToolMessage)]
    cited = ", ".join(document.page_content for documents in found for document in documents)
    return {"messages": [AIMessage(cited, id="cited")]} if cited else None


def agent_that_cites_what_its_tools_found() -> AnyGraph:
    return create_agent(ToldModel(), [look_up], middleware=[cite])


def agent_with_middleware_of_its_own() -> AnyGraph:
    return create_agent(ToldModel(), [measure, reverse], middleware=[Counting()])


def agent_that_jumps() -> AnyGraph:
    return create_agent(ToldModel(), [measure, reverse], middleware=[stop_at_secrets, ask_again])


def agent_whose_actions_are_reviewed() -> AnyGraph:
    review = HumanInTheLoopMiddleware(interrupt_on={"measure": True, "reverse": {"allowed_decisions": ["approve"]}})
    return create_agent(ToldModel(), [measure, reverse], middleware=[review])


def agent_whose_actions_are_reviewed_one_by_one() -> AnyGraph:
    review = HumanInTheLoopMiddleware(interrupt_on={"measure": True}, interrupt_mode="per_call")
    return create_agent(ToldModel(), [measure, reverse], middleware=[review])


def agent_that_sums_up() -> AnyGraph:
    summing = SummarizationMiddleware(
        ToldModel(), trigger=("messages", 6), keep=("messages", 3), summary_prompt="Sum up: {messages}"
    )
    return create_agent(ToldModel(), [measure, reverse], middleware=[summing])


def agent_with_a_list_of_todos() -> AnyGraph:
    return create_agent(ToldModel(), [measure], middleware=[TodoListMiddleware()])


def agent_that_keeps_addresses_to_itself() -> AnyGraph:
    redact = PIIMiddleware("email", strategy="redact", apply_to_tool_results=True)
    block = PIIMiddleware("ip", strategy="block")
    return create_agent(ToldModel(), [measure], middleware=[redact, block])


def retry_of_an_agents_tool() -> AnyGraph:
    maybe_fail = fails_times(2, ValueError("not yet"))

    @tool
    async def flaky(word: str) -> str:
        """Fail twice."""
        maybe_fail()
        return f"{word} at last"

    again = ToolRetryMiddleware(max_retries=2, initial_delay=0, jitter=False)
    return create_agent(ToldModel(), [flaky, measure], middleware=[again])


def _decide(*decisions: dict[str, Any]) -> Answer:
    return Answer([{"decisions": list(decisions)}])


_APPROVE = {"type": "approve"}
_EDIT = {"type": "edit", "edited_action": {"name": "measure", "args": {"word": "edited"}}}
_REJECT = {"type": "reject", "message": "not this one"}
_RESPOND = {"type": "respond", "message": "three letters"}

SHAPES = (
    Shape(
        build=agent_with_middleware_of_its_own,
        script=[says("measure one, reverse two; reverse broken, reverse three"), says("measure four")],
    ),
    Shape(build=agent_that_cites_what_its_tools_found, script=[says("look_up one, look_up two")]),
    Shape(build=agent_that_jumps, script=[says("measure one, reverse two"), says("a secret"), says("measure a")]),
    Shape(
        build=agent_whose_actions_are_reviewed,
        script=[
            says("measure one, measure two, measure three, measure four, reverse five; reverse six"),
            _decide(_APPROVE, _EDIT, _REJECT, _RESPOND, _APPROVE),
            _decide(_APPROVE),
            says("reverse seven"),
            _decide(_REJECT),
        ],
    ),
    Shape(
        build=agent_whose_actions_are_reviewed_one_by_one,
        script=[says("measure one, measure two, reverse three, measure four"), Answer([_APPROVE, _EDIT, _REJECT])],
    ),
    Shape(build=agent_that_sums_up, script=[says("measure one, reverse two; measure three"), says("reverse four")]),
    Shape(build=agent_with_a_list_of_todos, script=[says("write_todos one, measure two; write_todos three")]),
    Shape(
        build=agent_that_keeps_addresses_to_itself,
        script=[says("measure me@example.com, measure two"), says("measure 192.168.1.1"), Ask(None)],
    ),
    Shape(build=retry_of_an_agents_tool, script=[says("flaky one, measure two")]),
)
