"""Fixtures of the commands: the application on a port, and the command line on it."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from fastapi import FastAPI

from tests.support.command_server import Ordergen, connect_ordergen, serve
from tests.support.fakes import Stored
from tests.support.names import name_everything


@pytest.fixture
async def url(app: FastAPI, stored: Stored) -> AsyncIterator[str]:
    """URL of the application; every portfolio is called Growth IRA."""
    stored.resources = replace(stored.resources, portfolios=name_everything("Growth IRA"))
    async with serve(app) as url:
        yield url


@pytest.fixture
def ordergen(url: str) -> Ordergen:
    return connect_ordergen(url)
