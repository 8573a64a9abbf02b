"""Commands of models: list, show, create, edit, try and delete them, and list their versions."""

from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any, cast

import typer
from typer.core import TyperGroup

from serve_app.cli.arguments import Most, OptionsText, Version, parse_options, require_utf_8
from serve_app.cli.completions import complete_models
from serve_app.cli.service_command import Printer, service_command

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.table import Table

    from serve_app.client import Client, Model
    from serve_app.client.responses.outcomes import WhatIf

SHOW = "show"


class ShowByDefault(TyperGroup):
    """Group in which words that name no command are arguments of `show`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read `models ID` as `models show ID`, and `models` alone as `models show`."""
        names_command = bool(args) and (args[0] in self.commands or args[0] == "--help")
        if not names_command and not ctx.resilient_parsing:
            args = [SHOW, *args]
        return super().parse_args(ctx, args)


commands = typer.Typer(
    name="models", cls=ShowByDefault, help="List the models; show, create, edit, try or delete one."
)

Name = Annotated[str | None, typer.Option("--name", help="name of the model")]
Ids = list[str] | None
Positions = Annotated[
    Ids,
    typer.Option(
        "--set",
        metavar="SECURITY=TARGET[,LOW,HIGH]",
        help="add or change a security: 0.4 or 40%; may be repeated",
    ),
]
Removed = Annotated[Ids, typer.Option("--remove", metavar="SECURITY", help="may be repeated")]


@service_command(commands, SHOW)
def show_models(
    client: "Client",
    printer: Printer,
    model_id: Annotated[
        str | None, typer.Argument(help="show its securities", autocompletion=complete_models)
    ] = None,
    sort_by: Annotated[
        str, typer.Option("--sort-by", help="a field, or several: -name,model_id")
    ] = "",
    limit: Most = 1000,
) -> None:
    """List the models, or show one; `models ID` is short for `models show ID`."""
    from serve_app.cli import tables
    from serve_app.cli.model_text import build_model_document

    if model_id is not None:
        _show(client, client.read_model(model_id), printer)
        return
    models = [*islice(client.list_models(sort_by=sort_by, limit=min(limit, 1000)), limit)]
    documents = [build_model_document(model) for model in models]
    printer.print(documents, lambda: tables.tabulate_models(models))


@service_command(commands)
def versions(
    client: "Client",
    printer: Printer,
    model_id: Annotated[str, typer.Argument(autocompletion=complete_models)],
    version: Annotated[
        int | None, typer.Argument(min=1, help="show the model as this version had it")
    ] = None,
    limit: Most = 100,
) -> None:
    """List the versions of a model with author and changes, or show one of them."""
    from serve_app.cli import tables

    if version is None:
        pages = client.list_model_versions(model_id, limit=min(limit, 100))
        newest = [*islice(pages, limit)]
        printer.print(newest, lambda: tables.tabulate_versions(newest))
    else:
        model_version = client.read_model_version(model_id, version)
        printer.print(model_version, lambda: _tabulate(client, model_version.model))


@service_command(commands)
def create(
    client: "Client",
    printer: Printer,
    file: Annotated[
        typer.FileText | None,
        typer.Argument(help="the model as JSON; - for stdin", metavar="[FILE]", encoding="utf-8"),
    ] = None,
    table: Annotated[
        Path | None,
        typer.Option(
            "--from-csv",
            metavar="TABLE",
            help="a table instead (CSV, XLSX, Parquet): security, target, and a band",
        ),
    ] = None,
    name: Name = None,
    portfolios: Annotated[
        Ids, typer.Option("--portfolio", help="a portfolio that follows it; may be repeated")
    ] = None,
) -> None:
    """Store a new model from a file; options take precedence over the file.

    A table has neither name nor followers: give --name and --portfolio.
    """
    if (file is None) == (table is None):
        raise typer.BadParameter("give a FILE of JSON or --from-csv TABLE, one of them")
    fields = {"name": name, "portfolios": portfolios}
    own = {member: value for member, value in fields.items() if value}
    if table is not None:
        created = _create_from_table(client, table, own)
    else:
        opened = cast("IO[str]", file)
        with require_utf_8(opened.name):
            text = opened.read()
        created = _create(client, text, own)
    _show(client, created, printer)


def _create(client: "Client", text: str, own: "Mapping[str, Any]") -> "Model":
    from serve_app.cli.model_text import read_model_text, require_members

    members = {**read_model_text(text), **own}
    require_members(members, "name", "portfolios")
    return client.add_model(
        members["name"],
        members.get("positions", []),
        members["portfolios"],
        rebalance_options=members.get("rebalance_options"),
    )


def _create_from_table(client: "Client", path: Path, own: "Mapping[str, Any]") -> "Model":
    from serve_app.cli.model_table import build_positions, name_cells, read_model_table
    from serve_app.cli.model_text import require_members

    table = read_model_table(str(path), path.read_bytes())
    require_members(own, "name", "portfolios")
    with name_cells(table):
        # Passed on as the table has them, because the service checks them.
        positions: Any = build_positions(table)
        return client.add_model(own["name"], positions, own["portfolios"])


@service_command(commands)
def edit(
    client: "Client",
    printer: Printer,
    model_id: Annotated[str, typer.Argument(autocompletion=complete_models)],
    name: Name = None,
    positions: Positions = None,
    removed: Removed = None,
    followers: Annotated[
        Ids, typer.Option("--add-portfolio", metavar="PORTFOLIO_ID", help="may be repeated")
    ] = None,
    leaving: Annotated[
        Ids, typer.Option("--remove-portfolio", metavar="PORTFOLIO_ID", help="may be repeated")
    ] = None,
) -> None:
    """Change a model by these options, or without any in an editor.

    The change is refused if another has changed the model meanwhile.
    """
    from serve_app.cli.model_changes import change_followers, change_positions
    from serve_app.cli.model_editing import edit_model

    stored = client.read_model(model_id)
    if any((name, positions, removed, followers, leaving)):
        changed = replace(stored, name=name or stored.name)
        changed = change_positions(changed, positions or (), removed or ())
        changed = change_followers(changed, followers or (), leaving or ())
        saved = client.replace_model(changed)
    else:
        saved = edit_model(client, stored)
    _show(client, saved, printer)


@service_command(commands, "try")
def try_changes(
    client: "Client",
    printer: Printer,
    model_id: Annotated[str, typer.Argument(autocompletion=complete_models)],
    positions: Positions = None,
    removed: Removed = None,
    options: OptionsText = None,
    portfolios: Annotated[
        Ids, typer.Option("--portfolio", metavar="PORTFOLIO_ID", help="these followers alone")
    ] = None,
    sample: Annotated[
        int | None, typer.Option(min=1, help="so many followers, spread over all of them")
    ] = None,
) -> None:
    """Rebalance followers of a model to changed positions, and store nothing."""
    from serve_app.cli.model_changes import change_positions

    overrides = parse_options(options)
    changed = change_positions(client.read_model(model_id), positions or (), removed or ())
    trial = client.try_model(
        model_id, changed.positions, overrides, portfolios=portfolios or None, sample=sample
    )
    printer.print(trial, lambda: _tabulate_trial(client, trial))


@service_command(commands, has_tables=False)
def delete(
    client: "Client",
    _: Printer,  # unused, because a deleted model is not shown
    model_id: Annotated[str, typer.Argument(autocompletion=complete_models)],
    version: Version = None,
) -> None:
    """Delete a model; its rebalances stay."""
    from serve_app.cli.output import say

    client.delete_model(model_id, version or client.read_model(model_id).version)
    say(f"model {model_id} is deleted")


def _tabulate_trial(client: "Client", trial: "WhatIf") -> "Table":
    from serve_app.cli import tables
    from serve_app.cli.names import look_up_names

    names = look_up_names(
        client, portfolio_ids=[outcome.portfolio_id for outcome in trial.outcomes]
    )
    title = (
        f"{trial.tried:,} of {trial.followers:,} followers, out of band: "
        f"{trial.out_of_band_before:,} before, {trial.out_of_band_after:,} after"
    )
    return tables.tabulate_outcome_summaries(title, trial.outcomes, names)


def _show(client: "Client", model: "Model", printer: Printer) -> None:
    from serve_app.cli.model_text import build_model_document

    printer.print(build_model_document(model), lambda: _tabulate(client, model))


def _tabulate(client: "Client", model: "Model") -> "Table":
    from serve_app.cli import tables
    from serve_app.cli.names import look_up_names

    names = look_up_names(
        client, security_ids=[position.security_id for position in model.positions]
    )
    return tables.tabulate_model(model, names)
