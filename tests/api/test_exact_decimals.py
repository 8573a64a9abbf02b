"""Numbers of 34 digits at every place that computes with them, compared with fractions."""

import json
import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from itertools import chain
from math import floor
from typing import Any

import pytest

from optimization.domain.drift_band import DriftBand
from optimization.domain.outcome import PortfolioOutcome, Side, Status
from optimization.domain.portfolio import PricedTarget
from serve_app.api.exports.transactions import line_json, list_lines
from serve_app.api.schemas.outcome_lines import OutcomeLines
from serve_app.api.schemas.rebalances import outcome_json
from serve_app.api.schemas.stored_rebalances import portfolio_json
from serve_app.chunks.assumed_fills import assume_fills
from serve_app.chunks.fetch import ChunkInputs
from serve_app.cli import tables
from serve_app.client.responses.drift import DriftSummary
from serve_app.json_text import encode, whole
from serve_app.settings import read_settings
from serve_app.simulator import Market
from serve_app.simulator.http import json_response
from serve_app.simulator.ledger import Ledger
from serve_app.simulator.services.accounting import summary_body
from serve_app.upstream.holdings.balances import read_rows, sum_rows
from serve_app.upstream.holdings.source import Balance
from storage.mongo.decimal_codec import decode_decimal, encode_decimal
from storage.orders.order import Order, decode_order, encode_order
from tests.support.optimize_bodies import build_optimize_app, open_client, post_body

A, P = "A" * 24, "P" * 24
NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
BAND = DriftBand(Decimal(1), Decimal(1))
ROUNDS = 100
Draw = random.Random
Pair = tuple[Any, Fraction]
"""What a place made, and what it is exactly."""


def amount(draw: Draw) -> Decimal:
    """Draw an amount of up to 34 digits, 18 of them decimals, as callers may send it."""
    units = draw.randrange(1, 10 ** draw.randint(19, 33))
    return Decimal(f"{units}E-18")


def ten_thousandths(exact_value: Fraction) -> Fraction:
    """Round to ten-thousandths, half away from zero."""
    parts = floor(abs(exact_value) * 10_000 + Fraction(1, 2))
    return Fraction(parts if exact_value >= 0 else -parts, 10_000)


def outcome(draw: Draw) -> PortfolioOutcome:
    security = PricedTarget(A, amount(draw), Decimal("0.000000000001"), BAND)
    return PortfolioOutcome(
        portfolio_id=P,
        status=Status.REBALANCED,
        market_value=amount(draw),
        cash_before=Decimal(0),
        cash_after=Decimal(0),
        securities=(security,),
        before=(amount(draw),),
        after=(amount(draw),),
        cost=amount(draw),
    )


def of_an_outcome(draw: Draw) -> Iterator[Pair]:
    made = outcome(draw)
    (drift,) = made.drifts
    assert made.market_value is not None
    price = Fraction(drift.security.price)
    after, traded = Fraction(made.after[0]), Fraction(made.after[0]) - Fraction(made.before[0])
    base = Fraction(made.market_value) - Fraction(made.cost)
    actual = ten_thousandths(after * price / base)
    yield drift.change, traded
    yield drift.actual, actual
    yield made.transactions[0].quantity, abs(traded)
    yield made.turnover, abs(traded) * price
    shown = json.loads(
        encode(outcome_json(made, None, None, OutcomeLines(""))), parse_float=Decimal
    )
    yield shown["transactions"][0]["quantity"], abs(traded)
    yield shown["drifts"][0]["actual"], actual
    yield shown["drifts"][0]["adjusted_quantity"], after
    yield shown["base"], base
    stored = json.loads(encode(portfolio_json(made, "")), parse_float=Decimal)
    position = stored["positions"][0]
    yield position["trade_quantity"], abs(traded)
    yield position["adjusted_position_market_value"], after * price
    yield position["actual_drift"], ten_thousandths(actual * 10**12 - 1)
    (line,) = list_lines("R", [made], "")
    written = json.loads(encode(line_json(line)), parse_float=Decimal)
    yield written["quantity"], abs(traded)
    yield written["amount"], abs(traded) * price


def of_rows_of_an_upstream(draw: Draw) -> Iterator[Pair]:
    numbers = [amount(draw) for _ in range(6)]
    rows = [
        {"id": n, "quantityLong": f"{long:f}", "quantityShort": f"{short:f}"}
        for n, (long, short) in enumerate(zip(numbers[::2], numbers[1::2], strict=True))
    ]
    rows[0]["securityId"] = A
    found, _ = read_rows({"balances": rows, "pagination": {"total": 3}}, P)
    balance = sum_rows(P, found)
    held, *cash = [
        Fraction(long) - Fraction(short)
        for long, short in zip(numbers[::2], numbers[1::2], strict=True)
    ]
    yield balance.holdings[A], held
    yield balance.cash, sum(cash, Fraction(0))


def of_orders_that_count_as_filled(draw: Draw) -> Iterator[Pair]:
    price, cash, held, quantity = (amount(draw) for _ in range(4))
    for side, sign in ((Side.BUY, 1), (Side.SELL, -1)):
        order = Order("R" * 24, 0, P, A, side, quantity, NOON)
        balances = [Balance(P, cash, {A: held})]
        filled = assume_fills(ChunkInputs([P], balances, {A: price}), {P: [order]}).balances[0]
        assert isinstance(filled, Balance)
        yield filled.holdings[A], Fraction(held) + sign * Fraction(quantity)
        yield filled.cash, Fraction(cash) - sign * Fraction(quantity) * Fraction(price)


def of_what_is_stored(draw: Draw) -> Iterator[Pair]:
    number = amount(draw)
    yield decode_decimal(decimal_of(encode_decimal(number))), Fraction(number)
    order = Order("R" * 24, 0, P, A, Side.BUY, number, NOON)
    document = {**encode_order(order), "place": 0}
    yield decode_order(document).quantity, Fraction(number)


def of_the_simulated_market(draw: Draw) -> Iterator[Pair]:
    ledger = Ledger(Market(seed=3, portfolios=1))
    cash = sum(Fraction(row.long) for row in ledger.rows(0) if row.security_id is None)
    (quantity, price), (short, other) = ((amount(draw), amount(draw)) for _ in range(2))
    ledger.post(0, "1", "BUY", A, quantity, price)
    ledger.post(0, "2", "SHORT", A, short, other)
    (portfolio_id,) = ledger.market.portfolio_ids()
    summary = json.loads(json_response(summary_body(portfolio_id, ledger.rows(0))).body)
    (held,) = [row for row in summary["securities"] if row["securityId"] == A]
    yield held["netQuantity"], Fraction(quantity) - Fraction(short)
    spent = Fraction(quantity) * Fraction(price) - Fraction(short) * Fraction(other)
    yield summary["cashBalance"], cash - spent


def of_tables_of_the_command_line(draw: Draw) -> Iterator[Pair]:
    value = Decimal(f"{draw.randrange(10**33, 10**34)}.00")
    weight = Decimal("0.5")
    row = DriftSummary(P, "OUT_OF_BAND", value, value, weight, value, weight, 1, None, None)
    cells = [next(iter(column.cells)) for column in tables.tabulate_drifts([row]).columns]
    yield str(cells[2]).replace(",", ""), Fraction(value)


def decimal_of(stored: Any) -> Decimal | str:
    return stored if isinstance(stored, str) else stored.to_decimal()


@pytest.mark.parametrize(
    "place",
    [
        of_an_outcome,
        of_rows_of_an_upstream,
        of_orders_that_count_as_filled,
        of_what_is_stored,
        of_the_simulated_market,
        of_tables_of_the_command_line,
    ],
)
def test_no_digit_of_34_is_lost(place: Callable[[Draw], Iterator[Pair]]):
    draw = random.Random(34)

    for found, expected in chain.from_iterable(place(draw) for _ in range(ROUNDS)):
        assert Fraction(found) == expected


@pytest.mark.parametrize("digits", [1, 27, 28, 29, 34, 60])
def test_a_whole_number_of_any_length_is_an_integer_and_a_fraction_stays_as_it_is(digits: int):
    shares = Decimal("9" * digits)

    assert whole(shares) == int("9" * digits)
    assert type(whole(shares)) is int
    assert whole(Decimal(f"{'9' * digits}.5")) == Decimal(f"{'9' * digits}.5")


async def test_everything_of_a_holding_of_29_digits_is_sold_and_no_more():
    held = "12345678901.123456789012345678"
    body = {
        "model": {"positions": []},
        "prices": {"BTC": "1"},
        "portfolios": [{"portfolio_id": "U1", "cash": "0", "holdings": {"BTC": held}}],
        "options": {"liquidate": True, "lots": {"BTC": "0.000000000000000001"}},
    }

    async with open_client(build_optimize_app(read_settings({}))) as client:
        answer = await post_body(client, body)

    (drift,), (trade,) = answer["drifts"], answer["transactions"]
    assert (drift["original_quantity"], drift["adjusted_quantity"]) == (held, "0")
    assert (trade["transaction_type"], trade["quantity"]) == ("SELL", held)
    assert (answer["turnover"], answer["cash_after_rebalance"]) == (held, held)
