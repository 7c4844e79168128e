"""What can go wrong at the desk.

```text
DeskError
├── UnknownTicketError       no ticket has this id
├── TicketConflictError      the id belongs to a ticket with other content
├── TextTooLongError         a text has more bytes than the desk takes
├── DecisionRefusedError     the decision came too early, too late, twice, or for a text that has changed
├── RetryRefusedError        the ticket does not need attention
├── DeliveryBusyError        another process is handing the message over right now
├── NotReadyError            something that the desk needs does not work right now
└── DaprError
    ├── DaprUnavailableError the sidecar did not answer; trying again may help
    └── DaprRefusedError     the sidecar answered with an error
```
"""

from typing import Literal

RefusalReason = Literal["not_awaited", "already_decided", "stale"]


class DeskError(Exception):
    """Base of everything that the desk raises itself."""


class UnknownTicketError(DeskError):
    """No ticket has the id that was asked for."""

    def __init__(self, ticket_id: str) -> None:
        super().__init__(f"no ticket {ticket_id!r}; GET /support/tickets lists those there are")
        self.ticket_id = ticket_id


class TicketConflictError(DeskError):
    """A ticket id was used again for something else."""

    def __init__(self, ticket_id: str) -> None:
        super().__init__(f"ticket {ticket_id!r} exists with another customer or description; choose another ticket_id")
        self.ticket_id = ticket_id


class TextTooLongError(DeskError):
    """A text has more bytes than the desk takes."""

    def __init__(self, field: str, *, size: int, limit: int) -> None:
        super().__init__(f"{field} has {size} bytes, at most {limit} are taken; shorten it or raise MAX_DESCRIPTION")
        self.field = field
        self.limit = limit


class DecisionRefusedError(DeskError):
    """A decision cannot be taken; `reason` says why in one word, the message in a sentence."""

    def __init__(self, message: str, *, reason: RefusalReason) -> None:
        super().__init__(message)
        self.reason: RefusalReason = reason


class RetryRefusedError(DeskError):
    """A retry was asked for a ticket that does not need attention."""


class DeliveryBusyError(DeskError):
    """A message is being handed over by another process; trying again later shows how that went."""


class NotReadyError(DeskError):
    """Something that the desk needs does not work; the message says what was found."""


class DaprError(DeskError):
    """Base of what goes wrong between the desk and its sidecar."""


class DaprUnavailableError(DaprError):
    """The sidecar did not answer."""


class DaprRefusedError(DaprError):
    """The sidecar answered with an error of its own or of a component."""
