"""Commands for runs over several models or all portfolios."""

from enum import StrEnum
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

import typer

from serve_app.cli.arguments import (
    TIMEOUT_S,
    URL,
    OptionsText,
    Timeout,
    Token,
    Url,
    build_client,
    parse_options,
)
from serve_app.cli.commands.rebalance import print_causes
from serve_app.cli.completions import complete_models, complete_runs
from serve_app.cli.downloads import STDOUT, Output, derive_format, write_pieces
from serve_app.cli.exit_codes import Ending, report_errors
from serve_app.cli.service_command import Printer, service_command

if TYPE_CHECKING:
    from serve_app.client import Client, Run

commands = typer.Typer(
    name="runs", help="Run over several models or the whole book.", no_args_is_help=True
)

RunId = Annotated[str, typer.Argument(metavar="RUN_ID", autocompletion=complete_runs)]
Models = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        help="portfolios that follow it; may be repeated",
        autocompletion=complete_models,
    ),
]
Portfolios = Annotated[list[str] | None, typer.Option("--portfolio", help="may be repeated")]
Source = Annotated[
    str | None, typer.Option(help="holdings: summaries, pages, or the name of a file")
]
SOURCES = frozenset({"summaries", "pages"})


class OutcomeFormat(StrEnum):
    """File format of the outcomes of a run."""

    JSONL = "jsonl"
    PARQUET = "parquet"
    ARROWS = "arrows"  # an Arrow IPC stream


@service_command(commands, "list")
def list_runs(
    client: "Client",
    printer: Printer,
    limit: Annotated[int, typer.Option(min=1, help="maximum number of rows")] = 20,
) -> None:
    """List runs, the newest first."""
    _print(printer, [*islice(client.list_runs(limit=min(limit, 100)), limit)])


@service_command(commands)
def begin(
    client: "Client",
    printer: Printer,
    models: Models = None,
    portfolios: Portfolios = None,
    whole_book: Annotated[bool, typer.Option("--whole-book", help="every portfolio")] = False,
    options: OptionsText = None,
    holdings: Source = None,
    follow: Annotated[bool, typer.Option("--follow", help="wait until the run ends")] = False,
) -> None:
    """Begin a run; it goes on by itself, whatever becomes of this command."""
    run = client.begin_run(
        models=models or None,
        portfolios=portfolios or None,
        whole_book=whole_book,
        options=parse_options(options),
        holdings=_holdings(holdings),
    )
    if follow:
        run = _follow(client, run.run_id)
    _print_end(printer, run)


@service_command(commands)
def retry(
    client: "Client",
    printer: Printer,
    run_id: RunId,
    codes: Annotated[
        list[str] | None,
        typer.Option("--code", help="only for this reason, such as prices-missing; repeatable"),
    ] = None,
    options: OptionsText = None,
    follow: Annotated[bool, typer.Option("--follow", help="wait until the run ends")] = False,
) -> None:
    """Begin a run over the portfolios that another run left without a plan."""
    run = client.begin_run(retry_of=run_id, codes=codes or None, options=parse_options(options))
    if follow:
        run = _follow(client, run.run_id)
    _print_end(printer, run)


@service_command(commands)
def causes(
    client: "Client",
    printer: Printer,
    run_id: RunId,
) -> None:
    """Show why portfolios of a run have no plan, each reason once."""
    print_causes(client, printer, client.list_run_causes(run_id))


@service_command(commands, "show")
def show_run(
    client: "Client",
    printer: Printer,
    run_id: RunId,
) -> None:
    """Show where a run stands."""
    _print_end(printer, client.read_run(run_id))


@service_command(commands, "follow")
def follow_run(
    client: "Client",
    printer: Printer,
    run_id: RunId,
) -> None:
    """Wait for the end of a run, with a progress bar on stderr."""
    _print_end(printer, _follow(client, run_id))


@service_command(commands, "cancel")
def cancel_run(
    client: "Client",
    printer: Printer,
    run_id: RunId,
) -> None:
    """Begin nothing more of a run; what is done stays."""
    _print(printer, client.cancel_run(run_id))


@commands.command("export")
def export_run(
    run_id: RunId,
    output: Output = STDOUT,
    kind: Annotated[OutcomeFormat | None, typer.Option("--format", help="jsonl by default")] = None,
    url: Url = URL,
    token: Token = None,
    timeout: Timeout = TIMEOUT_S,
) -> None:
    """Write the outcomes of a run; the ending of the file may say how."""
    with report_errors(), build_client(url, timeout, token) as client:
        form = kind or derive_format(output, OutcomeFormat.JSONL)
        write_pieces(output, client.export_outcomes(run_id, form.value))


def _follow(client: "Client", run_id: str) -> "Run":
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    from serve_app.cli.output import escape_unprintable, say
    from serve_app.client import ChunkDone

    console = Console(stderr=True)
    bar = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
    )
    run = client.read_run(run_id)
    say(f"run {escape_unprintable(run_id)}")
    with bar:
        task = bar.add_task(run.status, total=run.portfolios.total)
        for event in client.follow_run(run_id):
            if isinstance(event, ChunkDone):
                bar.advance(task, event.portfolios)
            else:
                run, done = event, event.portfolios
                bar.update(task, description=run.status, completed=done.done, total=done.total)
    return run


def _print_end(printer: Printer, run: "Run") -> None:
    _print(printer, run)
    if run.status in {"STOPPED", "CANCELLED"}:
        raise typer.Exit(Ending.REFUSED)


def _print(printer: Printer, result: "Run | list[Run]") -> None:
    from serve_app.cli import tables

    runs = result if isinstance(result, list) else [result]
    printer.print(result, lambda: tables.tabulate_runs(runs))


def _holdings(source: str | None) -> dict[str, Any] | None:
    if source is None:
        return None
    return {"source": source} if source in SOURCES else {"source": "file", "file": source}
