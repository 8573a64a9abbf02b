"""Command `replay`: solves a stored rebalance again and compares the outcomes."""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from serve_app.cli.arguments import AsJson, RebalanceId
from serve_app.cli.exit_codes import Ending, report_errors

if TYPE_CHECKING:
    from serve_app.rebalances.replay import Comparison
    from serve_app.settings import Settings

commands = typer.Typer()

DEFAULT_DIFFERENCES_SHOWN = 20
MAX_VALUE_LENGTH = 63
TIMEOUT_MS = 20_000


@commands.command()
def replay(
    rebalance_id: RebalanceId,
    most: Annotated[
        int, typer.Option("--limit", min=0, help="maximum number of differences to print")
    ] = DEFAULT_DIFFERENCES_SHOWN,
    as_json: AsJson = False,
) -> None:
    """Solve a stored rebalance again from the database, and compare to the last digit.

    The database is that of the settings: MONGODB_URI, or the embedded one in DATA_DIRECTORY. Exit
    code 1 where an outcome differs. Outcomes that FAILED without input, and those that a time limit
    ended, are counted apart.
    """
    with report_errors(as_json=as_json):
        from bson import ObjectId

        from serve_app.cli.output import show_json
        from serve_app.settings import read_settings

        if not ObjectId.is_valid(rebalance_id):
            raise typer.BadParameter("REBALANCE_ID has 24 hexadecimal digits")

        settings = read_settings()
        differing: list[Comparison] = []

        def note(comparison: "Comparison") -> None:
            differing.append(comparison)
            if not as_json:
                _print_differences(comparison.portfolio_id, comparison.differences)

        verdicts = asyncio.run(
            _replay(rebalance_id, settings, _start_database(settings), most, note)
        )
        from serve_app.rebalances.replay import DIFFER, format_counts

        if as_json:
            show_json(_build_document(rebalance_id, verdicts, differing))
        else:
            typer.echo(f"{rebalance_id}: {format_counts(verdicts) or 'no outcomes'}")
        if verdicts[DIFFER]:
            raise typer.Exit(Ending.REFUSED)


async def _replay(
    rebalance_id: str,
    settings: "Settings",
    uri: str,
    most: int,
    note: "Callable[[Comparison], None]",
) -> "Counter[str]":
    from serve_app.cli.output import show_spinner
    from serve_app.rebalances.replay import DIFFER, replay_rebalance
    from storage.mongo.connection import connect, disconnect
    from storage.rebalances.rebalance_store import RebalanceStore

    database = connect(uri, settings.database_name, TIMEOUT_MS)
    verdicts: Counter[str] = Counter()
    try:
        stored = RebalanceStore(database)
        rebalance = await stored.read(rebalance_id)
        with show_spinner("solving again") as status:
            async for comparison in replay_rebalance(
                rebalance, stored, settings.optimization_timeout
            ):
                verdicts[comparison.verdict] += 1
                status.text = (
                    f"solved {verdicts.total():,} of {rebalance.number_of_portfolios:,} again"
                )
                if comparison.verdict == DIFFER and verdicts[DIFFER] <= most:
                    note(comparison)
    finally:
        await disconnect(database)
    return verdicts


def _build_document(
    rebalance_id: str, verdicts: "Counter[str]", differing: "Sequence[Comparison]"
) -> dict[str, object]:
    differences = [
        {
            "portfolio_id": comparison.portfolio_id,
            "field": name,
            "stored": str(before),
            "now": str(now),
        }
        for comparison in differing
        for name, (before, now) in comparison.differences.items()
    ]
    return {"rebalance_id": rebalance_id, "counts": verdicts, "differences": differences}


def _print_differences(
    portfolio_id: str, differences: "Mapping[str, tuple[object, object]]"
) -> None:
    from optimization.errors import shorten

    for name, values in differences.items():
        before, now = (shorten(_format(value), MAX_VALUE_LENGTH) for value in values)
        typer.echo(f"{portfolio_id} {name}: {before} stored, {now} now")


def _format(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _start_database(settings: "Settings") -> str:
    """Return the address of the database; start the embedded server unless it runs."""
    from serve_app.settings import SettingsError
    from storage.embedded import server

    if settings.mongodb_uri is not None:
        return settings.mongodb_uri.get_secret_value()
    if not settings.data_directory.is_dir():
        rule = f"unset, and no embedded database has data in {settings.data_directory}"
        raise SettingsError("MONGODB_URI", None, rule)
    return server.start(settings.data_directory, settings.mongod).uri
