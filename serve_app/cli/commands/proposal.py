"""Commands of proposals: propose the orders of a rebalance, decide on them, withdraw them."""

from enum import StrEnum
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from serve_app.cli.arguments import Most, RebalanceId, Version
from serve_app.cli.service_command import Printer, service_command

if TYPE_CHECKING:
    from rich.table import Table

    from serve_app.client import Client
    from serve_app.client.responses.proposals import Proposal

commands = typer.Typer(
    name="proposals",
    help="Propose the orders of a rebalance, approve, reject, hold, withdraw.",
    no_args_is_help=True,
)

MAX_HOLDS_SHOWN = 100
CHECKS_FOR_S = 240.0  # because the service checks holdings and prices for three minutes
Decision = Literal["APPROVE", "REJECT", "HOLD", "RELEASE", "OVERRIDE"]
ProposalId = Annotated[str, typer.Argument(metavar="PROPOSAL_ID")]
Note = Annotated[str | None, typer.Option("--note", help="a reason, for those who read it later")]
PortfolioIds = Annotated[
    list[str] | None,
    typer.Option("--portfolio", metavar="PORTFOLIO_ID", help="all its trades; may be repeated"),
]
Trades = Annotated[
    list[str] | None,
    typer.Option(
        "--trade", metavar="PORTFOLIO_ID/SECURITY_ID", help="a single trade; may be repeated"
    ),
]


class ProposalState(StrEnum):
    """State of a proposal."""

    PROPOSED = "proposed"
    APPROVED = "approved"
    ORDERED = "ordered"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"
    STALE = "stale"


@service_command(commands, "list")
def list_proposals(
    client: "Client",
    printer: Printer,
    statuses: Annotated[
        list[ProposalState] | None, typer.Option("--status", help="may be repeated")
    ] = None,
    rebalance_id: Annotated[
        str | None, typer.Option("--rebalance", metavar="REBALANCE_ID", help="of this rebalance")
    ] = None,
    limit: Most = 100,
) -> None:
    """List proposals, the newest first."""
    states = [state.name for state in statuses or ()]
    size = min(limit, 1000)
    pages = client.list_proposals(status=states, rebalance_id=rebalance_id, limit=size)
    _print(printer, [*islice(pages, limit)])


@service_command(commands)
def show(
    client: "Client",
    printer: Printer,
    proposal_id: ProposalId,
) -> None:
    """Show a proposal, and the first of its portfolios and trades that are not sent."""
    from serve_app.cli import tables

    proposal = client.read_proposal(proposal_id)
    shown = [lambda: tables.tabulate_proposals([proposal])]
    if proposal.number_of_holds:
        shown.append(lambda: _tabulate_holds(client, proposal_id))
    printer.print(proposal, *shown)


@service_command(commands)
def propose(
    client: "Client",
    printer: Printer,
    rebalance_id: RebalanceId,
    note: Note = None,
) -> None:
    """Propose to send the orders of a rebalance."""
    _print(printer, [client.propose_orders(rebalance_id, note=note)])


@service_command(commands, timeout_s=CHECKS_FOR_S)
def approve(
    client: "Client",
    printer: Printer,
    proposal_id: ProposalId,
    version: Version = None,
    note: Note = None,
) -> None:
    """Approve a proposal but for what it holds back; never one of your own."""
    _print(printer, [_decide(client, proposal_id, "APPROVE", version, note)])


@service_command(commands)
def reject(
    client: "Client",
    printer: Printer,
    proposal_id: ProposalId,
    note: Annotated[str, typer.Option("--note", help="the reason")],
    version: Version = None,
) -> None:
    """Reject a proposal, with the reason."""
    _print(printer, [_decide(client, proposal_id, "REJECT", version, note)])


@service_command(commands)
def override(
    client: "Client",
    printer: Printer,
    proposal_id: ProposalId,
    note: Annotated[str, typer.Option("--note", help="the reason")],
    version: Version = None,
) -> None:
    """Let others approve a proposal although plans break rules, with the reason."""
    done = _decide(client, proposal_id, "OVERRIDE", version, note)
    _print(printer, [done])


@service_command(commands)
def hold(
    client: "Client",
    printer: Printer,
    proposal_id: ProposalId,
    portfolios: PortfolioIds = None,
    trades: Trades = None,
    version: Version = None,
    note: Note = None,
) -> None:
    """Hold portfolios and trades back: they are not sent."""
    if not (portfolios or trades):
        raise typer.BadParameter("give --portfolio or --trade")
    targets = portfolios or [], _pairs(trades)
    _print(printer, [_decide(client, proposal_id, "HOLD", version, note, *targets)])


@service_command(commands)
def release(
    client: "Client",
    printer: Printer,
    proposal_id: ProposalId,
    portfolios: PortfolioIds = None,
    trades: Trades = None,
    version: Version = None,
    note: Note = None,
) -> None:
    """Release what is held back, all of it by default; the proposal has to be approved again."""
    targets = portfolios or [], _pairs(trades)
    _print(printer, [_decide(client, proposal_id, "RELEASE", version, note, *targets)])


@service_command(commands)
def withdraw(
    client: "Client",
    printer: Printer,
    proposal_id: ProposalId,
    version: Version = None,
    note: Note = None,
) -> None:
    """Withdraw a proposal of your own."""
    known = version or client.read_proposal(proposal_id).version
    withdrawn = client.withdraw_proposal(proposal_id, version=known, note=note)
    _print(printer, [withdrawn])


def _decide(
    client: "Client",
    proposal_id: str,
    decision: Decision,
    version: int | None,
    note: str | None,
    portfolios: list[str] | None = None,
    trades: list[tuple[str, str]] | None = None,
) -> "Proposal":
    return client.decide_proposal(
        proposal_id,
        decision,
        version=version or client.read_proposal(proposal_id).version,
        portfolios=portfolios or (),
        transactions=trades or (),
        note=note,
    )


def _pairs(trades: list[str] | None) -> list[tuple[str, str]]:
    pairs: list[tuple[str, str]] = []
    for trade in trades or ():
        portfolio_id, slash, security_id = trade.partition("/")
        if not (portfolio_id and slash and security_id):
            raise typer.BadParameter(f"--trade {trade}: give PORTFOLIO_ID/SECURITY_ID")
        pairs.append((portfolio_id, security_id))
    return pairs


def _print(printer: Printer, proposals: "list[Proposal]") -> None:
    from serve_app.cli import tables

    printer.print(proposals, lambda: tables.tabulate_proposals(proposals))


def _tabulate_holds(client: "Client", proposal_id: str) -> "Table":
    from serve_app.cli import tables
    from serve_app.cli.names import look_up_names

    holds = [*islice(client.list_holds(proposal_id, limit=MAX_HOLDS_SHOWN), MAX_HOLDS_SHOWN)]
    names = look_up_names(
        client,
        portfolio_ids=[hold.portfolio_id for hold in holds],
        security_ids=[hold.security_id for hold in holds if hold.security_id],
    )
    return tables.tabulate_holds(holds, names)
