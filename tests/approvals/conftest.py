"""A desk under AUTH=keys that requires two approvals, on the real optimizer."""

from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI

from serve_app.settings import Settings, read_settings
from tests.support.approvals import Desk, People, connect_upstreams
from tests.support.fakes import Stored
from tests.support.in_process import Upstreams, make_two_owners


@pytest.fixture
def settings() -> Settings:
    return read_settings({"auth": "keys", "require_approvals": 2})


@pytest.fixture
def upstreams() -> Upstreams:
    return make_two_owners()


@pytest.fixture
async def approvals(app: FastAPI, stored: Stored, upstreams: Upstreams) -> AsyncIterator[Desk]:
    connect_upstreams(stored, upstreams)
    people = People(app, stored)
    yield Desk(people)
    await people.close()
