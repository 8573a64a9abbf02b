"""Tables of portfolios: those found by name, and their last outcomes."""

from collections.abc import Iterable

from rich.table import Table

from serve_app.cli.names import NO_NAMES, Names
from serve_app.cli.output import make_table
from serve_app.cli.tables.formats import format_moment
from serve_app.client.models import PortfolioName
from serve_app.client.outcome_models import LastOutcome


def tabulate_found_portfolios(found: Iterable[PortfolioName]) -> Table:
    """Tabulate portfolios with their names."""
    rows = [(each.portfolio_id, each.name) for each in found]
    return make_table("Portfolios", ("portfolio", "name"), rows)


def tabulate_last_outcomes(found: Iterable[LastOutcome], names: Names = NO_NAMES) -> Table:
    """Tabulate the newest outcome of each portfolio with the rebalance that has it."""
    columns = ("portfolio", "name", "outcome", "rebalance", "model", "version", "started")
    rows = [
        (
            each.portfolio_id,
            names.portfolios.get(each.portfolio_id),
            each.status,
            each.rebalance_id,
            each.model_name,
            each.model_version,
            format_moment(each.rebalance_date),
        )
        for each in found
    ]
    return make_table("Last outcomes", columns, rows)
