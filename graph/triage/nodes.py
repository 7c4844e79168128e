"""The nodes of the triage graph."""

import logging
from dataclasses import dataclass
from typing import Any, Literal

from langchain_core.language_models import BaseChatModel
from langgraph.runtime import Runtime
from pydantic import BaseModel, Field

from graph.answers import ask_for
from graph.model import call_model
from graph.ports import CustomerDirectory
from graph.triage import prompts
from graph.triage.entitlement import decide_entitlement
from graph.triage.state import Assessment, Entitlement, TicketCategory, TriageInput, TriageReport, TriageState, Urgency

logger = logging.getLogger(__name__)

Update = dict[str, Any]


class AssessmentAnswer(BaseModel):
    """What is asked of the model."""

    urgency: Urgency
    category: TicketCategory
    summary: str = Field(description="The problem in one or two plain sentences.")


@dataclass(frozen=True, kw_only=True)
class TriageNodes:
    """The nodes, with what they need from outside."""

    directory: CustomerDirectory
    model: BaseChatModel

    async def request_lookups(self, state: TriageInput, *, runtime: Runtime[None]) -> Update:
        """Let the model ask for look-ups; the graph makes both in any case."""
        model = self.model.bind_tools(prompts.TOOLS, parallel_tool_calls=True)
        messages = prompts.lookup_messages(state)
        reply = await call_model(model, messages, node="triage.request_lookups", runtime=runtime)
        return {"requested": _known_tools([call["name"] for call in reply.tool_calls])}

    async def lookup_customer(self, state: TriageInput) -> Update:
        """Read the record of the ticket's own customer."""
        return {"customer": await self.directory.find_customer(state["customer_id"])}

    async def lookup_system_info(self, state: TriageInput) -> Update:
        """Read what the ticket's own customer runs."""
        return {"system": await self.directory.find_system_info(state["customer_id"])}

    async def check_entitlement(self, state: TriageState) -> Update:
        """Decide whether the customer may have support."""
        return {"entitlement": decide_entitlement(state["customer_id"], state["customer"])}

    async def assess(self, state: TriageState, *, runtime: Runtime[None]) -> Update:
        """Let the model judge urgency and category."""
        customer = state["customer"]
        if customer is None:
            return {"assessment": None}
        answer = await ask_for(
            AssessmentAnswer,
            model=self.model,
            messages=prompts.assessment_messages(state, customer, state["system"]),
            node="triage.assess",
            runtime=runtime,
            check=_check_summary,
        )
        return {"assessment": answer.model_dump()}

    async def report(self, state: TriageState) -> Update:
        """Put the findings together."""
        return {"triage": _report(state)}


def route_by_customer(state: TriageState) -> Literal["assess", "report"]:
    """Spend no further model call on someone who is no customer."""
    return "assess" if state["entitlement"]["known"] else "report"


def _known_tools(names: list[str]) -> list[str]:
    offered = {prompts.LOOKUP_CUSTOMER, prompts.LOOKUP_SYSTEM_INFO}
    for name in names:
        if name not in offered:
            logger.warning("refused a call of the unknown tool %.80r", name, extra={"node": "triage.request_lookups"})
    return sorted(offered & set(names))


def _check_summary(answer: AssessmentAnswer) -> None:
    if not answer.summary.strip():
        raise ValueError("summary: it is empty")


def _report(state: TriageState) -> TriageReport:
    entitlement = state["entitlement"]
    assessment = state.get("assessment") or _unassessed(entitlement)
    return TriageReport(
        customer_id=state["customer_id"],
        known=entitlement["known"],
        customer=state["customer"],
        entitled=entitlement["entitled"],
        entitlement_reason=entitlement["reason"],
        urgency=assessment["urgency"],
        category=assessment["category"],
        summary=assessment["summary"],
        # A system on record under an id that is nobody's belongs to nobody.
        system=state["system"] if entitlement["known"] else None,
    )


def _unassessed(entitlement: Entitlement) -> Assessment:
    return Assessment(urgency="low", category="other", summary=f"Not assessed. {entitlement['reason']}")
