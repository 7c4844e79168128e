"""What comes in over HTTP, with the examples of the OpenAPI page."""

from typing import Annotated, Self

from fastapi import Path
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

_ID_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
_ID_RULE = "1 to 64 letters, digits, `.`, `_` or `-`, beginning with a letter or digit"

Identifier = Annotated[str, StringConstraints(pattern=_ID_PATTERN)]
TicketId = Annotated[str, Path(pattern=_ID_PATTERN, description=f"The ticket: {_ID_RULE}.", examples=["T-1001"])]
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, pattern=r"^[^\x00]*$")]
Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]

_DIGEST_EXAMPLE = "0f343b0931126a20f133d67c2b018a3b1b4b5f29b1c0f6a6a4f1ad1f2dd0f0c1"


class Request(BaseModel):
    """A request body; a misspelt field is an error, or a text meant for a customer could get lost."""

    model_config = ConfigDict(extra="forbid")


class TicketRequest(Request):
    """A new ticket."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "ticket_id": "T-1001",
                    "customer_id": "CUST001",
                    "description": "After the upgrade to Dapr 1.16 our services cannot invoke each other any more.",
                }
            ]
        }
    )

    ticket_id: Identifier | None = Field(default=None, description=f"{_ID_RULE}; made up when not given.")
    customer_id: Identifier = Field(description=_ID_RULE)
    description: Text = Field(description="What is wrong, in the customer's words.")


class DecisionRequest(Request):
    """A decision on the proposed solution."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"approved": True, "solution_digest": _DIGEST_EXAMPLE},
                {"approved": True, "final_solution": "Restart the sidecars after the upgrade. [KB-CON-004]"},
                {"approved": False, "support_notes": "The customer is on 1.16, this applies to 1.15 only."},
            ]
        }
    )

    approved: bool = Field(strict=True)
    final_solution: Text | None = Field(default=None, description="Sent instead of the proposed solution.")
    support_notes: Text | None = Field(default=None, description="Notes; the reason, when it is rejected.")
    solution_digest: Digest | None = Field(default=None, description="Digest of the text that was read.")

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        if not self.approved and self.support_notes is None:
            raise ValueError("a rejection needs its reason in support_notes; the expert works with it")
        if not self.approved and self.final_solution is not None:
            raise ValueError("final_solution goes with approved: true; a rejected text is not sent")
        return self
