"""Commands that list, verify and export the audit log."""

from datetime import datetime
from enum import StrEnum
from itertools import islice
from typing import TYPE_CHECKING, Annotated

import typer

from serve_app.cli.arguments import TIMEOUT_S, URL, Most, Timeout, Token, Url, build_client
from serve_app.cli.downloads import STDOUT, Output, derive_format, write_pieces
from serve_app.cli.exit_codes import Ending, report_errors
from serve_app.cli.service_command import Printer, service_command

if TYPE_CHECKING:
    from serve_app.client import Client
    from serve_app.client.responses.audit import ChainLink

commands = typer.Typer(
    name="audit", help="Who changed what: list, verify, export.", no_args_is_help=True
)

ObjectType = Annotated[
    str | None, typer.Option("--type", help="model, rebalance, run, orders, key or audit")
]
ObjectId = Annotated[str | None, typer.Option("--object", metavar="ID", help="id of the object")]
Principal = Annotated[str | None, typer.Option("--principal", help="who made the change")]
Action = Annotated[str | None, typer.Option("--action", help="what was done: model.edit")]
Since = Annotated[
    datetime | None, typer.Option("--since", help="only changes at this time (UTC) or later")
]


class AuditFormat(StrEnum):
    """File format of the audit log."""

    CSV = "csv"
    JSONL = "jsonl"
    PARQUET = "parquet"
    ARROWS = "arrows"  # an Arrow IPC stream


@service_command(commands, "list")
def list_entries(
    client: "Client",
    printer: Printer,
    object_type: ObjectType = None,
    object_id: ObjectId = None,
    principal: Principal = None,
    action: Action = None,
    since: Since = None,
    limit: Most = 100,
) -> None:
    """List changes, the newest first."""
    from serve_app.cli import tables

    pages = client.list_audit_entries(
        object_type=object_type,
        object_id=object_id,
        principal=principal,
        action=action,
        since=since,
        limit=min(limit, 1000),
    )
    entries = [*islice(pages, limit)]
    printer.print(entries, lambda: tables.tabulate_audit(entries))


@service_command(commands, has_tables=False)
def verify(
    client: "Client",
    printer: Printer,
    expected: Annotated[
        list[str] | None,
        typer.Option(
            "--expect",
            metavar="SEQ:HASH",
            help="an entry and its hash, as an earlier verification printed it; may be repeated",
        ),
    ] = None,
) -> None:
    """Check the chain of all changes: read every entry and compute every hash here.

    Ends with 1 and names the entries if any was edited, deleted or inserted. Keep the last line
    elsewhere: with --expect it shows whether the whole log was written anew.
    """
    from serve_app.cli.output import show_json, show_spinner
    from serve_app.client.responses.audit import verify_entries

    noted = [_parse_link(text) for text in expected or ()]
    with show_spinner("verifying"):
        head = client.read_audit_head()
        verification = verify_entries(head, client.stream_audit(), client.read_audit_head, noted)
    if printer.as_json:
        show_json(verification)
    else:
        for fault in verification.faults:
            typer.echo(str(fault))
        verdict = "the chain is whole" if not verification.faults else "the chain is broken"
        typer.echo(f"{verification.entries:,} entries: {verdict}")
        typer.echo(f"{verification.last.seq}:{verification.last.hash}")
    if verification.faults:
        raise typer.Exit(Ending.REFUSED)


@commands.command()
def export(
    output: Output = STDOUT,
    kind: Annotated[AuditFormat | None, typer.Option("--format", help="csv by default")] = None,
    object_type: ObjectType = None,
    object_id: ObjectId = None,
    principal: Principal = None,
    action: Action = None,
    since: Since = None,
    url: Url = URL,
    token: Token = None,
    timeout: Timeout = TIMEOUT_S,
) -> None:
    """Write the changes to a file, the oldest first; its ending may say how."""
    with report_errors(), build_client(url, timeout, token) as client:
        pieces = client.export_audit(
            (kind or derive_format(output, AuditFormat.CSV)).value,
            object_type=object_type,
            object_id=object_id,
            principal=principal,
            action=action,
            since=since,
        )
        write_pieces(output, pieces)


def _parse_link(text: str) -> "ChainLink":
    from serve_app.client.responses.audit import ChainLink

    seq, _, noted = text.partition(":")
    if not (seq.isdecimal() and seq.isascii() and noted):
        raise typer.BadParameter(f"--expect is SEQ:HASH, not {text!r}")
    return ChainLink(int(seq), noted)
