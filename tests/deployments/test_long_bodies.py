"""Long bodies of POST /optimize, in shares: the answers of the shares are those of the whole."""

import json
from typing import Any

import pytest

from optimization.errors import OptimizationError
from serve_app.api.schemas.optimize import MAX_PORTFOLIOS, BodyRefusedError, Share
from serve_app.deployments.long_bodies import answer_share, answer_text
from serve_app.ports.optimize import RawRequest
from serve_app.settings import Settings, settings_from

Json = dict[str, Any]


@pytest.fixture
def settings() -> Settings:
    return settings_from({})


def portfolio(number: int, **changes: object) -> Json:
    owned = {"VTI": number, f"OLD{number}": 3, "BND": "0.5"}
    return {"portfolio_id": f"U{number}", "cash": "90000.25", "holdings": owned, **changes}


def body_of(*portfolios: Json, **changes: object) -> Json:
    band = {"low_drift": "0.05", "high_drift": "0.05"}
    positions = [{"security_id": each, "target": "0.45", **band} for each in ("VTI", "BND")]
    prices = {"VTI": "201.50", "BND": "71.25"} | {f"OLD{number}": "5" for number in range(20)}
    made = {"model": {"positions": positions}, "prices": prices, "portfolios": list(portfolios)}
    return {**made, **changes}


def raw(body: Json) -> RawRequest:
    return RawRequest(json.dumps(body).encode(), "/api/v1/optimize", "2026-11-26")


@pytest.mark.parametrize("total", [1, 2, 3, 7, 11])
async def test_the_texts_of_the_shares_are_the_text_of_the_whole(
    settings: Settings, total: int
) -> None:
    overdrawn = portfolio(7, cash="-900000", holdings={})
    own = portfolio(8, options={"lots": {"VTI": 10}})
    asked = raw(body_of(*map(portfolio, range(7)), overdrawn, own, options={"cash_floor": "1"}))

    whole = await answer_text(asked, settings)
    shares = [await answer_share(asked, Share(n, total), settings) for n in range(total)]

    assert whole.status == 200
    texts = [share.text for share in shares if share.text]
    assert b"[" + b",".join(texts) + b"]" == whole.body


async def test_a_share_without_a_plan_tells_the_outcomes_that_the_refusal_lists(
    settings: Settings,
) -> None:
    overdrawn = [portfolio(n, cash="-900000", holdings={}) for n in range(2)]
    asked = raw(body_of(*overdrawn, *map(portfolio, range(2, 4))))

    without, with_plans = [await answer_share(asked, Share(n, 2), settings) for n in range(2)]

    assert [each.portfolio_id for each in without.refused] == ["U0", "U1"]
    assert with_plans.refused == ()


async def test_a_security_that_only_another_share_holds_is_known(settings: Settings) -> None:
    asked = raw(body_of(*map(portfolio, range(4)), options={"do_not_sell": ["OLD0"]}))

    last = await answer_share(asked, Share(1, 2), settings)

    assert last.text


@pytest.mark.parametrize(
    "changed",
    [
        {"portfolios": []},
        {"portfolios": None},
        {"portfolios": {"U1": 1}},
        {"portfolios": [portfolio(1), portfolio(1)]},
        {"portfolios": [portfolio(1), "U2"]},
        {"portfolios": [portfolio(1), {"portfolio_id": ["U2"], "holdings": {}}]},
        {"portfolios": [portfolio(1), portfolio(2, holdings=None)]},
        {"portfolios": [portfolio(1), portfolio(2, cash="much")]},
        {"portfolios": [portfolio(1), portfolio(2, options={"lots": {"NOBODYS": 2}})]},
        {"portfolios": [portfolio(n) for n in range(MAX_PORTFOLIOS + 1)]},
        {"portfolios": [portfolio(1), portfolio(2)], "options": {"time_limit_s": -1}},
        {"portfolios": [portfolio(1), portfolio(2)], "model": {"positions": []}},
        {"portfolios": [portfolio(1), portfolio(2)], "surprise": 1},
    ],
    ids=lambda changed: json.dumps(changed)[:60],
)
async def test_what_the_whole_refuses_is_refused_by_a_share(
    settings: Settings, changed: Json
) -> None:
    asked = raw(body_of(**changed))
    with pytest.raises((BodyRefusedError, OptimizationError)):
        await answer_text(asked, settings)

    with pytest.raises((BodyRefusedError, OptimizationError)):
        [await answer_share(asked, Share(number, 2), settings) for number in range(2)]


async def test_a_text_that_is_no_json_is_refused_by_every_share(settings: Settings) -> None:
    asked = RawRequest(b'{"model"', "/api/v1/optimize", "2026-11-26")

    with pytest.raises(BodyRefusedError):
        await answer_share(asked, Share(1, 2), settings)
