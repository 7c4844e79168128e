"""The OpenAPI page promises what the API does."""

import re
from typing import Any

import httpx2
import pytest

pytestmark = pytest.mark.anyio

ROUTES = {
    ("post", "/support/ticket"),
    ("post", "/support/approve/{ticket_id}"),
    ("post", "/support/retry/{ticket_id}"),
    ("get", "/support/status/{ticket_id}"),
    ("get", "/support/tickets"),
    ("get", "/support/ticket/{ticket_id}"),
    ("get", "/support/ticket/{ticket_id}/history"),
    ("get", "/health"),
    ("get", "/health/ready"),
    ("get", "/health/data"),
}


@pytest.fixture
async def schema(http: httpx2.AsyncClient) -> dict[str, Any]:
    return (await http.get("/openapi.json")).json()


async def test_every_route_is_described(schema: dict[str, Any]) -> None:
    found = {(method, path) for path, item in schema["paths"].items() for method in item}
    assert found >= ROUTES
    for item in schema["paths"].values():
        for operation in item.values():
            assert operation["summary"]
            assert operation["description"]


async def test_requests_and_their_answers_have_examples(schema: dict[str, Any]) -> None:
    for name in ("TicketRequest", "TicketAccepted", "DecisionRequest", "DecisionTaken", "StatusReport", "Problem"):
        assert schema["components"]["schemas"][name]["examples"], name


async def test_errors_are_promised_as_problems_only(schema: dict[str, Any]) -> None:
    assert "HTTPValidationError" not in schema["components"]["schemas"]
    for item in schema["paths"].values():
        for operation in item.values():
            for status, response in operation["responses"].items():
                if status.startswith(("4", "5")):
                    assert list(response["content"]) == ["application/problem+json"], operation["operationId"]


async def test_the_page_for_people_loads_everything_from_here(http: httpx2.AsyncClient) -> None:
    page = (await http.get("/docs")).text
    loaded = re.findall(r'(?:src|href)="([^"]+)"', page)

    assert len(loaded) >= 2
    assert [url for url in loaded if not url.startswith("/")] == []
    assert [(await http.get(url)).status_code for url in loaded] == [200] * len(loaded)
