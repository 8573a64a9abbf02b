"""Commands of pre-trade rules: list, show, create, replace, delete."""

import json
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from serve_app.cli.arguments import Version, require_utf_8
from serve_app.cli.service_command import Printer, service_command

if TYPE_CHECKING:
    from serve_app.client import Client

commands = typer.Typer(
    name="rules", help="Pre-trade rules: list, show, create, replace, delete.", no_args_is_help=True
)

RuleId = Annotated[str, typer.Argument(metavar="RULE_ID")]
RuleFile = Annotated[
    str,
    typer.Argument(
        metavar="FILE", help="the rule as JSON, as in POST /rules; - for standard input"
    ),
]


@service_command(commands, "list")
def list_rules(
    client: "Client",
    printer: Printer,
) -> None:
    """List the rules by name."""
    _print(printer, [*client.list_rules()])


@service_command(commands)
def show(
    client: "Client",
    printer: Printer,
    rule_id: RuleId,
) -> None:
    """Show a rule."""
    _print(printer, [client.read_rule(rule_id)])


@service_command(commands)
def create(
    client: "Client",
    printer: Printer,
    file: RuleFile,
) -> None:
    """Store a new rule, for the rebalances that begin from now on."""
    _print(printer, [client.add_rule(_read_rule(file))])


@service_command(commands)
def replace(
    client: "Client",
    printer: Printer,
    rule_id: RuleId,
    file: RuleFile,
    version: Version = None,
) -> None:
    """Replace a whole rule."""
    rule = _read_rule(file)
    known = version or client.read_rule(rule_id).version
    _print(printer, [client.replace_rule(rule_id, rule, known)])


@service_command(commands, has_tables=False)
def delete(
    client: "Client",
    _: Printer,  # its options alone, because a rule that is gone is not shown
    rule_id: RuleId,
    version: Version = None,
) -> None:
    """Delete a rule."""
    from serve_app.cli.output import say

    client.delete_rule(rule_id, version or client.read_rule(rule_id).version)
    say(f"rule {rule_id} is deleted")


def _read_rule(file: str) -> dict[str, Any]:
    """Read a rule; BadParameter unless the file has a JSON object."""
    stream = typer.get_text_stream("stdin", encoding="utf-8")
    try:
        with require_utf_8(file):
            text = stream.read() if file == "-" else Path(file).read_text(encoding="utf-8")
        rule = json.loads(text, parse_float=Decimal)
    except OSError as error:
        raise typer.BadParameter(f"{file}: {error.strerror}") from error
    except ValueError as error:
        raise typer.BadParameter(f"{file} is not JSON: {error}") from error
    if not isinstance(rule, dict):
        raise typer.BadParameter(f"{file}: a rule is a JSON object")
    return rule


def _print(printer: Printer, rules: list[Any]) -> None:
    from serve_app.cli import tables

    printer.print(rules, lambda: tables.tabulate_rules(rules))
