"""Commands of portfolios: found by name, and with their last outcomes."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from tests.support.command_server import Ordergen
from tests.support.fakes import P, Q, R, Stored

NAMES = {P: "Growth IRA", Q: "Growth trust", R: "Income"}


class NamedPortfolios:
    """Portfolio service with three portfolios."""

    async def read_names(self, portfolio_ids: tuple[str, ...]) -> Mapping[str, str | None]:
        return {portfolio_id: NAMES.get(portfolio_id) for portfolio_id in portfolio_ids}

    async def search_by_name(self, part: str, limit: int) -> Mapping[str, str]:
        return dict([item for item in NAMES.items() if part in item[1]][:limit])


@pytest.fixture(autouse=True)
def named(url: str, stored: Stored) -> None:
    named: Any = NamedPortfolios()
    stored.resources = replace(stored.resources, portfolios=named)


async def test_portfolios_are_found_by_a_part_of_their_name(ordergen: Ordergen) -> None:
    shown = await ordergen("portfolios", "find", "Growth")
    as_json = await ordergen("portfolios", "find", "trust", "--json")

    assert shown.exit_code == 0, shown.output
    assert all(text in shown.stdout for text in (P, "Growth IRA", Q, "Growth trust"))
    assert R not in shown.stdout
    assert json.loads(as_json.stdout) == [{"portfolio_id": Q, "name": "Growth trust"}]


async def test_the_last_outcome_of_each_portfolio_names_its_rebalance(
    ordergen: Ordergen, model: dict[str, Any]
) -> None:
    ids = []
    for _ in range(2):
        done = await ordergen("rebalance", "--model", model["model_id"], "--json")
        ids.append(json.loads(done.stdout)[0]["rebalance_id"])

    shown = await ordergen("portfolios", "last", P, R)
    as_json = await ordergen("portfolios", "last", Q, R, P, "--json")

    assert shown.exit_code == 0, shown.output
    assert all(text in shown.stdout for text in (P, "Growth IRA", "REBALANCED", ids[1]))
    assert R not in shown.stdout
    found = [
        (outcome["portfolio_id"], outcome["rebalance_id"]) for outcome in json.loads(as_json.stdout)
    ]
    assert found == [(Q, ids[1]), (P, ids[1])]
