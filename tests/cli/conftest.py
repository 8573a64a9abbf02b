"""Fixtures of the commands: the application on a port, and the command line on it."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from fastapi import FastAPI

from tests.support.command_server import Ordergen, ordergen_at, served
from tests.support.fakes import Stored
from tests.support.names import named


@pytest.fixture
async def url(app: FastAPI, stored: Stored) -> AsyncIterator[str]:
    """URL of the application; every portfolio is called Growth IRA."""
    stored.resources = replace(stored.resources, portfolios=named("Growth IRA"))
    async with served(app) as url:
        yield url


@pytest.fixture
def ordergen(url: str) -> Ordergen:
    return ordergen_at(url)
