"""Tables of proposals and of what they hold back."""

from collections.abc import Iterable

from rich.table import Table

from serve_app.cli.names import NO_NAMES, Names
from serve_app.cli.output import make_table
from serve_app.cli.tables.formats import format_moment
from serve_app.client.responses.proposals import Hold, Proposal


def tabulate_proposals(proposals: Iterable[Proposal]) -> Table:
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
            proposal.proposal_id,
            proposal.version,
            proposal.rebalance_id,
            proposal.model_name,
            proposal.number_of_portfolios,
            proposal.number_of_holds,
            proposal.status,
            proposal.proposed_by,
            format_moment(proposal.proposed_at),
            _format_approvals(proposal),
            None if proposal.ending is None else proposal.ending.reason,
        )
        for proposal in proposals
    ]
    return make_table("Proposals", columns, rows)


def tabulate_holds(holds: Iterable[Hold], names: Names = NO_NAMES) -> Table:
    """Tabulate the portfolios and trades that are not sent."""
    columns = ("portfolio", "name", "security", "ticker", "held by", "at", "note")
    rows = [
        (
            hold.portfolio_id,
            names.portfolios.get(hold.portfolio_id),
            hold.security_id or "all",
            names.tickers.get(hold.security_id or ""),
            hold.principal,
            format_moment(hold.at),
            hold.note,
        )
        for hold in holds
    ]
    return make_table("Held", columns, rows)


def _format_approvals(proposal: Proposal) -> str:
    names = ", ".join(approval.principal for approval in proposal.approvals)
    return f"{len(proposal.approvals)} of {proposal.required_approvals}{names and f': {names}'}"
