"""Acceptance: random problems put to a running service, with every answer checked independently.

Fractions are exact throughout; only the optimum of a problem whose cash binds comes from SciPy's
MILP.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from math import ceil, floor
from typing import Any

import httpx
import numpy as np

from optimization.domain.drift_band import DriftBand
from optimization.domain.model import Model, Target
from optimization.domain.portfolio import Portfolio
from tests.end_to_end.book import Book
from tests.optimization.support.oracle import Row, best_by_milp, limit_of, rows_of

Json = dict[str, Any]
MAX_SECURITIES_FOR_MILP = 30
CONCURRENCY = 4


@dataclass(frozen=True)
class Problem:
    """Model, the one portfolio that follows it, and the least cash to leave."""

    model: Model
    portfolio: Portfolio
    cash_floor: Decimal


async def check_all_answers(
    http: httpx.AsyncClient, book: Book, count: int, seed: int
) -> Counter[str]:
    """Put problems and count the kinds of answers; AssertionError for a wrong answer."""
    rng = np.random.default_rng(seed)
    problems = iter(
        [draw_problem(rng, book, f"{seed:04d}{number:020d}") for number in range(count)]
    )
    kinds: Counter[str] = Counter()

    async def worker() -> None:
        for problem in problems:
            kinds[await _check_problem(http, problem)] += 1

    await asyncio.gather(*(worker() for _ in range(CONCURRENCY)))
    return kinds


def draw_problem(rng: np.random.Generator, book: Book, portfolio_id: str) -> Problem:
    """Draw a problem: 5 to 100 positions, 10k to 50M, bands of 0.5 to 5 %.

    A third of the problems has wide bands and a cash floor.
    """
    count = int(rng.integers(5, 101))
    securities = [
        str(security_id) for security_id in rng.choice(sorted(book.prices), count, replace=False)
    ]
    value = float(np.clip(rng.lognormal(np.log(100_000), 1.8), 10_000, 50_000_000))
    tight = rng.random() < 1 / 3
    least, most = (30, 50) if tight else (5, 50)
    steps = rng.multinomial(190, rng.dirichlet(np.full(count, 4.0)))
    targets: list[Target] = []
    holdings: dict[str, int] = {}
    for security, step in zip(securities, steps, strict=True):
        low, high = sorted(int(drift) for drift in rng.integers(least, most + 1, 2))
        band = DriftBand(Decimal(low).scaleb(-3), Decimal(high).scaleb(-3))
        targets.append(Target(security, Decimal(5 * int(step)).scaleb(-3), band))
        price = float(book.prices[security])
        holdings[security] = int(value * step * 0.005 / price * rng.uniform(0, 2))
    invested = sum(
        (shares * book.prices[security_id] for security_id, shares in holdings.items()), Decimal(0)
    )
    portfolio = book.add(portfolio_id, Decimal(f"{value:.2f}") - invested, holdings)
    model = Model(f"Acceptance {portfolio_id}", tuple(targets), (portfolio_id,))
    share = Decimal(int(rng.integers(40, 91))) / 1000 if tight else Decimal(0)
    return Problem(model, portfolio, (portfolio.market_value * share).quantize(Decimal("0.01")))


async def _check_problem(http: httpx.AsyncClient, problem: Problem) -> str:
    added = await http.post("/api/v1/models", json=make_model_body(problem.model))
    assert added.status_code == 201, added.text
    path = f"/api/v1/portfolio/{problem.portfolio.portfolio_id}/rebalance"
    answer = await http.post(path, json={"cash_floor": str(problem.cash_floor)})
    stored = await http.get(answer.headers["Location"])
    return check(problem, answer, parse_exact_json(stored)["portfolios"][0])


def make_model_body(model: Model) -> Json:
    """Make the body of POST /models."""
    return {
        "name": model.name,
        "portfolios": list(model.portfolio_ids),
        "positions": [
            {
                "security_id": target.security_id,
                "target": f"{target.weight:f}",
                "low_drift": f"{target.band.low:f}",
                "high_drift": f"{target.band.high:f}",
            }
            for target in model.targets
        ],
    }


def parse_exact_json(answer: httpx.Response) -> Any:
    """Parse the body with every number as the Decimal that was written."""
    return json.loads(answer.text, parse_float=Decimal, parse_int=Decimal)


def check(problem: Problem, answer: httpx.Response, stored: Json) -> str:
    """Check an answer and return its kind; AssertionError for a wrong answer."""
    rows = rows_of(problem.model, problem.portfolio)
    limit = limit_of(problem.portfolio, problem.cash_floor)
    body = parse_exact_json(answer)
    feasible = all(row.counts for row in rows) and _cheapest(rows) <= limit
    if answer.status_code == 422:
        assert body["type"] == "/problems/infeasible", body
        assert not feasible, f"a plan exists for {body}"
        assert stored["status"] == "INFEASIBLE"
        return "INFEASIBLE"
    assert answer.status_code == 200, answer.text
    assert feasible, "the answer says there is a plan where there is none"
    check_amounts(problem.portfolio, rows, body, stored)
    assert Fraction(body["cash_after_rebalance"]) >= Fraction(problem.cash_floor)
    return f"{body['status']} {_check_optimal(rows, limit, body)}"


def check_amounts(portfolio: Portfolio, rows: list[Row], body: Json, stored: Json) -> None:
    """Check all numbers of the answer and of the stored rebalance exactly, and bands and signs."""
    value = Fraction(portfolio.market_value)
    drifts = {drift["security_id"]: drift for drift in body["drifts"]}
    assert drifts.keys() == {row.security_id for row in rows}
    assert len(body["drifts"]) == len(rows)
    after = {
        security_id: Fraction(drift["adjusted_quantity"]) for security_id, drift in drifts.items()
    }
    for row in rows:
        drift, quantity = drifts[row.security_id], after[row.security_id]
        traded = quantity - row.held
        assert Fraction(drift["original_quantity"]) == row.held
        assert traded == int(traded)
        assert int(traded) in row.counts
        assert Fraction(drift["actual"]) == _half_up(quantity * row.price / value)
    trades = {trade["security_id"]: trade for trade in body["transactions"]}
    assert _signed_quantities(trades) == {
        r.security_id: d for r in rows if (d := after[r.security_id] - r.held)
    }
    assert body["status"] == ("REBALANCED" if trades else "IN_BAND")
    spent = sum((after[row.security_id] * row.price for row in rows), Fraction(0))
    turned = sum((abs(after[row.security_id] - row.held) * row.price for row in rows), Fraction(0))
    away = sum((abs(row.target - after[row.security_id] * row.price) for row in rows), Fraction(0))
    assert Fraction(body["market_value"]) == value
    assert Fraction(body["cash_before_rebalance"]) == Fraction(portfolio.cash)
    assert Fraction(body["cash_after_rebalance"]) == value - spent
    assert Fraction(body["turnover"]) == turned
    assert Fraction(body["objective"]) == away
    _check_stored(portfolio, body, stored)


def _check_stored(portfolio: Portfolio, body: Json, stored: Json) -> None:
    for name in ("market_value", "base", "cash_before_rebalance", "cash_after_rebalance"):
        assert stored[name] == Decimal(body[name])
    assert stored["status"] == body["status"]
    trades = {trade["security_id"]: trade for trade in body["transactions"]}
    for line, drift in zip(stored["positions"], body["drifts"], strict=True):
        security = drift["security_id"]
        for name, text in drift.items():
            assert line[name] == (text if name == "security_id" else Decimal(text))
        assert line["price"] == portfolio.prices[security]
        trade = trades.get(security, {})
        assert line["trade_quantity"] == trade.get("quantity")
        for name in ("transaction_type", "trade_date"):
            assert line[name] == trade.get(name)


def _check_optimal(rows: list[Row], limit: Fraction, body: Json) -> str:
    """Check the optimum: separable if the cash is slack, else by SciPy, else by bounds alone."""
    objective, bound = Fraction(body["objective"]), Fraction(body["lower_bound"])
    best = [min((row.drift(k), row.held + k) for k in _nearest(row)) for row in rows]
    separable = sum((drift for drift, _ in best), Fraction(0))
    assert separable <= objective
    assert bound <= objective
    worth = (quantity * row.price for (_, quantity), row in zip(best, rows, strict=True))
    if sum(worth, Fraction(0)) <= limit:
        assert objective == separable == bound
        assert body["proof"] == "OPTIMAL"
        return "separable"
    assert body["proof"] in {"OPTIMAL", "OPTIMAL_WITHIN_GAP", "FEASIBLE_TIME_LIMIT"}
    if len(rows) > MAX_SECURITIES_FOR_MILP:
        return "tight"
    optimum = best_by_milp(rows, limit)
    assert optimum is not None
    assert abs(float(objective) - optimum) <= 1e-6 * float(limit), (float(objective), optimum)
    return "tight, by SciPy"


def _nearest(row: Row) -> list[int]:
    """List the whole trades on either side of the target, within the band."""
    ideal = row.target / row.price - row.held
    first, last = row.counts[0], row.counts[-1]
    return [min(max(k, first), last) for k in (floor(ideal), ceil(ideal))]


def _cheapest(rows: list[Row]) -> Fraction:
    return sum(((row.held + row.counts[0]) * row.price for row in rows), Fraction(0))


def _half_up(weight: Fraction) -> Fraction:
    return Fraction(floor(weight * 10_000 + Fraction(1, 2)), 10_000)


def _signed_quantities(trades: Mapping[str, Json]) -> dict[str, Fraction]:
    for trade in trades.values():
        assert trade["quantity"] > 0
        assert trade["quantity"] == int(trade["quantity"])
    return {
        security: Fraction(trade["quantity"]) * (1 if trade["transaction_type"] == "BUY" else -1)
        for security, trade in trades.items()
    }
