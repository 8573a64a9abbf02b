"""Demonstration: a model rebalanced through HTTP, its orders filled, and nothing left to trade."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Final

import httpx
import typer

from serve_app.cli import tables
from serve_app.cli.names import Names, look_up_names
from serve_app.cli.output import show, show_spinner
from serve_app.client import Client, Model, Options, PortfolioOutcome, Position
from serve_app.client.tokens import authorities_from_environment
from serve_app.settings import Settings
from serve_app.simulator import Market

DRIFT: Final = Decimal("0.01")
MAX_PORTFOLIOS: Final = 10
TIMEOUT_S: Final = 60.0
# Counts open orders, because the service then looks up which of the orders are filled.
NEXT: Final[Options] = {"scope": "DRIFTED_TO_TARGET", "open_orders": "COUNT"}


def show_demonstration(settings: Settings, url: str) -> None:
    """Rebalance the portfolios of a model, have the orders filled, and rebalance once more."""
    seed, portfolios = settings.market_seed, settings.market_portfolios
    prices, natural_ids = settings.market_prices_file, settings.model_rules == "general"
    market = Market(seed, portfolios, prices_file=prices, natural_ids=natural_ids)
    with Client(url, ca_file=authorities_from_environment(), timeout_s=TIMEOUT_S) as client:
        model = store_model(client, market)
        names = look_up_names(
            client,
            portfolio_ids=model.portfolios,
            security_ids=[position.security_id for position in model.positions],
        )
        count = len(model.portfolios)
        with show_spinner(f"rebalancing {count} portfolios"):
            outcomes = client.rebalance_model(model.model_id)
        show(tables.tabulate_outcomes(outcomes, names))
        traded = next((outcome for outcome in outcomes if outcome.transactions), None)
        if traded is None or traded.rebalance_id is None:
            return
        _show_trades(client, traded.rebalance_id, traded.portfolio_id, names)
        _trade_orders(client, traded.rebalance_id, str(settings.order_service_url))
        with show_spinner(f"rebalancing {count} portfolios again"):
            second_outcomes = client.rebalance_model(model.model_id, NEXT)
        show(tables.tabulate_outcomes(second_outcomes, names))
        typer.echo(_describe_result(second_outcomes))


def store_model(client: Client, market: Market) -> Model:
    """Store a model of the first strategy, or update the model of an earlier start."""
    strategy = market.strategies[0]
    positions = tuple(
        Position(security_id, weight, high_drift=DRIFT, low_drift=DRIFT)
        for security_id, weight in strategy.weights.items()
    )
    following = range(0, market.portfolios, len(market.strategies))[:MAX_PORTFOLIOS]
    portfolios = tuple(market.portfolio_id(number) for number in following)
    stored = next(
        (candidate for candidate in client.list_models() if candidate.name == strategy.name), None
    )
    origin = "new"
    if stored is None:
        model = client.add_model(strategy.name, positions, portfolios)
    else:
        target = replace(stored, positions=positions, portfolios=portfolios)
        origin = "of an earlier start"
        model = stored if target == stored else client.replace_model(target)
    typer.echo(
        f"\nmodel      {model.name} ({model.model_id}), {origin}:"
        f" {len(positions)} securities, {len(portfolios)} portfolios\n"
    )
    return model


def _show_trades(client: Client, rebalance_id: str, portfolio_id: str, names: Names) -> None:
    lines = client.list_positions(rebalance_id, portfolio_id)
    who = " ".join(filter(None, (portfolio_id, names.portfolios.get(portfolio_id))))
    show(tables.tabulate_positions(f"Trades of {who}", lines, names))


def _trade_orders(client: Client, rebalance_id: str, market_url: str) -> None:
    """Hand the orders over, and have the simulated market fill them."""
    with show_spinner("handing the orders over"):
        # Added to open orders, because an earlier start may have left orders that nobody fills.
        submission = client.hand_over(rebalance_id, open_orders="ADD")
    show(tables.tabulate_submission(submission))
    with show_spinner("filling the orders"):
        answer = httpx.post(f"{market_url}/simulation/fills", timeout=TIMEOUT_S, trust_env=False)
    filled = answer.raise_for_status().json()
    amounts = {side: Decimal(amount) for side, amount in filled["amounts"].items()}
    typer.echo(
        f"market     filled {filled['filled']:,} orders:"
        f" bought {amounts['BUY']:,.2f}, sold {amounts['SELL']:,.2f}\n"
    )


def _describe_result(outcomes: Sequence[PortfolioOutcome]) -> str:
    in_band = sum(outcome.status == "IN_BAND" for outcome in outcomes)
    return (
        f"{in_band} of {len(outcomes)} portfolios are in band:"
        " every security is inside its band, and nothing is left to trade"
    )
