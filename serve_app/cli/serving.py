"""The commands that start and stop the service on this machine."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from serve_app.cli.ending import one_line_errors

if TYPE_CHECKING:
    from rich.console import Console

    from serve_app.settings import Settings

commands = typer.Typer()

Config = Annotated[Path, typer.Option(help="the Serve configuration")]
Prices = Annotated[
    Path | None, typer.Option(help="real prices for the simulated market, a CSV file")
]
Portfolios = Annotated[int | None, typer.Option(help="portfolios of the simulated market")]
CONFIG = Path("serve_config.yaml")


@commands.command()
def serve(config: Config = CONFIG, prices: Prices = None, portfolios: Portfolios = None) -> None:
    """Run the service on this machine until Ctrl-C."""
    with one_line_errors():
        from serve_app.launch import configured, running, wait_for_signal

        console = _console()
        settings, content = configured(config, _market(prices, portfolios))
        with running(settings, content, console.print):
            _show_addresses(console, settings)
            wait_for_signal()
            console.print("stopping")


@commands.command()
def demo(config: Config = CONFIG, prices: Prices = None, portfolios: Portfolios = None) -> None:
    """Run the service, rebalance a simulated book through HTTP, and stay up until Ctrl-C."""
    with one_line_errors():
        from serve_app.demo import show
        from serve_app.launch import configured, running, url_of, wait_for_signal

        console = _console()
        settings, content = configured(config, _market(prices, portfolios))
        with running(settings, content, console.print) as complete:
            show(complete, url_of(complete), console)
            _show_addresses(console, settings)
            wait_for_signal()
            console.print("stopping")


@commands.command()
def stop() -> None:
    """Stop the embedded database that `serve run` left running; its data stays."""
    with one_line_errors():
        from serve_app.settings import settings_from
        from storage import embedded

        directory = settings_from().data_directory
        stopped = embedded.stop(directory)
        typer.echo("stopped" if stopped else f"no database runs in {directory}")


@commands.command()
def check_config(config: Config = CONFIG) -> None:
    """Refuse keys of a Serve configuration that Serve itself would ignore."""
    with one_line_errors():
        from serve_app.app import DEPLOYMENTS
        from serve_app.serve_config import check_serve_config

        check_serve_config(config, DEPLOYMENTS)
        typer.echo(f"{config}: every key is known")


def _market(prices: Path | None, portfolios: int | None) -> dict[str, object]:
    given = {"market_prices_file": prices, "market_portfolios": portfolios}
    return {name: value for name, value in given.items() if value is not None}


def _console() -> "Console":
    from rich.console import Console

    return Console(highlight=False)


def _show_addresses(console: "Console", settings: "Settings") -> None:
    from serve_app.launch import url_of

    url = url_of(settings)
    console.print(
        f"\nAPI docs   {url}/docs\nhealth     {url}/health/ready\nCtrl-C stops everything"
    )
