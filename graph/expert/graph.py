"""The expert graph on one screen."""

from langchain_core.language_models import BaseChatModel
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import RetryPolicy

from graph.expert.nodes import ExpertNodes, route_after_review, send_queries
from graph.expert.planning import QUERY_TOOL
from graph.expert.state import ExpertInput, ExpertOutput, ExpertState
from graph.ports import KnowledgeBase
from graph.retries import DEFAULT_RETRY

ExpertGraph = CompiledStateGraph[ExpertState, None, ExpertInput, ExpertOutput]


def build_expert_graph(
    *, knowledge_base: KnowledgeBase, model: BaseChatModel, retry: RetryPolicy | None = None
) -> ExpertGraph:
    """Build the expert graph, without a checkpointer.

    Args:
        knowledge_base: where solutions are looked up.
        model: a chat model with tools and structured answers.
        retry: when a node is tried again; `DEFAULT_RETRY` if not given.
    """
    nodes, policy = ExpertNodes(knowledge_base=knowledge_base, model=model), retry or DEFAULT_RETRY
    builder = StateGraph(ExpertState, input_schema=ExpertInput, output_schema=ExpertOutput)
    builder.add_node("recall_tickets", nodes.recall_tickets, retry_policy=policy)
    builder.add_node("plan_queries", nodes.plan_queries, retry_policy=policy)
    builder.add_node(QUERY_TOOL, nodes.query_knowledge_base, retry_policy=policy)
    builder.add_node("review_results", nodes.review_results, retry_policy=policy)
    builder.add_node("write_analysis", nodes.write_analysis, retry_policy=policy)
    builder.add_node("admit_nothing", nodes.admit_nothing)

    builder.add_edge(START, "recall_tickets")
    builder.add_edge("recall_tickets", "plan_queries")
    builder.add_conditional_edges("plan_queries", send_queries, [QUERY_TOOL])
    builder.add_edge(QUERY_TOOL, "review_results")
    builder.add_conditional_edges("review_results", route_after_review, [QUERY_TOOL, "write_analysis", "admit_nothing"])
    builder.add_edge("write_analysis", END)
    builder.add_edge("admit_nothing", END)
    return builder.compile(name="expert")
