"""GET /portfolios and GET /securities: names and tickers in one answer."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import httpx
import pytest

from serve_app.upstream.errors import UpstreamContractError, UpstreamUnavailableError
from tests.support.fakes import A, B, P, Q, R, Stored


class Named:
    """Portfolio service that knows two portfolios."""

    async def read_names(self, portfolio_ids: tuple[str, ...]) -> Mapping[str, str | None]:
        known = {P: "Growth IRA", Q: "Income"}
        return {each: known.get(each) for each in portfolio_ids}

    async def search_by_name(self, part: str, limit: int) -> Mapping[str, str]:
        if part == "down":
            raise UpstreamUnavailableError("portfolio", "it answered 503", 2.0)
        if part == "unknown route":
            raise UpstreamContractError("portfolio", "it answered 404")
        found = {P: "Growth IRA", R: "Growth trust"}
        return dict([each for each in found.items() if part in each[1]][:limit])


@pytest.fixture(autouse=True)
def named(stored: Stored) -> None:
    named: Any = Named()
    stored.resources = replace(stored.resources, portfolios=named)


async def test_names_stand_in_the_order_of_the_ids_and_each_once(
    client: httpx.AsyncClient,
) -> None:
    answer = await client.get("/api/v1/portfolios", params={"ids": [Q, R, P, Q]})

    assert answer.status_code == 200
    assert answer.json() == [
        {"portfolio_id": Q, "name": "Income"},
        {"portfolio_id": R, "name": None},
        {"portfolio_id": P, "name": "Growth IRA"},
    ]


@pytest.mark.parametrize("ids", [[], [P] * 101, ["\n"]])
async def test_none_too_many_and_malformed_ids_are_refused(
    client: httpx.AsyncClient, ids: list[str]
) -> None:
    answer = await client.get("/api/v1/portfolios", params={"ids": ids})

    assert answer.status_code == 422


async def test_tickers_stand_in_the_order_of_the_ids_and_each_once(
    client: httpx.AsyncClient,
) -> None:
    answer = await client.get("/api/v1/securities", params={"ids": [B, A, B]})

    assert answer.status_code == 200
    assert answer.json() == [
        {"security_id": B, "ticker": None},
        {"security_id": A, "ticker": "ALFA"},
    ]


@pytest.mark.parametrize("ids", [[], [A] * 101, ["\n"]])
async def test_none_too_many_and_malformed_ids_of_securities_are_refused(
    client: httpx.AsyncClient, ids: list[str]
) -> None:
    answer = await client.get("/api/v1/securities", params={"ids": ids})

    assert answer.status_code == 422


@pytest.mark.parametrize("ids", [[], [P] * 101, ["\n"]])
async def test_none_too_many_and_malformed_ids_have_no_last_outcomes(
    client: httpx.AsyncClient, ids: list[str]
) -> None:
    answer = await client.get("/api/v1/portfolios/last-outcomes", params={"ids": ids})

    assert answer.status_code == 422


async def test_portfolios_are_found_by_a_part_of_their_name(client: httpx.AsyncClient) -> None:
    answer = await client.get("/api/v1/portfolios", params={"name": "Growth"})

    assert answer.status_code == 200
    assert answer.json() == [
        {"portfolio_id": P, "name": "Growth IRA"},
        {"portfolio_id": R, "name": "Growth trust"},
    ]


@pytest.mark.parametrize(("name", "status"), [("down", 503), ("unknown route", 502)])
async def test_a_search_without_an_answer_is_no_empty_answer(
    client: httpx.AsyncClient, name: str, status: int
) -> None:
    answer = await client.get("/api/v1/portfolios", params={"name": name})

    assert answer.status_code == status
    assert "portfolio" in answer.json()["detail"]


@pytest.mark.parametrize(
    "query", [{}, {"name": ""}, {"name": "50 %"}, {"name": "x" * 201}, {"name": "x", "ids": P}]
)
async def test_neither_both_and_names_that_the_service_refuses_are_refused(
    client: httpx.AsyncClient, query: dict[str, str]
) -> None:
    answer = await client.get("/api/v1/portfolios", params=query)

    assert answer.status_code == 422
