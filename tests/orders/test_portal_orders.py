"""Orders of the portal, made from the list of rebalances: all portfolios are reached."""

from typing import Any

import httpx

from tests.support.fakes import A, B, make_model_body, make_position

Json = dict[str, Any]
BATCH = 100  # orders of one call of the portal to the order service
PAGE = {"offset": 0, "limit": 10, "sort_by": "-rebalance_date"}


async def store_rebalance(client: httpx.AsyncClient, name: str, portfolios: list[str]) -> str:
    positions = [make_position(A), make_position(B)]
    body = make_model_body(name=name, positions=positions, portfolios=portfolios)
    model = (await client.post("/api/v1/models", json=body)).json()
    answer = await client.post(f"/api/v1/model/{model['model_id']}/rebalance")
    assert answer.status_code == 200, answer.text
    return answer.json()[0]["rebalance_id"]


def orders_of(rebalance: Json) -> list[tuple[str, str, str, int]]:
    """Make orders as the portal's batch submit does: a loop over portfolios and positions."""
    return [
        (
            portfolio["portfolio_id"],
            position["security_id"],
            position["transaction_type"],
            position["trade_quantity"],
        )
        for portfolio in rebalance["portfolios"]
        for position in portfolio["positions"]
        if position["transaction_type"] is not None
    ]


async def test_a_batch_submit_over_the_list_reaches_every_portfolio(
    client: httpx.AsyncClient,
) -> None:
    small = [f"S{number:023}" for number in range(3)]
    large = [f"L{number:023}" for number in range(866)]
    for name, portfolios in (("Small", small), ("Large", large)):
        await store_rebalance(client, name, portfolios)

    listed = (await client.get("/api/v1/rebalances", params=PAGE)).json()

    assert [order["model_name"] for order in listed] == ["Large", "Small"]
    for rebalance, portfolios in zip(listed, (large, small), strict=True):
        path = f"/api/v1/rebalance/{rebalance['rebalance_id']}/transactions"
        traded = [
            (
                order["portfolio_id"],
                order["security_id"],
                order["transaction_type"],
                order["quantity"],
            )
            for order in (await client.get(path)).json()
        ]
        orders = orders_of(rebalance)
        assert "portfolios_omitted" not in rebalance
        assert len(rebalance["portfolios"]) == rebalance["number_of_portfolios"] == len(portfolios)
        assert orders == traded
        batches = [orders[start : start + BATCH] for start in range(0, len(orders), BATCH)]
        assert {portfolio for batch in batches for portfolio, *_ in batch} == {*portfolios}
        assert sum(map(len, batches)) == 2 * len(portfolios)
