"""Long bodies of POST /optimize, in slices: the answers of the slices are those of the whole."""

import asyncio
import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from optimization.errors import OptimizationError
from serve_app.api.schemas.body_slice import BodySlice
from serve_app.api.schemas.optimize import MAX_PORTFOLIOS, BodyRefusedError
from serve_app.deployments.long_bodies import (
    WrittenSlice,
    answer_slice,
    answer_text,
    require_distinct,
)
from serve_app.ports.optimize import RawRequest
from serve_app.settings import Settings, read_settings

Json = dict[str, Any]


@pytest.fixture
def settings() -> Settings:
    return read_settings({})


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
async def test_the_texts_of_the_slices_are_the_text_of_the_whole(
    settings: Settings, total: int
) -> None:
    overdrawn = portfolio(7, cash="-900000", holdings={})
    own = portfolio(8, options={"lots": {"VTI": 10}})
    asked = raw(body_of(*map(portfolio, range(7)), overdrawn, own, options={"cash_floor": "1"}))

    whole = await answer_text(asked, settings)
    slices = [await answer_slice(asked, BodySlice(n, total), settings) for n in range(total)]

    assert whole.status == 200
    texts = [body_slice.text for body_slice in slices if body_slice.text]
    assert b"[" + b",".join(texts) + b"]" == whole.body


TEXTS = st.sampled_from(["VTI", "BND", "GOLD", 'a "b" \\', "{[é", "OLD"])


def amounts(least: int, most: int) -> st.SearchStrategy[object]:
    """Amounts as numbers and as texts, with and without decimals."""
    units, places = st.integers(least, most), st.sampled_from([0, 0, 2, 5])
    written = st.tuples(units, places).map(lambda one: f"{Decimal(one[0]).scaleb(-one[1]):f}")
    return st.one_of(st.integers(least, most), written, st.sampled_from(["0", "0.00", 0]))


@st.composite
def bodies(draw: st.DrawFn) -> Json:
    """Draw a body whose portfolios differ in digits, signs, options and securities."""
    band = st.sampled_from(["0", "0.01", "0.2"])
    names = draw(st.lists(TEXTS, unique=True, max_size=3))
    targets = st.sampled_from(["0.1", "0.3", "1/3", "0"])
    positions = [
        {
            "security_id": each,
            "target": draw(targets),
            "low_drift": draw(band),
            "high_drift": draw(band),
        }
        for each in names
    ]
    prices = {each: draw(amounts(0, 300)) for each in ("VTI", "BND", "GOLD", 'a "b" \\', "{[é")}
    own = st.sampled_from([None, {"cash_floor": "1%"}, {"frozen": ["GOLD"]}, {"lots": {"VTI": 5}}])
    portfolios = [
        {
            "portfolio_id": f"U{number}",
            "cash": draw(amounts(-100, 9_000)),
            "holdings": draw(st.dictionaries(TEXTS, amounts(-3, 40), max_size=4)),
            "options": draw(st.none() | own),
        }
        for number in range(draw(st.integers(1, 7)))
    ]
    common = {"cash_flow": draw(st.sampled_from(["0", "10.50"])), "liquidate": True}
    model = {"positions": positions}
    return {"model": model, "prices": prices, "portfolios": portfolios, "options": common}


@hypothesis_settings(max_examples=150, deadline=None)
@given(body=bodies(), total=st.integers(1, 3))
def test_arrays_answer_a_body_as_objects_do_to_the_byte(body: Json, total: int) -> None:
    asyncio.run(require_equal_answers(raw(body), total))


async def answer_in_slices(asked: RawRequest, total: int, settings: Settings) -> list[WrittenSlice]:
    slices = [
        await answer_slice(asked, BodySlice(number, total), settings) for number in range(total)
    ]
    require_distinct(body_slice.report for body_slice in slices)
    return slices


async def require_equal_answers(asked: RawRequest, total: int) -> None:
    settings = read_settings({})
    try:
        whole = await answer_text(asked, settings)
    except (BodyRefusedError, OptimizationError):
        return
    slices = await answer_in_slices(asked, total, settings)
    texts = [body_slice.text for body_slice in slices if body_slice.text]
    if whole.status == 200:
        assert b"[" + b",".join(texts) + b"]" == whole.body
    else:
        assert all(body_slice.report.refused for body_slice in slices if body_slice.text)


async def test_a_slice_without_a_plan_tells_the_outcomes_that_the_refusal_lists(
    settings: Settings,
) -> None:
    overdrawn = [portfolio(n, cash="-900000", holdings={}) for n in range(2)]
    asked = raw(body_of(*overdrawn, *map(portfolio, range(2, 4))))

    without, with_plans = [await answer_slice(asked, BodySlice(n, 2), settings) for n in range(2)]

    assert [each.portfolio_id for each in without.report.refused] == ["U0", "U1"]
    assert with_plans.report.refused == ()


async def test_a_security_that_only_another_slice_holds_is_known(settings: Settings) -> None:
    asked = raw(body_of(*map(portfolio, range(4)), options={"do_not_sell": ["OLD0"]}))

    last = await answer_slice(asked, BodySlice(1, 2), settings)

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
        await answer_in_slices(asked, 2, settings)


async def test_a_text_that_is_no_json_is_refused_by_every_share(settings: Settings) -> None:
    asked = RawRequest(b'{"model"', "/api/v1/optimize", "2026-11-26")

    with pytest.raises(BodyRefusedError):
        await answer_slice(asked, BodySlice(1, 2), settings)
