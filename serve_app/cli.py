"""`ordergen`: the service and its demonstration, from a terminal."""

import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from serve_app.launch import configured, running, url_of, wait_for_signal
from serve_app.settings import Settings, SettingsError, settings_from
from storage import embedded
from storage.errors import EmbeddedServerError

cli = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
console = Console(highlight=False)

Config = Annotated[Path, typer.Option(help="the Serve configuration")]
Prices = Annotated[
    Path | None, typer.Option(help="real prices for the simulated market, a CSV file")
]
Portfolios = Annotated[int | None, typer.Option(help="portfolios of the simulated market")]
CONFIG = Path("serve_config.yaml")


@cli.command()
def serve(config: Config = CONFIG, prices: Prices = None, portfolios: Portfolios = None) -> None:
    """Run the service on this machine until Ctrl-C."""
    with _one_line_errors():
        settings, content = configured(config, _market(prices, portfolios))
        with running(settings, content, console.print):
            _show_addresses(settings)
            wait_for_signal()
            console.print("stopping")


@cli.command()
def demo(config: Config = CONFIG, prices: Prices = None, portfolios: Portfolios = None) -> None:
    """Run the service, rebalance a simulated book through HTTP, and stay up until Ctrl-C."""
    from serve_app.demo import show  # noqa: PLC0415 - the other commands need not load it

    with _one_line_errors():
        settings, content = configured(config, _market(prices, portfolios))
        with running(settings, content, console.print) as complete:
            show(complete, url_of(complete), console)
            _show_addresses(settings)
            wait_for_signal()
            console.print("stopping")


@cli.command()
def stop() -> None:
    """Stop the embedded database that `serve run` left running; its data stays."""
    with _one_line_errors():
        directory = settings_from().data_directory
        stopped = embedded.stop(directory)
    console.print("stopped" if stopped else f"no database runs in {directory}")


@cli.command()
def check_config(config: Config = CONFIG) -> None:
    """Refuse keys of a Serve configuration that Serve itself would ignore."""
    from serve_app.app import DEPLOYMENTS  # noqa: PLC0415 - loads Ray
    from serve_app.serve_config import check_serve_config  # noqa: PLC0415

    with _one_line_errors():
        check_serve_config(config, DEPLOYMENTS)
    console.print(f"{config}: every key is known")


def main() -> None:
    """The entry point of `ordergen`."""
    cli()


def _market(prices: Path | None, portfolios: int | None) -> dict[str, object]:
    given = {"market_prices_file": prices, "market_portfolios": portfolios}
    return {name: value for name, value in given.items() if value is not None}


def _show_addresses(settings: Settings) -> None:
    url = url_of(settings)
    console.print(
        f"\nAPI docs   {url}/docs\nhealth     {url}/health/ready\nCtrl-C stops everything"
    )


@contextmanager
def _one_line_errors() -> Generator[None]:
    """What a person did wrong is said in one line, without a traceback."""
    try:
        yield
    except (SettingsError, EmbeddedServerError) as error:
        console.print(f"ordergen: {error}", soft_wrap=True, markup=False)
        sys.exit(2)
    except KeyboardInterrupt:
        console.print("stopping")
        sys.exit(130)
