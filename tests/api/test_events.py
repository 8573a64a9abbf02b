"""The story of a correlation id in the log: every change leaves one line, with who and what."""

import logging
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from serve_app.auth.permissions import Role
from serve_app.call_context import correlation_id, principal
from serve_app.settings import Settings, read_settings
from storage.audit.trail import Action
from tests.support.fakes import A, P, Stored, make_model_body
from tests.support.in_process import Upstreams, make_two_owners
from tests.support.keys import add_key, client_with

pytestmark = pytest.mark.mongo


class Log(logging.Handler):
    """Log that keeps the events, with id and caller as the record factory of a replica would."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[tuple[str, str, str]] = []
        self.records: list[Any] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)
        event = record.__dict__["event"]
        self.events.append((correlation_id.get(), principal.get(), event))

    def story(self, wanted: str) -> list[tuple[str, str]]:
        return [(who, event) for known, who, event in self.events if known == wanted]


@pytest.fixture
def log() -> Iterator[Log]:
    logger, log = logging.getLogger("serve_app.observability.events"), Log()
    level = logger.level
    logger.setLevel(logging.INFO)
    logger.addHandler(log)
    yield log
    logger.removeHandler(log)
    logger.setLevel(level)


@pytest.fixture
def settings() -> Settings:
    return read_settings({"auth": "keys"})


@pytest.fixture
def upstreams() -> Upstreams:
    return make_two_owners()


@pytest.fixture
async def ada(app: FastAPI, stored: Stored) -> httpx.AsyncClient:
    return client_with(app, await add_key(stored, Role.ADMIN, owner="ada"))


def known_as(name: str) -> dict[str, str]:
    return {"X-Correlation-ID": name}


async def test_the_log_of_an_id_has_every_step_of_its_requests(
    ada: httpx.AsyncClient, log: Log
) -> None:
    async with ada as client:
        body = make_model_body("Growth")
        made = await client.post("/api/v1/models", json=body, headers=known_as("made"))
        path = f"/api/v1/model/{made.json()['model_id']}"
        edit = {**make_model_body("Income"), "version": 1}
        await client.put(path, json=edit, headers=known_as("edited"))
        portfolio = {"portfolios": ["N" * 24]}
        await client.post(f"{path}/portfolio", json=portfolio, headers=known_as("followed"))
        answer = await client.post(
            f"/api/v1/portfolio/{P}/rebalance", headers=known_as("rebalanced")
        )
        assert answer.status_code == 200, answer.text
        rebalance = f"/api/v1/rebalance/{answer.json()['rebalance_id']}"
        await client.post(f"{rebalance}/orders", headers=known_as("sent"))
        await client.delete(path, params={"version": 3}, headers=known_as("deleted"))
        key = await client.post(
            "/api/v1/keys", json={"owner": "ben", "roles": ["viewer"]}, headers=known_as("key")
        )
        assert key.status_code == 201, key.text

    assert log.story("made") == [("ada", Action.MODEL_CREATED)]
    assert log.story("edited") == [("ada", Action.MODEL_EDITED)]
    assert log.story("followed") == [("ada", Action.MODEL_EDITED)]
    assert log.story("rebalanced") == [("ada", Action.REBALANCE_STORED)]
    assert log.story("sent") == [("ada", Action.ORDERS_SENT)]
    assert log.story("deleted") == [("ada", Action.MODEL_DELETED)]
    assert log.story("key") == [("ada", Action.KEY_CREATED)]


async def test_a_run_is_logged_from_its_begin_to_its_end_under_the_id_of_its_request(
    ada: httpx.AsyncClient, log: Log
) -> None:
    async with ada as client:
        model = (await client.post("/api/v1/models", json=make_model_body("Growth"))).json()
        body = {"models": [model["model_id"]]}
        run = await client.post("/api/v1/runs", json=body, headers=known_as("night"))
        assert run.status_code == 202, run.text
        async with client.stream("GET", f"/api/v1/runs/{run.json()['run_id']}/events") as events:
            await events.aread()

    assert log.story("night") == [
        ("ada", Action.RUN_BEGUN),
        ("ada", Action.REBALANCE_STORED),
        ("ada", Action.RUN_ENDED),
    ]
    (ended,) = [each for each in log.records if each.event == Action.RUN_ENDED]
    assert (ended.object_id, ended.status) == (run.json()["run_id"], "COMPLETED")
    assert sum(ended.counts.values()) == 2


async def test_a_refused_change_is_no_event_and_a_key_shows_no_secret(
    ada: httpx.AsyncClient, log: Log
) -> None:
    async with ada as client:
        body = {"owner": "ben", "roles": ["viewer"]}
        key = (await client.post("/api/v1/keys", json=body)).json()
        wrong = {**make_model_body("Growth"), "positions": [{"security_id": A, "target": "2"}]}
        refused = await client.post("/api/v1/models", json=wrong, headers=known_as("refused"))

    assert refused.status_code in {400, 422}
    assert log.story("refused") == []
    shown = " ".join(f"{each.__dict__}" for each in log.records)
    assert key["key_id"] in shown
    assert key["key"].rpartition("_")[2] not in shown
