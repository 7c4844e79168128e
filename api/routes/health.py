"""Whether the process lives, whether it can work, and whether it has data."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from api.dependencies import PremisesNeeded
from api.health_answers import CheckReport, Health, Readiness, SampleData
from api.problem_kinds import DAPR_AWAY, NOT_READY
from api.problems import describe, problem

router = APIRouter(prefix="/health", tags=["health"])


@router.get("")
async def get_health() -> Health:
    """Tell that the process lives."""
    return Health()


@router.get("/ready", response_model=Readiness, responses=describe(NOT_READY))
async def get_readiness(request: Request, premises: PremisesNeeded) -> Readiness | Response:
    """Tell whether the sidecar, the workflow engine, the knowledge base and the model answer."""
    checks = {
        check.name: CheckReport(ready=check.is_ready, detail=check.detail) for check in await premises.probes.check()
    }
    failed = [f"{name}: {check.detail}" for name, check in checks.items() if not check.ready]
    if not failed:
        return Readiness(checks=checks)
    reports = {name: check.model_dump() for name, check in checks.items()}
    return problem(NOT_READY, "; ".join(failed), instance=request.url.path, checks=reports)


@router.get("/data", responses=describe(DAPR_AWAY))
async def get_sample_data(premises: PremisesNeeded) -> SampleData:
    """Count the records in the stores that triage reads."""
    stores = await premises.directory.count()
    return SampleData(stores=stores, loaded=all(stores.values()))
