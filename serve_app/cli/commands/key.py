"""Commands for API keys, over HTTP or in the database itself."""

from typing import TYPE_CHECKING, Annotated

import typer

from serve_app.auth.permissions import Role, Scope
from serve_app.cli.arguments import TIMEOUT_S, URL, AsJson, Timeout, Token, Url, Wide, build_client
from serve_app.cli.exit_codes import report_errors

if TYPE_CHECKING:
    from serve_app.cli.database_keys import DatabaseKeys
    from serve_app.client.responses.keys import NewApiKey

commands = typer.Typer(
    name="keys", help="Make, list, rotate and revoke API keys.", no_args_is_help=True
)

KeyId = Annotated[str, typer.Argument(metavar="KEY_ID")]
InDatabase = Annotated[
    bool,
    typer.Option(
        "--database",
        help="work on the database of the settings, without a service: for the first key",
    ),
]


@commands.command()
def create(
    owner: Annotated[str, typer.Argument(help="person or program that the key is for")],
    roles: Annotated[list[Role] | None, typer.Option("--role", help="may be repeated")] = None,
    scopes: Annotated[
        list[Scope] | None, typer.Option("--scope", help="a single scope; may be repeated")
    ] = None,
    models: Annotated[
        list[str] | None, typer.Option("--model", help="limit to this model; may be repeated")
    ] = None,
    portfolios: Annotated[
        list[str] | None,
        typer.Option("--portfolio", help="limit to this portfolio; may be repeated"),
    ] = None,
    days: Annotated[int, typer.Option(min=0, help="lifetime; 0 for a key without end")] = 365,
    approver_level: Annotated[
        int, typer.Option(min=1, max=3, help="of who may approve; 3 is the highest")
    ] = 1,
    database: InDatabase = False,
    url: Url = URL,
    token: Token = None,
    timeout: Timeout = TIMEOUT_S,
    as_json: AsJson = False,
) -> None:
    """Make a key and print it, this once: only its hash is stored."""
    with report_errors(as_json=as_json):
        limits = {"models": models or None, "portfolios": portfolios or None}
        if database:
            new = _add_to_database(
                owner, roles or [], scopes or [], limits, days or None, approver_level
            )
        else:
            with build_client(url, timeout, token) as client:
                new = client.add_key(
                    owner,
                    roles=roles or (),
                    scopes=scopes or (),
                    days=days or None,
                    approver_level=approver_level,
                    **limits,
                )
        _show_new(new, as_json=as_json)


@commands.command("list")
def list_keys(
    database: InDatabase = False,
    url: Url = URL,
    token: Token = None,
    timeout: Timeout = TIMEOUT_S,
    wide: Wide = False,
    as_json: AsJson = False,
) -> None:
    """List keys, the newest first, without their secrets."""
    with report_errors(as_json=as_json):
        from serve_app.cli import tables
        from serve_app.cli.output import show, show_json

        if database:
            keys = [*_database_keys().list_keys()]
        else:
            with build_client(url, timeout, token) as client:
                keys = [*client.list_keys()]
        if as_json:
            show_json(keys)
        else:
            show(tables.tabulate_keys(keys), wide=wide)


@commands.command()
def rotate(
    key_id: KeyId,
    overlap: Annotated[
        int, typer.Option(min=0, max=720, metavar="HOURS", help="the former secret stays valid")
    ] = 24,
    database: InDatabase = False,
    url: Url = URL,
    token: Token = None,
    timeout: Timeout = TIMEOUT_S,
    as_json: AsJson = False,
) -> None:
    """Give a key another secret and print it, this once."""
    with report_errors(as_json=as_json):
        if database:
            new = _database_keys().rotate(key_id, overlap)
        else:
            with build_client(url, timeout, token) as client:
                new = client.rotate_key(key_id, overlap_hours=overlap)
        _show_new(new, as_json=as_json)


@commands.command()
def revoke(
    key_id: KeyId,
    database: InDatabase = False,
    url: Url = URL,
    token: Token = None,
    timeout: Timeout = TIMEOUT_S,
    as_json: AsJson = False,
) -> None:
    """End a key for good; within 5 seconds no request with it is answered."""
    with report_errors(as_json=as_json):
        from serve_app.cli.output import say, show_json

        if database:
            revoked = _database_keys().revoke(key_id)
        else:
            with build_client(url, timeout, token) as client:
                revoked = client.revoke_key(key_id)
        if as_json:
            show_json(revoked)
        else:
            say(f"key {revoked.key_id} of {revoked.owner} is revoked")


def _database_keys() -> "DatabaseKeys":
    from serve_app.cli.database_keys import DatabaseKeys
    from serve_app.settings import read_settings

    return DatabaseKeys(read_settings())


def _add_to_database(
    owner: str,
    roles: list[Role],
    scopes: list[Scope],
    limits: dict[str, list[str] | None],
    days: int | None,
    approver_level: int,
) -> "NewApiKey":
    from serve_app.auth.key_requests import KeyRequest

    ids = {name: None if value is None else tuple(value) for name, value in limits.items()}
    request = KeyRequest(
        owner, tuple(roles), tuple(scopes), days=days, approver_level=approver_level, **ids
    )
    return _database_keys().add(request)


def _show_new(new: "NewApiKey", *, as_json: bool) -> None:
    """Print the key alone on stdout, so that a script can store it."""
    from serve_app.cli.output import say, show_json

    if as_json:
        show_json(new)
        return
    rights = ", ".join((*new.roles, *new.scopes))
    end = f", until {new.expires_at:%Y-%m-%d}" if new.expires_at else ""
    say(f"key {new.key_id} of {new.owner}: {rights}{end}. Keep it now: it is not shown again.")
    typer.echo(new.key)
