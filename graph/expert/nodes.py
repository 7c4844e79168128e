"""The nodes of the expert graph."""

from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage, ToolCall
from langgraph.runtime import Runtime
from langgraph.types import Send

from graph.answers import ask_for
from graph.expert import prompts
from graph.expert.analysis import ExpertAnswer, admit_nothing, build_analysis, check_citations, passages_of
from graph.expert.planning import QUERY_TOOL, plan_first_round, plan_second_round
from graph.expert.state import ExpertState, KnowledgeQuery, QueryRequest
from graph.memory import recall_tickets
from graph.model import call_model
from graph.ports import KnowledgeBase

ROUNDS = 2
PASSAGES_PER_QUERY = 4

Update = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class ExpertNodes:
    """The nodes, with what they need from outside."""

    knowledge_base: KnowledgeBase
    model: BaseChatModel

    async def recall_tickets(self, state: ExpertState, *, runtime: Runtime[None]) -> Update:
        """Read the customer's last solved tickets, when there is a store."""
        return {"earlier": await recall_tickets(runtime.store, state["triage"]["customer_id"])}

    async def plan_queries(self, state: ExpertState, *, runtime: Runtime[None]) -> Update:
        """Let the model plan the search, and complete its plan."""
        calls = await self._ask_for_queries(prompts.plan_messages(state), node="expert.plan_queries", runtime=runtime)
        return {"requests": plan_first_round(calls, problem=_problem(state))}

    async def query_knowledge_base(self, state: QueryRequest) -> Update:
        """Ask the knowledge base one query."""
        passages = await self.knowledge_base.search(
            state["query"], category=state["category"], limit=PASSAGES_PER_QUERY
        )
        return {"queries": [KnowledgeQuery(**state, passages=passages)]}

    async def review_results(self, state: ExpertState, *, runtime: Runtime[None]) -> Update:
        """Let the model ask once more; after the last round there is nothing to ask."""
        if max(query["round"] for query in state["queries"]) >= ROUNDS:
            return {"requests": []}
        calls = await self._ask_for_queries(
            prompts.review_messages(state), node="expert.review_results", runtime=runtime
        )
        return {"requests": plan_second_round(calls, asked=state["queries"])}

    async def write_analysis(self, state: ExpertState, *, runtime: Runtime[None]) -> Update:
        """Let the model write the analysis, and accept only what stands on retrieved articles."""
        retrieved = {passage["article_id"] for passage in passages_of(state["queries"])}
        answer = await ask_for(
            ExpertAnswer,
            model=self.model,
            messages=prompts.analysis_messages(state),
            node="expert.write_analysis",
            runtime=runtime,
            check=partial(check_citations, retrieved=retrieved),
        )
        return {"analysis": build_analysis(answer, state["queries"])}

    async def admit_nothing(self, state: ExpertState) -> Update:
        """Say that nothing was found, without asking a model that could invent something."""
        return {"analysis": admit_nothing(state["triage"]["summary"], state["queries"])}

    async def _ask_for_queries(
        self, messages: list[BaseMessage], *, node: str, runtime: Runtime[None]
    ) -> list[ToolCall]:
        model = self.model.bind_tools(prompts.TOOLS, parallel_tool_calls=True)
        return (await call_model(model, messages, node=node, runtime=runtime)).tool_calls


def send_queries(state: ExpertState) -> list[Send]:
    """Send every planned query at once, each as a task of its own."""
    return [Send(QUERY_TOOL, request) for request in state["requests"]]


def route_after_review(state: ExpertState) -> list[Send] | Literal["write_analysis", "admit_nothing"]:
    """Go on with another round, the analysis, or the statement that nothing was found."""
    if state["requests"]:
        return send_queries(state)
    return "write_analysis" if any(passages_of(state["queries"])) else "admit_nothing"


def _problem(state: ExpertState) -> str:
    return f"{state.get('feedback') or ''} {state['triage']['summary']}".strip() or state["description"]
