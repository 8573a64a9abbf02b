"""Commands for runs over several models or all portfolios."""

from enum import StrEnum
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

import typer

from serve_app.cli.arguments import (
    TIMEOUT_S,
    URL,
    AsJson,
    OptionsText,
    Timeout,
    Token,
    Url,
    Wide,
    client_of,
    options_of,
)
from serve_app.cli.completions import complete_models, complete_runs
from serve_app.cli.downloads import STDOUT, Output, format_of, write_pieces
from serve_app.cli.exit_codes import Ending, one_line_errors

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


class Format(StrEnum):
    """File format of the outcomes of a run."""

    JSONL = "jsonl"
    PARQUET = "parquet"
    ARROWS = "arrows"  # an Arrow IPC stream


@commands.command("list")
def list_runs(
    limit: Annotated[int, typer.Option(min=1, help="maximum number of rows")] = 20,
    url: Url = URL,
    token: Token = None,
    timeout: Timeout = TIMEOUT_S,
    wide: Wide = False,
    as_json: AsJson = False,
) -> None:
    """List runs, the newest first."""
    with one_line_errors(as_json=as_json), client_of(url, timeout, token) as client:
        _show([*islice(client.list_runs(limit=min(limit, 100)), limit)], as_json=as_json, wide=wide)


@commands.command()
def begin(
    models: Models = None,
    portfolios: Portfolios = None,
    whole_book: Annotated[bool, typer.Option("--whole-book", help="every portfolio")] = False,
    options: OptionsText = None,
    holdings: Source = None,
    follow: Annotated[bool, typer.Option("--follow", help="wait until the run ends")] = False,
    url: Url = URL,
    token: Token = None,
    timeout: Timeout = TIMEOUT_S,
    wide: Wide = False,
    as_json: AsJson = False,
) -> None:
    """Begin a run; it goes on by itself, whatever becomes of this command."""
    with one_line_errors(as_json=as_json), client_of(url, timeout, token) as client:
        run = client.begin_run(
            models=models or None,
            portfolios=portfolios or None,
            whole_book=whole_book,
            options=options_of(options),
            holdings=_holdings(holdings),
        )
        if follow:
            run = _follow(client, run.run_id)
        _end_with(run, as_json=as_json, wide=wide)


@commands.command()
def retry(
    run_id: RunId,
    codes: Annotated[
        list[str] | None,
        typer.Option("--code", help="only for this reason, such as prices-missing; repeatable"),
    ] = None,
    options: OptionsText = None,
    follow: Annotated[bool, typer.Option("--follow", help="wait until the run ends")] = False,
    url: Url = URL,
    token: Token = None,
    timeout: Timeout = TIMEOUT_S,
    wide: Wide = False,
    as_json: AsJson = False,
) -> None:
    """Begin a run over the portfolios that another run left without a plan."""
    with one_line_errors(as_json=as_json), client_of(url, timeout, token) as client:
        run = client.begin_run(retry_of=run_id, codes=codes or None, options=options_of(options))
        if follow:
            run = _follow(client, run.run_id)
        _end_with(run, as_json=as_json, wide=wide)


@commands.command()
def causes(
    run_id: RunId,
    url: Url = URL,
    token: Token = None,
    timeout: Timeout = TIMEOUT_S,
    wide: Wide = False,
    as_json: AsJson = False,
) -> None:
    """Show why portfolios of a run have no plan, each reason once."""
    with one_line_errors(as_json=as_json), client_of(url, timeout, token) as client:
        from serve_app.cli import tables
        from serve_app.cli.names import look_up_names
        from serve_app.cli.output import show, show_json

        found = client.list_run_causes(run_id)
        if as_json:
            show_json(found)
            return
        ids = [each.subject or "" for each in found.causes if each.kind == "security"]
        names = look_up_names(client, security_ids=ids)
        show(tables.tabulate_causes(found, names), wide=wide)


@commands.command("show")
def show_run(
    run_id: RunId,
    url: Url = URL,
    token: Token = None,
    timeout: Timeout = TIMEOUT_S,
    wide: Wide = False,
    as_json: AsJson = False,
) -> None:
    """Show where a run stands."""
    with one_line_errors(as_json=as_json), client_of(url, timeout, token) as client:
        _end_with(client.read_run(run_id), as_json=as_json, wide=wide)


@commands.command("follow")
def follow_run(
    run_id: RunId,
    url: Url = URL,
    token: Token = None,
    timeout: Timeout = TIMEOUT_S,
    wide: Wide = False,
    as_json: AsJson = False,
) -> None:
    """Wait for the end of a run, with a progress bar on stderr."""
    with one_line_errors(as_json=as_json), client_of(url, timeout, token) as client:
        _end_with(_follow(client, run_id), as_json=as_json, wide=wide)


@commands.command("cancel")
def cancel_run(
    run_id: RunId,
    url: Url = URL,
    token: Token = None,
    timeout: Timeout = TIMEOUT_S,
    wide: Wide = False,
    as_json: AsJson = False,
) -> None:
    """Begin nothing more of a run; what is done stays."""
    with one_line_errors(as_json=as_json), client_of(url, timeout, token) as client:
        _show(client.cancel_run(run_id), as_json=as_json, wide=wide)


@commands.command("export")
def export_run(
    run_id: RunId,
    output: Output = STDOUT,
    kind: Annotated[Format | None, typer.Option("--format", help="jsonl by default")] = None,
    url: Url = URL,
    token: Token = None,
    timeout: Timeout = TIMEOUT_S,
) -> None:
    """Write the outcomes of a run; the ending of the file may say how."""
    with one_line_errors(), client_of(url, timeout, token) as client:
        form = kind or format_of(output, Format.JSONL)
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


def _end_with(run: "Run", *, as_json: bool, wide: bool) -> None:
    _show(run, as_json=as_json, wide=wide)
    if run.status in {"STOPPED", "CANCELLED"}:
        raise typer.Exit(Ending.REFUSED)


def _show(found: "Run | list[Run]", *, as_json: bool, wide: bool) -> None:
    from serve_app.cli import tables
    from serve_app.cli.output import show, show_json

    if as_json:
        show_json(found)
    else:
        show(tables.tabulate_runs(found if isinstance(found, list) else [found]), wide=wide)


def _holdings(source: str | None) -> dict[str, Any] | None:
    if source is None:
        return None
    return {"source": source} if source in SOURCES else {"source": "file", "file": source}
