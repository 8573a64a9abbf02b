"""Proposals that a caller limited to models or portfolios sees: those within its limits alone."""

from collections.abc import AsyncIterator, Mapping
from itertools import product
from typing import Any, Final

import httpx
import pytest
from fastapi import FastAPI

from serve_app.auth.permissions import Role
from serve_app.settings import Settings, read_settings
from tests.support.fakes import P, Q, R, Stored, make_model_body
from tests.support.keys import add_key, client_with

pytestmark = pytest.mark.mongo
PROPOSALS: Final = "/api/v1/proposals"
FOLLOWERS: Final = {"Own": (P,), "Shared": (P, Q), "Other": (Q,)}
# The models of each limit, and its portfolios; None is no limit.
MODEL_LIMITS: Final = (None, ("Own",), ("Own", "Other"), ("Own", "Shared", "Other"))
PORTFOLIO_LIMITS: Final = (None, (P,), (Q,), (P, Q), (P, R), (R,))


@pytest.fixture
def settings() -> Settings:
    return read_settings({"auth": "keys", "require_approvals": 1})


@pytest.fixture
async def admin(app: FastAPI, stored: Stored) -> AsyncIterator[httpx.AsyncClient]:
    async with client_with(app, await add_key(stored, Role.ADMIN)) as client:
        yield client


async def propose_each(admin: httpx.AsyncClient) -> Mapping[str, dict[str, Any]]:
    """Propose a rebalance of each model; return the proposals by the name of the model."""
    proposals: dict[str, dict[str, Any]] = {}
    for name, followers in FOLLOWERS.items():
        body = make_model_body(name, portfolios=[*followers])
        model = (await admin.post("/api/v1/models", json=body)).json()
        begun = await admin.post(f"/api/v1/model/{model['model_id']}/rebalance")
        proposed = await admin.post(f"/api/v1{begun.headers['location'][7:]}/proposal")
        assert proposed.status_code == 201, proposed.text
        proposals[name] = proposed.json()
    return proposals


async def test_a_limited_caller_lists_the_proposals_that_it_may_read_and_no_other(
    app: FastAPI, stored: Stored, admin: httpx.AsyncClient
) -> None:
    proposals = await propose_each(admin)
    for models, portfolios in product(MODEL_LIMITS, PORTFOLIO_LIMITS):
        ids = models and tuple(proposals[each]["model_id"] for each in models)
        expected = {
            name
            for name, followers in FOLLOWERS.items()
            if (models is None or name in models)
            and (portfolios is None or {*followers} <= {*portfolios})
        }
        key = await add_key(stored, Role.VIEWER, models=ids, portfolios=portfolios)

        async with client_with(app, key) as caller:
            listed = await caller.get(PROPOSALS)
            readable = {
                name
                for name, each in proposals.items()
                if (await caller.get(f"/api/v1/proposal/{each['proposal_id']}")).is_success
            }

        limits = models, portfolios
        assert {each["model_name"] for each in listed.json()} == expected, limits
        assert listed.headers["x-total-count"] == str(len(expected)), limits
        assert readable == expected, limits


async def test_filters_and_pages_do_not_lead_beyond_the_limits(
    app: FastAPI, stored: Stored, admin: httpx.AsyncClient
) -> None:
    proposals = await propose_each(admin)
    key = await add_key(stored, Role.VIEWER, portfolios=(P, Q), models=None)
    own = await add_key(stored, Role.VIEWER, portfolios=(P,))

    async with client_with(app, key) as both, client_with(app, own) as one:
        page = await both.get(PROPOSALS, params={"limit": 1, "offset": 1, "status": "PROPOSED"})
        other = {"rebalance_id": proposals["Other"]["rebalance_id"]}
        hidden = await one.get(PROPOSALS, params=other)

    assert [each["model_name"] for each in page.json()] == ["Shared"]
    assert page.headers["x-total-count"] == "3"
    assert (hidden.json(), hidden.headers["x-total-count"]) == ([], "0")


async def test_a_proposal_of_more_portfolios_than_it_keeps_is_in_no_list_of_limited_callers(
    app: FastAPI, stored: Stored, admin: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serve_app.approvals.process.MAX_KEPT_PORTFOLIOS", 1)
    await propose_each(admin)
    key = await add_key(stored, Role.VIEWER, portfolios=(P, Q))

    async with client_with(app, key) as caller:
        listed = await caller.get(PROPOSALS)

    assert {each["model_name"] for each in listed.json()} == {"Own", "Other"}
