"""The fixtures that the SDKs' own suites ask for, as a plugin of pytest: their `conftest.py` wants far more packages.

`TEST_API_BASE_URL` says whom to ask, as their documents say. Their third client, over aiohttp, is left out: it is
another transport of the SDK.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio

BASE_URL = os.environ["TEST_API_BASE_URL"]
KEY = "My API Key"


def _classes(request: pytest.FixtureRequest) -> tuple[Any, Any]:
    if "openai" in request.module.__dict__.get("OpenAI", type(None)).__module__:
        import openai

        return openai.OpenAI, openai.AsyncOpenAI
    import anthropic

    return anthropic.Anthropic, anthropic.AsyncAnthropic


@pytest.fixture
def client(request: pytest.FixtureRequest) -> Iterator[Any]:
    """A client that validates replies strictly, or does not."""
    made, _ = _classes(request)
    with made(base_url=BASE_URL, api_key=KEY, _strict_response_validation=request.param) as client:
        yield client


@pytest_asyncio.fixture
async def async_client(request: pytest.FixtureRequest) -> AsyncIterator[Any]:
    """The same, asynchronous."""
    _, made = _classes(request)
    async with made(base_url=BASE_URL, api_key=KEY, _strict_response_validation=request.param) as client:
        yield client
