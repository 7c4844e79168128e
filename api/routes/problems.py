"""Where the `type` of a problem leads: what kind of problem it is."""

from fastapi import APIRouter
from starlette.exceptions import HTTPException

from api.health_answers import ProblemKindReport
from api.problem_kinds import KINDS

router = APIRouter(prefix="/problems", tags=["problems"])


@router.get("/{slug}")
async def get_problem_kind(slug: str) -> ProblemKindReport:
    """Tell what a kind of problem means."""
    kind = KINDS.get(slug)
    if kind is None:
        raise HTTPException(404)
    return ProblemKindReport(type=f"/problems/{kind.slug}", title=kind.title, status=kind.status.value)
