"""Fakes for what the graphs need from outside: a scripted model, a directory and a knowledge base in memory."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, ToolCall
from langchain_core.outputs import ChatGeneration, ChatResult
from pydantic import ConfigDict, Field

from graph.errors import DirectoryUnavailableError, KnowledgeBaseUnavailableError
from graph.ports import Category, Customer, Passage, SystemInfo

ACME = Customer(customer_id="CUST001", name="Acme", plan="enterprise", support="full", contact_email="ops@acme.example")
BASIC = Customer(customer_id="CUST003", name="Basic", plan="basic", support="none", contact_email="me@basic.example")
ACME_SYSTEM = SystemInfo(
    customer_id="CUST001",
    dapr_version="1.16.2",
    cloud_provider="Azure",
    kubernetes=True,
    applications=[{"name": "orders", "language": "Java", "replicas": 3}],
    components=[{"name": "cart", "type": "state.redis", "version": "v1"}],
)


class ScriptedModel(BaseChatModel):
    """Answers each node from its own list of replies, the last one for ever; an exception in the list is raised."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    script: Mapping[str, Sequence[Any]]
    calls: list[dict[str, Any]] = Field(default_factory=list)

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def bind_tools(self, tools: Any, **options: Any) -> Any:
        return self.bind(tools=list(tools), **options)

    def _generate(self, *_: Any, **__: Any) -> ChatResult:
        raise NotImplementedError("the graphs are asynchronous")

    async def _agenerate(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **options: Any
    ) -> ChatResult:
        node = options["extra_headers"]["X-Graph-Node"]
        made = sum(1 for call in self.calls if call["node"] == node)
        self.calls.append({"node": node, "messages": messages, "options": options})
        replies = self.script[node]
        reply = replies[min(made, len(replies) - 1)]
        if isinstance(reply, Exception):
            raise reply
        return ChatResult(generations=[ChatGeneration(message=reply)])

    def asked(self) -> Counter[str]:
        """How often each node asked."""
        return Counter(call["node"] for call in self.calls)

    def prompt_of(self, node: str, *, call: int = -1) -> str:
        """Everything that a node told the model in one call, as text."""
        told = [entry["messages"] for entry in self.calls if entry["node"] == node][call]
        return "\n".join(f"{message.text} {getattr(message, 'tool_calls', '')}" for message in told)


def says(value: object) -> AIMessage:
    """A reply of text, or of JSON when it is not text."""
    return AIMessage(value if isinstance(value, str) else json.dumps(value))


def calls(*requests: tuple[str, dict[str, Any]]) -> AIMessage:
    """A reply that calls tools."""
    made = [ToolCall(name=name, args=args, id=f"call_{place}") for place, (name, args) in enumerate(requests)]
    return AIMessage("", tool_calls=made)


class DirectoryInMemory:
    """A customer directory; it is away for the first `failures` look-ups."""

    def __init__(self, *customers: Customer, systems: Sequence[SystemInfo] = (), failures: int = 0) -> None:
        self._customers = {customer["customer_id"]: customer for customer in customers}
        self._systems = {system["customer_id"]: system for system in systems}
        self._failures = failures
        self.read: list[str] = []

    async def find_customer(self, customer_id: str) -> Customer | None:
        self._note(customer_id)
        return self._customers.get(customer_id)

    async def find_system_info(self, customer_id: str) -> SystemInfo | None:
        self._note(customer_id)
        return self._systems.get(customer_id)

    def _note(self, customer_id: str) -> None:
        self.read.append(customer_id)
        if len(self.read) <= self._failures:
            raise DirectoryUnavailableError("the directory is away")


class KnowledgeBaseInMemory:
    """A knowledge base that gives each area its own passages; it is away for the first `failures` queries."""

    def __init__(self, passages: Mapping[Category, Sequence[Passage]] | None = None, *, failures: int = 0) -> None:
        self._passages = passages or {}
        self._failures = failures
        self.queries: list[tuple[str, Category]] = []

    async def search(self, query: str, *, category: Category, limit: int) -> list[Passage]:
        self.queries.append((query, category))
        if len(self.queries) <= self._failures:
            raise KnowledgeBaseUnavailableError("the knowledge base is away")
        return list(self._passages.get(category, ()))[:limit]


def passage(
    article_id: str, text: str = "Set the timeout to 30 seconds.", *, title: str = "Redis times out"
) -> Passage:
    """A passage of an article's Fix section."""
    return Passage(
        article_id=article_id, title=title, section="Fix", text=text, score=2.0, url=f"kb://articles/{article_id}"
    )
