"""Commands of pre-trade rules: list, show, create, replace, delete."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import typer

from serve_app.cli.arguments import TIMEOUT_S, URL, AsJson, Timeout, Token, Url, Wide, client_of
from serve_app.cli.exit_codes import one_line_errors

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
Version = Annotated[
    int | None, typer.Option("--version", min=1, help="the version that was read; unset: stored")
]


@commands.command("list")
def list_rules(
    url: Url = URL,
    token: Token = None,
    timeout: Timeout = TIMEOUT_S,
    wide: Wide = False,
    as_json: AsJson = False,
) -> None:
    """List the rules by name."""
    with one_line_errors(as_json=as_json), client_of(url, timeout, token) as client:
        _show([*client.list_rules()], wide=wide, as_json=as_json)


@commands.command()
def show(
    rule_id: RuleId,
    url: Url = URL,
    token: Token = None,
    timeout: Timeout = TIMEOUT_S,
    wide: Wide = False,
    as_json: AsJson = False,
) -> None:
    """Show a rule."""
    with one_line_errors(as_json=as_json), client_of(url, timeout, token) as client:
        _show([client.read_rule(rule_id)], wide=wide, as_json=as_json)


@commands.command()
def create(
    file: RuleFile,
    url: Url = URL,
    token: Token = None,
    timeout: Timeout = TIMEOUT_S,
    wide: Wide = False,
    as_json: AsJson = False,
) -> None:
    """Store a new rule, for the rebalances that begin from now on."""
    rule = _read_rule(file)
    with one_line_errors(as_json=as_json), client_of(url, timeout, token) as client:
        _show([client.add_rule(rule)], wide=wide, as_json=as_json)


@commands.command()
def replace(
    rule_id: RuleId,
    file: RuleFile,
    version: Version = None,
    url: Url = URL,
    token: Token = None,
    timeout: Timeout = TIMEOUT_S,
    wide: Wide = False,
    as_json: AsJson = False,
) -> None:
    """Replace a whole rule."""
    rule = _read_rule(file)
    with one_line_errors(as_json=as_json), client_of(url, timeout, token) as client:
        known = version or client.read_rule(rule_id).version
        _show([client.replace_rule(rule_id, rule, known)], wide=wide, as_json=as_json)


@commands.command()
def delete(
    rule_id: RuleId,
    version: Version = None,
    url: Url = URL,
    token: Token = None,
    timeout: Timeout = TIMEOUT_S,
    as_json: AsJson = False,
) -> None:
    """Delete a rule."""
    with one_line_errors(as_json=as_json), client_of(url, timeout, token) as client:
        from serve_app.cli.output import say

        client.delete_rule(rule_id, version or client.read_rule(rule_id).version)
        say(f"rule {rule_id} is deleted")


def _read_rule(file: str) -> dict[str, Any]:
    """Read a rule; BadParameter unless the file has a JSON object."""
    stream = typer.get_text_stream("stdin")
    try:
        text = stream.read() if file == "-" else Path(file).read_text()
        rule = json.loads(text, parse_float=Decimal)
    except OSError as error:
        raise typer.BadParameter(f"{file}: {error.strerror}") from error
    except ValueError as error:
        raise typer.BadParameter(f"{file} is not JSON: {error}") from error
    if not isinstance(rule, dict):
        raise typer.BadParameter(f"{file}: a rule is a JSON object")
    return rule


def _show(found: list[Any], *, wide: bool, as_json: bool) -> None:
    from serve_app.cli import tables
    from serve_app.cli.output import show, show_json

    if as_json:
        show_json(found)
    else:
        show(tables.tabulate_rules(found), wide=wide)
