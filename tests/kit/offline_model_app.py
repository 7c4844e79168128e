"""The offline model in this process: real requests and answers, no socket."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2
from openai import AsyncOpenAI

from seed.offline_model.app import create_app

URL = "http://offline.test/v1"


@asynccontextmanager
async def connect() -> AsyncIterator[httpx2.AsyncClient]:
    """Open an HTTP client to a fresh server."""
    transport = httpx2.ASGITransport(create_app(), raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://offline.test") as client:
        yield client


def openai_over(client: httpx2.AsyncClient) -> AsyncOpenAI:
    """OpenAI's own client over that connection."""
    return AsyncOpenAI(base_url=URL, api_key="any", max_retries=0, http_client=client)
