"""The expert agent: look the problem up in the knowledge base and propose a solution that names its sources."""

from graph.expert.graph import build_expert_graph
from graph.expert.state import Analysis, ExpertInput, ExpertOutput, Finding, KnowledgeQuery, Source

__all__ = [
    "Analysis",
    "ExpertInput",
    "ExpertOutput",
    "Finding",
    "KnowledgeQuery",
    "Source",
    "build_expert_graph",
]
