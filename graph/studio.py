"""What `langgraph.json` exports: both graphs over the sample data and the configured model, without a checkpointer."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from graph.expert import build_expert_graph
from graph.expert.graph import ExpertGraph
from graph.file_directory import FileDirectory
from graph.knowledge_base import McpKnowledgeBase
from graph.model import open_chat_model
from graph.settings import ModelSettings, load_settings
from graph.triage import build_triage_graph
from graph.triage.graph import TriageGraph

SAMPLE_DATA = Path(__file__).parent.parent / "seed" / "data"


@asynccontextmanager
async def triage() -> AsyncGenerator[TriageGraph]:
    """Build the triage graph for Studio."""
    directory = FileDirectory(customers=SAMPLE_DATA / "customers.json", systems=SAMPLE_DATA / "systems.json")
    async with open_chat_model(load_settings(ModelSettings)) as model:
        yield build_triage_graph(directory=directory, model=model)


@asynccontextmanager
async def expert() -> AsyncGenerator[ExpertGraph]:
    """Build the expert graph for Studio."""
    settings = load_settings(ModelSettings)
    async with McpKnowledgeBase(str(settings.knowledge_base_url)) as knowledge_base, open_chat_model(settings) as model:
        yield build_expert_graph(knowledge_base=knowledge_base, model=model)
