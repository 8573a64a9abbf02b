"""Tables of proposals and of what they hold back."""

from collections.abc import Iterable

from rich.table import Table

from serve_app.cli.names import NO_NAMES, Names
from serve_app.cli.output import make_table
from serve_app.cli.tables.formats import format_moment
from serve_app.client.proposal_models import Hold, Proposal


def tabulate_proposals(found: Iterable[Proposal]) -> Table:
    """Tabulate proposals with who proposed and approved them."""
    columns = (
        "proposal",
        "version",
        "rebalance",
        "model",
        "portfolios",
        "held",
        "status",
        "proposed by",
        "at",
        "approved by",
        "reason",
    )
    rows = [
        (
            each.proposal_id,
            each.version,
            each.rebalance_id,
            each.model_name,
            each.number_of_portfolios,
            each.number_of_holds,
            each.status,
            each.proposed_by,
            format_moment(each.proposed_at),
            _format_approvals(each),
            None if each.ending is None else each.ending.reason,
        )
        for each in found
    ]
    return make_table("Proposals", columns, rows)


def tabulate_holds(found: Iterable[Hold], names: Names = NO_NAMES) -> Table:
    """Tabulate the portfolios and trades that are not sent."""
    columns = ("portfolio", "name", "security", "ticker", "held by", "at", "note")
    rows = [
        (
            each.portfolio_id,
            names.portfolios.get(each.portfolio_id),
            each.security_id or "all",
            names.tickers.get(each.security_id or ""),
            each.principal,
            format_moment(each.at),
            each.note,
        )
        for each in found
    ]
    return make_table("Held", columns, rows)


def _format_approvals(proposal: Proposal) -> str:
    names = ", ".join(each.principal for each in proposal.approvals)
    return f"{len(proposal.approvals)} of {proposal.required_approvals}{names and f': {names}'}"
