"""Demonstration: a model for a strategy of the simulated market, rebalanced through HTTP."""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import httpx
from rich.console import Console
from rich.table import Table

from serve_app.settings import Settings
from serve_app.simulator import Market

DRIFT = "0.01"
MAX_PORTFOLIOS = 10
TIMEOUT_S = 60.0
Json = dict[str, Any]


def show(settings: Settings, url: str, console: Console) -> None:
    """Create a model, rebalance the portfolios that follow it, and print the outcomes."""
    seed, portfolios = settings.market_seed, settings.market_portfolios
    market = Market(seed, portfolios, prices_file=settings.market_prices_file)
    tickers = {one.security_id: one.ticker for one in market.securities()}
    with httpx.Client(base_url=f"{url}/api/v1", timeout=TIMEOUT_S, trust_env=False) as http:
        model = _answer(http.post("/models", json=_model(market)))
        console.print(f"\nModel [bold]{model['name']}[/]: {len(model['positions'])} securities")
        outcomes: list[Json] = _answer(http.post(f"/model/{model['model_id']}/rebalance"))
        stored = _answer(http.get(f"/rebalance/{outcomes[0]['rebalance_id']}"))
    console.print(_summary(outcomes))
    traded = next((one for one in outcomes if one["transactions"]), None)
    if traded is not None:
        positions = _positions(stored, traded["portfolio_id"])
        console.print(_weights(traded, positions, tickers))
        console.print(_trades(traded, positions, tickers))


def _model(market: Market) -> Json:
    """Make a model of the first strategy, followed by portfolios that were built from it."""
    strategy = market.strategies[0]
    following = range(0, market.portfolios, len(market.strategies))[:MAX_PORTFOLIOS]
    return {
        "name": f"{strategy.name} {datetime.now(UTC):%Y-%m-%d %H:%M:%S}",
        "positions": [
            {
                "security_id": security_id,
                "target": f"{weight:f}",
                "low_drift": DRIFT,
                "high_drift": DRIFT,
            }
            for security_id, weight in strategy.weights.items()
        ],
        "portfolios": [market.portfolio_id(number) for number in following],
    }


def _answer(response: httpx.Response) -> Any:
    if response.is_error:
        raise RuntimeError(f"{response.request.url}: {response.text}")
    return response.json()


def _positions(stored: Json, portfolio_id: str) -> list[Json]:
    return next(
        portfolio["positions"]
        for portfolio in stored["portfolios"]
        if portfolio["portfolio_id"] == portfolio_id
    )


def _summary(outcomes: list[Json]) -> Table:
    table = _table("Portfolios", "portfolio", "outcome", "market value", "cash", "trades", "drift")
    for one in outcomes:
        table.add_row(
            one["portfolio_id"],
            one["status"],
            _money(one["market_value"]),
            _money(one["cash_after_rebalance"]),
            str(len(one["transactions"])),
            _money(one["objective"]),
        )
        if one["error"]:
            table.add_row("", f"[dim]{one['error']['detail']}", *[""] * 4)
    return table


def _weights(outcome: Json, positions: list[Json], tickers: Mapping[str | None, str]) -> Table:
    title = f"Weights of {outcome['portfolio_id']}"
    table = _table(title, "security", "before", "target", "after", "shares before", "shares after")
    value = Decimal(outcome["market_value"])
    for line in positions:
        before = Decimal(str(line["original_position_market_value"])) / value
        table.add_row(
            tickers.get(line["security_id"], line["security_id"]),
            f"{before:.2%}",
            f"{line['target']:.2%}",
            f"{line['actual']:.2%}",
            str(line["original_quantity"]),
            str(line["adjusted_quantity"]),
        )
    return table


def _trades(outcome: Json, positions: list[Json], tickers: Mapping[str | None, str]) -> Table:
    prices = {line["security_id"]: Decimal(str(line["price"])) for line in positions}
    table = _table(
        f"Trades of {outcome['portfolio_id']}", "", "security", "quantity", "price", "value"
    )
    for trade in outcome["transactions"]:
        price = prices[trade["security_id"]]
        table.add_row(
            trade["transaction_type"],
            tickers.get(trade["security_id"], trade["security_id"]),
            f"{trade['quantity']:,}",
            f"{price:,}",
            _money(price * Decimal(str(trade["quantity"]))),
        )
    return table


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left")
    for column in columns:
        numeric = column not in {"", "security", "portfolio", "outcome"}
        table.add_column(column, justify="right" if numeric else "left")
    return table


def _money(amount: Decimal | str | None) -> str:
    return "" if amount is None else f"{Decimal(amount):,.2f}"
