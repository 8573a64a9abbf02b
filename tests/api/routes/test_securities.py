"""GET /securities: tickers of securities in one answer."""

import httpx
import pytest

from tests.support.fakes import A, B


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
async def test_none_too_many_and_malformed_ids_are_refused(
    client: httpx.AsyncClient, ids: list[str]
) -> None:
    answer = await client.get("/api/v1/securities", params={"ids": ids})

    assert answer.status_code == 422
