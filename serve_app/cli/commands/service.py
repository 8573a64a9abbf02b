"""Commands that start and stop the service on this machine."""

import signal
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from serve_app.cli.exit_codes import Ending, report_errors

if TYPE_CHECKING:
    from rich.console import Console

    from serve_app.launch.steps import Say
    from serve_app.settings import Settings

commands = typer.Typer()

Config = Annotated[
    Path | None,
    typer.Option(
        help="the Serve configuration; serve_config.yaml here, or that of the package, by default"
    ),
]
ConfigFile = Annotated[
    Path | None,
    typer.Argument(
        help="the Serve configuration; serve_config.yaml here, or that of the package, by default"
    ),
]
Prices = Annotated[
    Path | None, typer.Option(help="real prices for the simulated market, a CSV file")
]
Portfolios = Annotated[int | None, typer.Option(help="portfolios of the simulated market")]
ATTEMPTS = 2


@commands.command()
def serve(config: Config = None, prices: Prices = None, portfolios: Portfolios = None) -> None:
    """Run the service on this machine until Ctrl-C."""
    _supervise(config, _market(prices, portfolios), demonstration=False)


@commands.command()
def demo(config: Config = None, prices: Prices = None, portfolios: Portfolios = None) -> None:
    """Run the service, rebalance a simulated book through HTTP, and stay up until Ctrl-C."""
    _supervise(config, _market(prices, portfolios), demonstration=True)


@commands.command()
def stop() -> None:
    """Stop the embedded database that `serve run` left running; its data stays."""
    with report_errors():
        from serve_app.settings import read_settings
        from storage.embedded import server

        directory = read_settings().data_directory
        stopped = server.stop(directory)
        typer.echo("stopped" if stopped else f"no database runs in {directory}")


@commands.command()
def check_config(file: ConfigFile = None) -> None:
    """Refuse keys of a Serve configuration that Serve itself would ignore."""
    with report_errors():
        from serve_app.app import DEPLOYMENTS
        from serve_app.launch.preflight import default_config
        from serve_app.local.config_check import check_serve_config

        path = file or default_config()
        check_serve_config(path, DEPLOYMENTS)
        typer.echo(f"{path}: every key is known")


def _supervise(config: Path | None, market: dict[str, object], *, demonstration: bool) -> None:
    """Run the checks, then the service as a child process, and report its end."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with report_errors():
        try:
            code = _check_and_run(config, market, demonstration=demonstration)
        except KeyboardInterrupt:  # during the checks, which leave nothing behind
            code = Ending.DONE
        if code == Ending.DONE:
            typer.echo("stopped")
        raise typer.Exit(code)


def _check_and_run(config: Path | None, market: dict[str, object], *, demonstration: bool) -> int:
    from serve_app.launch.preflight import read_configuration, require_startable
    from serve_app.launch.supervisor import supervise

    settings, content = read_configuration(config, market)
    if demonstration:
        _require_simulated_market(settings)
    require_startable(settings)
    return supervise(partial(_run, settings, content, demonstration))


def _run(
    settings: "Settings", content: "Mapping[str, Any]", demonstration: bool, attempt: int
) -> int:
    """Run the service in the supervisor's child; return its exit code."""
    from serve_app.cli.output import show_spinner
    from serve_app.launch.launcher import ClusterDidNotStartError, serve_until_stopped
    from serve_app.launch.supervisor import AGAIN, adopt_orphans, end_descendants

    say = partial(_console().print, markup=False, soft_wrap=True)
    adopt_orphans()

    def announce_start(complete: "Settings") -> None:
        if demonstration:
            _demonstrate(complete)
        _show_addresses(say, complete)

    try:
        with report_errors():
            try:
                serve_until_stopped(settings, content, say, announce_start, show_spinner)
            except KeyboardInterrupt:
                return Ending.DONE  # as later, because a stop is no failure of the start
            except ClusterDidNotStartError as error:
                if attempt == ATTEMPTS:
                    raise
                say(f"cluster    did not start ({error.reason}): once more")
                return AGAIN
    except typer.Exit as ending:
        return ending.exit_code
    finally:
        end_descendants()
    return Ending.DONE


def _demonstrate(settings: "Settings") -> None:
    from serve_app.cli.demo import show_demonstration
    from serve_app.launch.launcher import format_url

    show_demonstration(settings, format_url(settings))


def _require_simulated_market(settings: "Settings") -> None:
    """Raise SettingsError with real upstreams, because the demonstration sends orders."""
    from serve_app.settings import SettingsError

    if settings.authenticates:
        raise SettingsError("AUTH", settings.auth, "the demonstration has no key; unset it")
    if not settings.simulated_upstreams:
        rule = "the demonstration sends orders to the simulated market alone; unset it and the URLs"
        raise SettingsError("UPSTREAMS", settings.upstreams or "real", rule)


def _market(prices: Path | None, portfolios: int | None) -> dict[str, object]:
    values = {"market_prices_file": prices, "market_portfolios": portfolios}
    return {name: value for name, value in values.items() if value is not None}


def _console() -> "Console":
    from rich.console import Console

    return Console(highlight=False)


def _show_addresses(say: "Say", settings: "Settings") -> None:
    from serve_app.launch.launcher import format_url
    from serve_app.web import CONSOLE, is_built

    url = format_url(settings)
    say("")
    if is_built():
        say(f"console    {url}{CONSOLE}")
    say(f"API docs   {url}/docs\nhealth     {url}/health/ready\nCtrl-C stops everything")
