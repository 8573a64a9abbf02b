"""An index of 500 names for 200 portfolios, from files to verified trades."""

import asyncio
import csv
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from optimization import Status
from serve_app.files.report import list_trades
from serve_app.files.solve import SOLVE_BATCH_SIZE, solve_request
from serve_app.files.writers import write_csv
from tests.files.books import csv_of, request_of

NAMES = [f"N{number:03}" for number in range(500)]
PORTFOLIOS = 200


def holdings() -> Iterator[tuple[Any, ...]]:
    yield "portfolio", "security", "quantity"
    for account in range(PORTFOLIOS):
        for number, name in enumerate(NAMES):
            yield f"U{account:03}", name, (account * 37 + number * 101) % 500
        yield f"U{account:03}", "CASH", "250000.25"


def test_an_index_of_500_names_is_rebalanced_for_200_portfolios_with_progress():
    model = [("security", "target", "relative drift"), *((name, "0.0019", "50%") for name in NAMES)]
    prices = [("security", "price"), *((name, 20 + n % 180) for n, name in enumerate(NAMES))]
    files = {
        "holdings.csv": csv_of([*holdings()]),
        "prices.csv": csv_of(prices),
        "model.csv": csv_of(model),
    }
    steps: list[int] = []

    given = request_of(files)
    outcomes = asyncio.run(solve_request(given, steps.append))

    assert steps == [SOLVE_BATCH_SIZE] * (PORTFOLIOS // SOLVE_BATCH_SIZE)
    assert {outcome.status for outcome in outcomes} == {Status.REBALANCED}
    assert all(outcome.cash_after is not None and outcome.cash_after >= 0 for outcome in outcomes)
    rows = list(csv.DictReader(write_csv("trades", outcomes).decode().splitlines()))
    assert len(rows) == len([*list_trades(outcomes)])
    # Half of the target on both sides; the weight is rounded to four decimals.
    assert all(
        Decimal("0.0009") <= Decimal(row["weight_after"]) <= Decimal("0.0029") for row in rows
    )
