"""A ticket's way through the desk, as lines that can be shown."""

from dataclasses import dataclass

from local.desk_client import Query, Ticket, Triage

_QUERY_WIDTH = 70
_WORKING = frozenset({"triage", "analysis", "retrying"})
"""The stages in which an earlier round's proposal says nothing about the current one."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """One thing that is done, or going on."""

    text: str
    is_done: bool


def list_steps(ticket: Ticket) -> list[Step]:
    """Return what has happened to a ticket and what is going on, in order."""
    steps = [_triage_step(ticket.triage)]
    if ticket.triage and not ticket.triage.entitled:
        return [*steps, Step(text="no further work: not entitled", is_done=True), *_ending(ticket)]
    steps += [_query_step(query) for query in ticket.queries]
    if ticket.triage:
        steps.append(_analysis_step(ticket))
    return [*steps, *_ending(ticket)]


def _triage_step(triage: Triage | None) -> Step:
    if triage is None:
        return Step(text="triage", is_done=False)
    who = f"{triage.customer.name}, {triage.customer.plan} plan" if triage.customer else "an unknown customer"
    entitlement = "entitled" if triage.entitled else f"not entitled ({triage.entitlement_reason})"
    return Step(
        text=f"triage: {who}, {entitlement}; urgency {triage.urgency}, category {triage.category}", is_done=True
    )


def _query_step(query: Query) -> Step:
    articles = list(dict.fromkeys(passage.article_id for passage in query.results))
    found = ", ".join(articles) or "nothing found"
    outcome = f" -> {found}" if query.done else ""
    return Step(text=f"knowledge base ({query.category}): {_shorten(query.query)}{outcome}", is_done=query.done)


def _analysis_step(ticket: Ticket) -> Step:
    round_text = f", round {ticket.round}" if ticket.round > 1 else ""
    is_done = ticket.proposed_solution is not None and ticket.stage not in _WORKING
    return Step(text=f"analysis{round_text}{': a solution is proposed' if is_done else ''}", is_done=is_done)


def _ending(ticket: Ticket) -> list[Step]:
    if ticket.stage == "notifying":
        return [Step(text="the customer is being told", is_done=False)]
    return [Step(text=f"the ticket is {ticket.stage}", is_done=True)] if ticket.is_closed else []


def _shorten(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _QUERY_WIDTH else f"{line[: _QUERY_WIDTH - 3]}..."
