"""Command `doctor`: checks this machine and names the remedy of each fault."""

from typing import Annotated

import typer

from serve_app.cli.arguments import AsJson
from serve_app.cli.exit_codes import Ending, report_errors

commands = typer.Typer()
MARKS = {"ok": "green", "warn": "yellow", "fail": "red"}


@commands.command()
def doctor(
    url: Annotated[
        str | None,
        typer.Option(
            envvar="ORDERGEN_URL", help="URL of the service; by default that of the settings"
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check this machine, the settings, the database, the upstreams and the service."""
    with report_errors(as_json=as_json):
        from rich.console import Console

        from serve_app.cli.diagnostics import run_checks
        from serve_app.cli.output import escape_unprintable, show_json, show_spinner

        with show_spinner("looking"):
            checks = run_checks(url)
        if as_json:
            show_json(checks)
        else:
            console = Console(highlight=False, soft_wrap=True)
            for check in checks:
                mark = f"[{MARKS[check.verdict]}]{check.verdict:<4}[/]"
                console.print(f"{mark} {check.name:<10}", end=" ")
                console.print(escape_unprintable(check.detail), markup=False, emoji=False)
                if check.remedy:
                    console.print(
                        f"{'':16}{escape_unprintable(check.remedy)}", markup=False, emoji=False
                    )
        if any(check.verdict == "fail" for check in checks):
            raise typer.Exit(Ending.REFUSED)
