"""Several agents: one as a tool of another, handoffs, and a supervisor."""

from __future__ import annotations

from typing import Any, NotRequired

from langchain.agents import AgentState, create_agent
from langchain.agents.middleware import ModelCallLimitMiddleware
from langchain.tools import ToolRuntime
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.tools import BaseTool, tool
from langgraph.graph import START, StateGraph
from langgraph.types import Command

from tests.parity.shape import Answer, AnyGraph, Shape
from tests.parity.shapes.agent_models import ToldModel, approve, measure, reverse, says


class TeamState(AgentState[Any]):
    """What two agents share."""

    active: NotRequired[str]


def _handoff(to: str) -> BaseTool:
    @tool(f"to_{to}")
    async def hand_over(word: str, runtime: ToolRuntime[None, AgentState[Any]]) -> Command[Any]:
        """Hand over to the other agent."""
        calls = next(each for each in reversed(runtime.state["messages"]) if isinstance(each, AIMessage))
        said = ToolMessage(f"over to {to}", tool_call_id=runtime.tool_call_id or "", id=f"over-{word}")
        asks = HumanMessage(f"measure {word}, reverse {word}", id=f"asks-{word}")
        return Command(goto=to, graph=Command.PARENT, update={"active": to, "messages": [calls, said, asks]})

    return hand_over


def agents_that_hand_over() -> AnyGraph:
    graph = StateGraph(TeamState)
    graph.add_node(
        "front", create_agent(ToldModel(), [_handoff("back"), measure], name="front"), destinations=("back",)
    )
    graph.add_node("back", create_agent(ToldModel(), [_handoff("front"), measure, reverse, approve], name="back"))
    graph.add_conditional_edges(START, lambda state: state.get("active", "front"), ["front", "back"])
    return graph.compile()


def _expert(name: str, tools: list[BaseTool]) -> BaseTool:
    agent = create_agent(ToldModel(), tools, name=name)

    @tool(f"ask_{name}")
    async def ask(word: str) -> str:
        """Ask an expert."""
        told = ", ".join(f"{each.name} {word}" for each in tools)
        ended = await agent.ainvoke({"messages": [HumanMessage(told, id=f"for-{name}")]})
        return str(ended["messages"][-1].content)

    return ask


def agents_as_tools_of_an_agent() -> AnyGraph:
    return create_agent(ToldModel(), [_expert("measurer", [measure]), _expert("turner", [reverse, measure])])


def agent_as_a_tool_that_asks() -> AnyGraph:
    return create_agent(ToldModel(), [_expert("asker", [approve, measure]), measure])


def agents_with_a_supervisor() -> AnyGraph:
    graph = StateGraph(TeamState)
    boss = create_agent(ToldModel(), [_handoff("worker"), measure], name="boss")
    graph.add_node("boss", boss, destinations=("worker",))
    # Its count is saved nowhere; it needs no more, for an agent within a graph is in one task of that.
    limit = ModelCallLimitMiddleware(run_limit=1)
    graph.add_node("worker", create_agent(ToldModel(), [measure, reverse], name="worker", middleware=[limit]))
    graph.add_edge(START, "boss")
    graph.add_edge("worker", "boss")
    return graph.compile()


SHAPES = (
    Shape(build=agents_that_hand_over, script=[says("to_back one"), says("approve two, measure two"), Answer(["yes"])]),
    Shape(
        build=agents_as_tools_of_an_agent,
        script=[says("ask_measurer one, ask_turner two, ask_measurer three; ask_turner four")],
    ),
    Shape(
        build=agent_as_a_tool_that_asks,
        script=[says("ask_asker red, measure red, ask_asker blue"), Answer(["yes", "no"])],
    ),
    Shape(build=agents_with_a_supervisor, script=[says("measure one; to_worker two"), says("to_worker three")]),
)
