"""Who may have support: decided by the directory's record, never by a model or a ticket's text."""

from graph.ports import Customer
from graph.triage.state import Entitlement


def decide_entitlement(customer_id: str, customer: Customer | None) -> Entitlement:
    """Decide from the customer's record alone, and say why in words meant for the customer."""
    if customer is None:
        reason = f"No customer with the id {customer_id!r} is on record."
        return Entitlement(known=False, entitled=False, reason=reason)
    plan = customer["plan"].capitalize()
    if customer["support"] == "none":
        return Entitlement(known=True, entitled=False, reason=f"The {plan} plan does not include support.")
    return Entitlement(known=True, entitled=True, reason=f"The {plan} plan includes {customer['support']} support.")
