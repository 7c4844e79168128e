"""What the routes get from the application."""

from typing import Annotated

from fastapi import Depends, Request

from desk.assembly import Premises
from desk.support_desk import SupportDesk


def get_premises(request: Request) -> Premises:
    """Return the open desk with its health."""
    premises: Premises = request.app.state.premises
    return premises


def get_desk(request: Request) -> SupportDesk:
    """Return the open desk."""
    return get_premises(request).desk


PremisesNeeded = Annotated[Premises, Depends(get_premises)]
DeskNeeded = Annotated[SupportDesk, Depends(get_desk)]
