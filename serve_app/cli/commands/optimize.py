"""`ordergen optimize`: rebalance the portfolios of files, here or at a service."""

import asyncio
import sys
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from serve_app.cli.arguments import TIMEOUT_S, AsJson, Timeout, Token, Wide, build_client
from serve_app.cli.exit_codes import report_errors

if TYPE_CHECKING:
    from optimization import PortfolioOutcome
    from serve_app.client import Client
    from serve_app.files.request import GivenRequest

commands = typer.Typer()

MAX_FILE_BYTES: Final = 500_000_000
MAX_PRINTED_TRADES: Final = 500
MAX_NAMED: Final = 5  # portfolios of a note
ENDINGS: Final = ("csv", "xlsx", "parquet", "json")

Files = Annotated[
    list[Path],
    typer.Argument(
        metavar="FILE...",
        help="holdings, prices and model as CSV, XLSX or Parquet; a workbook of these sheets; "
        "or the JSON of POST /optimize; - for stdin",
    ),
]
Options = Annotated[
    str | None,
    typer.Option("--options", help='options as JSON, {"cash_floor": "2%"}, or a file'),
]
Output = Annotated[
    Path | None,
    typer.Option(
        "--output", "-o", help=f"a file to write, which is replaced: {', '.join(ENDINGS)}"
    ),
]
Url = Annotated[
    str | None,
    typer.Option(
        envvar="ORDERGEN_URL", help="URL of a service that solves the JSON, instead of this process"
    ),
]


@commands.command()
def optimize(
    context: typer.Context,
    files: Files,
    options: Options = None,
    output: Output = None,
    url: Url = None,
    token: Token = None,
    timeout: Timeout = TIMEOUT_S,
    wide: Wide = False,
    as_json: AsJson = False,
) -> None:
    """Rebalance the portfolios that files give whole, without a service; nothing is stored."""
    with report_errors(as_json=as_json):
        from serve_app.files.readers import is_json

        form = _choose_format(output)
        contents = [(str(path), _read(path)) for path in files]
        in_json = [is_json(data) for _, data in contents]
        if any(in_json) and len(contents) > 1:
            raise typer.BadParameter("a JSON file has everything: give it alone")
        # The variable alone does not send tables away, because it is set for other commands.
        if url is not None and not all(in_json) and _is_typed(context, "url"):
            raise typer.BadParameter("--url sends the JSON of POST /optimize: give a JSON file")
        if url is not None and all(in_json):
            if output is not None or options is not None:
                raise typer.BadParameter("--output and --options are for files solved here")
            _optimize_at_service(
                build_client(url, timeout, token), contents[0][1], as_json=as_json, wide=wide
            )
            return
        outcomes, notes = _optimize_here(contents, options)
        if output is not None:
            _write(output, form, outcomes, notes)
        _show(outcomes, as_json=as_json, wide=wide)


def _optimize_at_service(service: "Client", body: bytes, *, as_json: bool, wide: bool) -> None:
    from serve_app.cli.commands.query import show_outcomes
    from serve_app.cli.output import show_spinner

    with service as client:
        with show_spinner("optimizing"):
            outcomes = client.optimize(body)
        show_outcomes(outcomes, as_json=as_json, wide=wide)


def _optimize_here(
    contents: Sequence[tuple[str, bytes]], options: str | None
) -> "tuple[Sequence[PortfolioOutcome], Mapping[str, str]]":
    from serve_app.cli.output import say, show_spinner
    from serve_app.files.solve import solve_request

    with show_spinner("reading"):
        request = _build_request(contents, options)
    if request.notes:
        first = ", ".join([*request.notes][:MAX_NAMED])
        say(f"note: {request.summary} ({first}{', ...' if len(request.notes) > MAX_NAMED else ''})")
    with _show_progress(len(request.body.portfolios)) as advance:
        return asyncio.run(solve_request(request, advance)), request.notes


def _build_request(contents: Sequence[tuple[str, bytes]], options: str | None) -> "GivenRequest":
    from serve_app.files.readers import is_json, read_tables
    from serve_app.files.request import (
        build_request,
        parse_json_options,
        parse_request,
        with_options,
    )

    options_body = None if options is None else parse_json_options(*_read_options(options))
    if is_json(contents[0][1]):
        return with_options(parse_request(*contents[0]), options_body)
    tables = [table for name, data in contents for table in read_tables(name, data)]
    return build_request(tables, options_body)


def _read_options(options: str) -> tuple[str, bytes]:
    """Return the text of the options, and the name of their place."""
    if options.lstrip().startswith("{"):
        return "--options", options.encode()
    path = Path(options.removeprefix("@"))
    return str(path), _read(path)


def _read(path: Path) -> bytes:
    if str(path) == "-":
        data = sys.stdin.buffer.read(MAX_FILE_BYTES + 1)
    else:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise typer.BadParameter(f"{path} has more than {MAX_FILE_BYTES:,} bytes")
    return data


def _choose_format(output: Path | None) -> str:
    if output is None:
        return ""
    form = output.suffix.removeprefix(".").lower()
    if form not in ENDINGS:
        raise typer.BadParameter(
            f"--output ends with {', '.join(f'.{ending}' for ending in ENDINGS)}"
        )
    return form


def _is_typed(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


@contextmanager
def _show_progress(total: int) -> Generator[Callable[[int], None]]:
    """Show a progress bar on a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (TextColumn("rebalancing"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task("", total=total)
        yield partial(bar.advance, task)


def _write(
    output: Path, form: str, outcomes: "Sequence[PortfolioOutcome]", notes: Mapping[str, str]
) -> None:
    from serve_app.cli.output import say
    from serve_app.files import writers

    if form == "json":
        texts = {output: writers.write_json(outcomes, _today(), notes)}
    elif form == "xlsx":
        texts = {output: writers.write_workbook(outcomes, notes)}
    else:
        write = writers.write_csv if form == "csv" else writers.write_parquet
        texts = {
            _derive_path(output, table): write(table, outcomes, notes) for table in writers.TABLES
        }
    for path, text in texts.items():
        # The file is renamed at the end, because a file that breaks off must not look complete.
        part = path.with_name(f"{path.name}.part")
        part.write_bytes(text)
        part.replace(path)
        say(f"{path}: {len(text):,} bytes")


def _derive_path(output: Path, table: str) -> Path:
    """Return the file of a table; the trades are in the file that the caller named."""
    if table == "trades":
        return output
    return output.with_name(f"{output.stem}-{table}{output.suffix}")


def _show(outcomes: "Sequence[PortfolioOutcome]", *, as_json: bool, wide: bool) -> None:
    from pydantic import TypeAdapter

    from serve_app.cli.commands.query import show_outcomes
    from serve_app.cli.tables import tabulate_planned_trades
    from serve_app.client import PortfolioOutcome
    from serve_app.files.report import list_trades
    from serve_app.files.writers import write_json
    from serve_app.json_text import decode

    # Read as an answer of the service, because both are printed in the same way.
    answers = TypeAdapter(tuple[PortfolioOutcome, ...])
    answer = answers.validate_python(decode(write_json(outcomes, _today())))
    trades = [*list_trades(outcomes)]
    table = tabulate_planned_trades(trades) if 0 < len(trades) <= MAX_PRINTED_TRADES else None
    show_outcomes(answer, as_json=as_json, wide=wide, trades=table)
    if len(trades) > MAX_PRINTED_TRADES and not as_json:
        from serve_app.cli.output import say

        say(f"{len(trades):,} trades: --output FILE writes them")


def _today() -> str:
    return date.today().isoformat()  # noqa: DTZ011 - the day of the person who asks
