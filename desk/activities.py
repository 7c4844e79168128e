"""What the ticket workflow has done for it: each method is one activity, and may be run more than once."""

import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import cast

from desk.approvals import Approvals
from desk.casework import Casework, Failure
from desk.errors import DeliveryBusyError
from desk.notify import News, create_customer_notification
from desk.outbox import Outbox
from desk.ports import Conversation, DeliveryChannel, GraphData, Memory, Publisher, StateStore
from desk.records import Delivery, Ticket, TicketFile
from desk.settings import Settings
from desk.stages import (
    CLOSED,
    SOLUTION_TOPIC,
    Outcome,
    Verdict,
    expert_thread,
    instance_id,
    notification_key,
    triage_thread,
)
from desk.steps import (
    DecisionNote,
    FailureRequest,
    NotificationRequest,
    Opening,
    Order,
    ReferenceRecord,
    ReminderRequest,
    RetryRequest,
    RoundRequest,
    TicketRequest,
    TriageNote,
)
from desk.tickets import Tickets
from desk.wording import news_text
from graph.expert import Analysis
from graph.memory import SolvedTicket
from graph.triage import TriageReport

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class DeskActivities:
    """The activities, with everything that they reach."""

    settings: Settings
    tickets: Tickets
    casework: Casework
    approvals: Approvals
    outbox: Outbox
    graphs: GraphData
    state: StateStore
    publisher: Publisher
    conversation: Conversation
    channel: DeliveryChannel
    memory: Memory
    conversation_pause: timedelta = timedelta(milliseconds=500)

    async def open_ticket(self, order: Order) -> Opening:
        """Begin with a ticket, and fix the rules it is played by."""
        ticket = await self.casework.open(order["ticket_id"], run=order["run"])
        given = {
            "ticket_id": ticket.ticket_id,
            "customer_id": ticket.customer_id,
            "description": ticket.description,
        }
        return Opening(
            outcome=ticket.outcome if ticket.stage in CLOSED else None,
            triage_input=await self.graphs.keep(f"{triage_thread(ticket.ticket_id)}/input", given),
            approval_timeout=self.settings.approval_timeout.total_seconds(),
            reminder_interval=self.settings.reminder_interval.total_seconds(),
            poll_interval=self.settings.approval_poll_interval.total_seconds(),
            max_expert_rounds=self.settings.max_expert_rounds,
        )

    async def record_triage(self, request: TicketRequest) -> TriageNote:
        """Keep the triage's report, and prepare the expert's first round for who is entitled."""
        ticket_id = request["ticket_id"]
        values = await self.graphs.final_values(triage_thread(ticket_id))
        report = cast("TriageReport", values["triage"])
        ticket = await self.casework.record_triage(ticket_id, report)
        _log("triage done", ticket_id)
        expert_input = await self._expert_input(ticket, report, round_number=1) if report["entitled"] else None
        return TriageNote(entitled=report["entitled"], expert_input=expert_input)

    async def record_proposal(self, request: RoundRequest) -> DecisionNote:
        """Keep a round's analysis, let its proposal wait for a decision and tell whoever listens.

        Returns:
            The decision, where an earlier workflow of the ticket has come so far already.
        """
        ticket_id, round_number = request["ticket_id"], request["round"]
        values = await self.graphs.final_values(expert_thread(ticket_id, round_number=round_number))
        analysis = cast("Analysis", values["analysis"])
        await self.state.write(self.settings.analysis_store, f"analysis-{ticket_id}", analysis)
        proposed = await self.casework.record_proposal(ticket_id, round_number=round_number, analysis=analysis)
        await self.publisher.publish(
            self.settings.support_pubsub,
            SOLUTION_TOPIC,
            {
                "ticket_id": ticket_id,
                "instance_id": instance_id(ticket_id),
                "round": round_number,
                "solution_digest": proposed.digest,
                "needs_person": analysis["needs_person"],
            },
            event_id=f"{instance_id(ticket_id)}:{SOLUTION_TOPIC}:{round_number}",
        )
        _log("solution proposed", ticket_id)
        # Nobody has decided on what was not there; who does so now wakes the workflow.
        return DecisionNote(verdict=None) if proposed.is_new else await self.look_up_decision(request)

    async def look_up_decision(self, request: RoundRequest) -> DecisionNote:
        """Tell whether there is a decision."""
        decision = await self.approvals.find(request["ticket_id"], round_number=request["round"])
        return DecisionNote(verdict=decision.verdict if decision else None)

    async def expire_proposal(self, request: RoundRequest) -> DecisionNote:
        """Note that the time is over, unless a decision came first."""
        decision = await self.approvals.expire(request["ticket_id"], round_number=request["round"])
        if decision.verdict == Verdict.TIMED_OUT:
            _log("nobody decided in time", request["ticket_id"], level=logging.WARNING)
        return DecisionNote(verdict=decision.verdict)

    async def remind(self, request: ReminderRequest) -> None:
        """Say again that a proposal is waiting."""
        is_new = await self.casework.remind(
            request["ticket_id"], round_number=request["round"], number=request["number"]
        )
        if is_new:
            _log("solution still awaits approval", request["ticket_id"], level=logging.WARNING)

    async def send_back(self, request: RoundRequest) -> ReferenceRecord:
        """Prepare another round of the expert, with the reason why this one was rejected."""
        ticket_id, next_round = request["ticket_id"], request["round"] + 1
        file = await self.tickets.open_file(ticket_id)
        rejection = next(each for each in file.decisions if each.round == request["round"])
        await self.casework.send_back(ticket_id, round_number=next_round)
        _log("proposal rejected, back to the expert", ticket_id)
        report = cast("TriageReport", file.ticket.triage)
        return await self._expert_input(file.ticket, report, round_number=next_round, feedback=rejection.support_notes)

    async def note_failure(self, request: FailureRequest) -> None:
        """Stop the ticket until somebody has mended what failed."""
        failure = Failure(
            graph=request["graph"],
            node=request["node"],
            error_type=request["error_type"],
            message=request["message"],
        )
        await self.casework.need_attention(request["ticket_id"], failure, step=request["step"])
        _log("ticket needs attention", request["ticket_id"], level=logging.ERROR)

    async def look_up_retry(self, request: RetryRequest) -> bool:
        """Tell whether somebody asked for a retry, and go on if so."""
        return await self.casework.resume(request["ticket_id"], step=request["step"])

    async def notify_customer(self, request: NotificationRequest) -> None:
        """Tell the customer how the ticket ended: one message, whatever happens on the way."""
        ticket_id, outcome = request["ticket_id"], Outcome(request["outcome"])
        await self.casework.begin_notification(ticket_id, outcome=outcome, decision=request["decision"])
        key = notification_key(ticket_id, request["decision"])
        delivery = await self.outbox.find(key) or await self._write_message(ticket_id, outcome, key)
        await self._deliver(delivery, ticket_id)
        await self.casework.close(ticket_id, outcome=outcome, notification_key=key, fallback=delivery.fallback)

    async def remember_solution(self, request: TicketRequest) -> None:
        """Keep a solved ticket for the customer's next one."""
        file = await self.tickets.open_file(request["ticket_id"])
        decision, proposal = file.decisions[-1], file.proposals[-1]
        solved = SolvedTicket(
            ticket_id=file.ticket.ticket_id,
            summary=proposal.analysis["summary"],
            solution=decision.final_solution or proposal.solution,
            solved_at=decision.decided_at.isoformat(),
        )
        await self.memory.remember(file.ticket.customer_id, solved)

    async def _deliver(self, delivery: Delivery, ticket_id: str) -> None:
        key = delivery.notification_key
        if await self.outbox.claim(key):
            await self.channel.deliver(delivery, ticket_id=ticket_id)
            await self.outbox.mark_delivered(key)
            return
        latest = await self.outbox.find(key)
        if latest is None or latest.delivered_at is None:
            raise DeliveryBusyError(f"message {key!r} is being handed over by another process")

    async def _write_message(self, ticket_id: str, outcome: Outcome, key: str) -> Delivery:
        file = await self.tickets.open_file(ticket_id)
        message = await create_customer_notification(
            _news(file, outcome),
            conversation=self.conversation,
            component=self.settings.notification_component,
            pause=self.conversation_pause,
        )
        customer = (file.ticket.triage or {}).get("customer") or {}
        delivery = Delivery(
            notification_key=key,
            outcome=outcome,
            recipient=customer.get("contact_email"),
            body=message.body,
            fallback=message.fallback,
            created_at=datetime.now(UTC),
            delivered_at=None,
        )
        return await self.outbox.put(delivery, ticket_id=ticket_id)

    async def _expert_input(
        self, ticket: Ticket, report: TriageReport, *, round_number: int, feedback: str | None = None
    ) -> ReferenceRecord:
        given = {
            "ticket_id": ticket.ticket_id,
            "description": ticket.description,
            "triage": report,
            "feedback": feedback,
        }
        return await self.graphs.keep(f"{expert_thread(ticket.ticket_id, round_number=round_number)}/input", given)


def _news(file: TicketFile, outcome: Outcome) -> News:
    triage = file.ticket.triage or {}
    return News(
        ticket_id=file.ticket.ticket_id,
        outcome=outcome,
        text=news_text(file, outcome),
        customer_name=(triage.get("customer") or {}).get("name"),
        summary=triage.get("summary", ""),
    )


def _log(message: str, ticket_id: str, *, level: int = logging.INFO) -> None:
    logger.log(level, message, extra={"ticket_id": ticket_id, "instance_id": instance_id(ticket_id)})
