"""Commands for the whole book: a scan, and the portfolios with the most drift."""

import json
from decimal import Decimal
from typing import Any

import pytest

from tests.support.command_server import Ordergen
from tests.support.fakes import PRICE, A, B, P, Q
from tests.support.in_process import Upstreams


@pytest.fixture
def upstreams() -> Upstreams:
    """Upstreams where P is 22.95 % off its target, and Q inside its band."""
    world = Upstreams({A: PRICE, B: PRICE})
    world.set_balance(P, "979.50", **{A: 2})
    world.set_balance(Q, "743.75", **{A: 25})
    return world


async def test_the_book_is_measured_and_then_shown_from_the_most_drift_on(
    ordergen: Ordergen, model: dict[str, Any]
) -> None:
    early = await ordergen("book", "show")
    scanned = await ordergen("book", "scan", "--follow")
    shown = await ordergen("book", "show")
    outside = await ordergen("book", "show", "--status", "OUT_OF_BAND", "--json")

    assert (early.exit_code, early.stderr.count("ordergen book scan --follow")) == (1, 1)
    assert scanned.exit_code == 0, scanned.output
    assert "COMPLETED" in scanned.stdout
    assert shown.stdout.index(P) < shown.stdout.index(Q)
    assert "22.95%" in shown.stdout
    assert "1 WITHIN_BANDS" in shown.stdout
    (line,) = json.loads(outside.stdout, parse_float=Decimal)
    assert (line["portfolio_id"], line["model_id"]) == (P, model["model_id"])
    assert line["total_drift_weight"] == Decimal("0.2295")


@pytest.mark.usefixtures("model")
async def test_the_book_is_filtered_by_drift(ordergen: Ordergen) -> None:
    await ordergen("book", "scan", "--follow")

    least = await ordergen("book", "show", "--min-drift", "0.2", "--json")
    most = await ordergen("book", "show", "--max-drift", "0.2", "--json")
    wrong = await ordergen("book", "show", "--min-drift", "much")

    assert [line["portfolio_id"] for line in json.loads(least.stdout)] == [P]
    assert [line["portfolio_id"] for line in json.loads(most.stdout)] == [Q]
    assert (wrong.exit_code, "--min-drift is a part of market value" in wrong.stderr) == (2, True)


@pytest.mark.usefixtures("model")
async def test_the_portfolios_are_counted_by_their_drift(ordergen: Ordergen) -> None:
    await ordergen("book", "scan", "--follow")

    shown = await ordergen("book", "histogram")
    outside = await ordergen("book", "histogram", "--status", "OUT_OF_BAND", "--json")

    assert "Drift of 2 portfolios, median " in shown.stdout
    assert "largest 22.95%" in shown.stdout
    assert json.loads(outside.stdout)["portfolios"] == 1
