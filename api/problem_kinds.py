"""The kinds of problems that the API answers with."""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus


@dataclass(frozen=True, kw_only=True)
class ProblemKind:
    """A kind of problem; its slug ends the `type` of the problem."""

    slug: str
    status: HTTPStatus
    title: str


UNKNOWN_TICKET = ProblemKind(slug="unknown-ticket", status=HTTPStatus.NOT_FOUND, title="There is no such ticket")
TICKET_CONFLICT = ProblemKind(
    slug="ticket-conflict", status=HTTPStatus.CONFLICT, title="The ticket id is taken by another ticket"
)
NOT_AWAITED = ProblemKind(
    slug="decision-not-awaited", status=HTTPStatus.CONFLICT, title="The ticket awaits no decision"
)
ALREADY_DECIDED = ProblemKind(
    slug="decision-already-made", status=HTTPStatus.CONFLICT, title="The decision was made already"
)
STALE_DIGEST = ProblemKind(
    slug="solution-changed", status=HTTPStatus.CONFLICT, title="The proposed solution has changed"
)
RETRY_REFUSED = ProblemKind(
    slug="retry-not-needed", status=HTTPStatus.CONFLICT, title="The ticket does not need attention"
)
TOO_LARGE = ProblemKind(
    slug="too-large", status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE, title="The request is larger than allowed"
)
UNSUPPORTED_TYPE = ProblemKind(
    slug="not-json", status=HTTPStatus.UNSUPPORTED_MEDIA_TYPE, title="The request is not JSON"
)
INVALID_REQUEST = ProblemKind(
    slug="invalid-request", status=HTTPStatus.UNPROCESSABLE_ENTITY, title="The request is not valid"
)
DAPR_AWAY = ProblemKind(slug="dapr-away", status=HTTPStatus.SERVICE_UNAVAILABLE, title="Dapr does not answer")
NOT_READY = ProblemKind(slug="not-ready", status=HTTPStatus.SERVICE_UNAVAILABLE, title="The desk is not ready")
INTERNAL = ProblemKind(
    slug="internal-error", status=HTTPStatus.INTERNAL_SERVER_ERROR, title="Something went wrong on our side"
)

KINDS: Mapping[str, ProblemKind] = {
    kind.slug: kind
    for kind in (
        UNKNOWN_TICKET,
        TICKET_CONFLICT,
        NOT_AWAITED,
        ALREADY_DECIDED,
        STALE_DIGEST,
        RETRY_REFUSED,
        TOO_LARGE,
        UNSUPPORTED_TYPE,
        INVALID_REQUEST,
        DAPR_AWAY,
        NOT_READY,
        INTERNAL,
    )
}
