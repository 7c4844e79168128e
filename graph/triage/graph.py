"""The triage graph on one screen."""

from langchain_core.language_models import BaseChatModel
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import RetryPolicy

from graph.ports import CustomerDirectory
from graph.retries import DEFAULT_RETRY
from graph.triage.nodes import TriageNodes, route_by_customer
from graph.triage.state import TriageInput, TriageOutput, TriageState

TriageGraph = CompiledStateGraph[TriageState, None, TriageInput, TriageOutput]


def build_triage_graph(
    *, directory: CustomerDirectory, model: BaseChatModel, retry: RetryPolicy | None = None
) -> TriageGraph:
    """Build the triage graph, without a checkpointer.

    Args:
        directory: where customers are looked up.
        model: a chat model with tools and structured answers.
        retry: when a node is tried again; `DEFAULT_RETRY` if not given.
    """
    nodes, policy = TriageNodes(directory=directory, model=model), retry or DEFAULT_RETRY
    builder = StateGraph(TriageState, input_schema=TriageInput, output_schema=TriageOutput)
    builder.add_node("request_lookups", nodes.request_lookups, retry_policy=policy)
    builder.add_node("lookup_customer", nodes.lookup_customer, retry_policy=policy)
    builder.add_node("lookup_system_info", nodes.lookup_system_info, retry_policy=policy)
    builder.add_node("check_entitlement", nodes.check_entitlement)
    builder.add_node("assess", nodes.assess, retry_policy=policy)
    builder.add_node("report", nodes.report)

    builder.add_edge(START, "request_lookups")
    builder.add_edge("request_lookups", "lookup_customer")
    builder.add_edge("request_lookups", "lookup_system_info")
    builder.add_edge(["lookup_customer", "lookup_system_info"], "check_entitlement")
    builder.add_conditional_edges("check_entitlement", route_by_customer)
    builder.add_edge("assess", "report")
    builder.add_edge("report", END)
    return builder.compile(name="triage")
