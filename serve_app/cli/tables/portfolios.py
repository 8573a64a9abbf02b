"""Tables of portfolios: those found by name, and their last outcomes."""

from collections.abc import Iterable

from rich.table import Table

from serve_app.cli.names import NO_NAMES, Names
from serve_app.cli.output import make_table
from serve_app.cli.tables.formats import format_moment
from serve_app.client.responses.names import PortfolioName
from serve_app.client.responses.outcomes import LastOutcome


def tabulate_found_portfolios(portfolios: Iterable[PortfolioName]) -> Table:
    """Tabulate portfolios with their names."""
    rows = [(portfolio.portfolio_id, portfolio.name) for portfolio in portfolios]
    return make_table("Portfolios", ("portfolio", "name"), rows)


def tabulate_last_outcomes(outcomes: Iterable[LastOutcome], names: Names = NO_NAMES) -> Table:
    """Tabulate the newest outcome of each portfolio with the rebalance that has it."""
    columns = ("portfolio", "name", "outcome", "rebalance", "model", "version", "started")
    rows = [
        (
            outcome.portfolio_id,
            names.portfolios.get(outcome.portfolio_id),
            outcome.status,
            outcome.rebalance_id,
            outcome.model_name,
            outcome.model_version,
            format_moment(outcome.rebalance_date),
        )
        for outcome in outcomes
    ]
    return make_table("Last outcomes", columns, rows)
