"""The services that the graphs talk to, and connections to them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
from langchain_core.language_models import BaseChatModel

from graph.knowledge_base import McpKnowledgeBase
from graph.model import open_chat_model
from graph.settings import ModelSettings, load_settings
from tests.kit.local_services import KnowledgeBase, OfflineModel, running_knowledge_base, running_offline_model


@pytest.fixture(scope="module")
def offline_model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OfflineModel]:
    """An offline model for the tests of one module."""
    with running_offline_model(tmp_path_factory.mktemp("offline-model")) as running:
        yield running


@pytest.fixture(scope="module")
def knowledge_base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KnowledgeBase]:
    """A knowledge base for the tests of one module."""
    with running_knowledge_base(tmp_path_factory.mktemp("knowledge-base")) as running:
        yield running


@pytest.fixture
async def model(offline_model: OfflineModel) -> AsyncIterator[BaseChatModel]:
    """The graphs' model, connected to the offline model, which starts counting at zero."""
    offline_model.reset()
    settings = load_settings(ModelSettings, openai_base_url=offline_model.base_url, _env_file=None)
    async with open_chat_model(settings) as opened:
        yield opened


@pytest.fixture
async def articles(knowledge_base: KnowledgeBase) -> AsyncIterator[McpKnowledgeBase]:
    """The graphs' port to the knowledge base."""
    async with McpKnowledgeBase(knowledge_base.url) as opened:
        yield opened
