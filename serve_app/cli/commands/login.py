"""Commands to sign in at the identity provider of a service, and out."""

import contextlib
from typing import Annotated

import typer

from serve_app.cli.arguments import TIMEOUT_S, URL, Timeout, Url
from serve_app.cli.exit_codes import CommandError, Ending, report_errors

commands = typer.Typer()

Browser = Annotated[
    bool, typer.Option("--browser/--no-browser", help="open the page, or only print its address")
]


@commands.command()
def login(url: Url = URL, browser: Browser = True, timeout: Timeout = TIMEOUT_S) -> None:
    """Sign in at the identity provider of the service, with a browser on this machine.

    The token is kept in a private file, and renewed. ORDERGEN_TOKEN and --token go over it.
    """
    import webbrowser

    from serve_app.cli.login_flow import sign_in
    from serve_app.client import Client
    from serve_app.client.saved_login import save_login
    from serve_app.client.tokens import authorities_from_environment
    from serve_app.loopback import is_private_on_the_way

    def show(page: str) -> None:
        typer.echo(f"sign in at {page}", err=True)
        if browser:
            webbrowser.open(page)

    with report_errors():
        if not is_private_on_the_way(url):
            raise CommandError(Ending.USAGE, f"{url} is not https: the token could be read")
        authorities = authorities_from_environment()
        with Client(url, ca_file=authorities, timeout_s=timeout) as client:
            ways = client.read_session().sign_in
        if ways.issuer is None or ways.client_id is None:
            detail = f"{url} has no sign-in for programs (OIDC_CLI_CLIENT_ID): use an API key"
            raise CommandError(Ending.REFUSED, detail)
        signed_in = sign_in(url, ways, show)
        token = signed_in.access_token
        with Client(url, token=token, ca_file=authorities, timeout_s=timeout) as client:
            caller = client.read_session().caller
        save_login(signed_in)
        name = caller.display_name if caller else "?"
        typer.echo(f"signed in to {url} as {name}")


@commands.command()
def logout(url: Url = URL) -> None:
    """Forget the token of `ordergen login`, and end it at the identity provider."""
    from serve_app.cli.login_flow import revoke_login
    from serve_app.client.saved_login import LoginError, find_path, load_login

    with report_errors():
        path = find_path(url)
        saved = load_login(path)
        path.unlink(missing_ok=True)
        path.with_suffix(".lock").unlink(missing_ok=True)
        if saved is None:
            typer.echo(f"nobody was signed in to {url}")
            return
        with contextlib.suppress(LoginError):  # because the token here is gone all the same
            revoke_login(saved)
        typer.echo(f"signed out of {url}")
