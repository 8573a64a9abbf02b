"""What a service on one machine starts for itself: the embedded database and the simulated market.

The database stands in for an unset MONGODB_URI, the market for all upstreams together where UPSTREAMS
says so. On a cluster of several nodes both are refused: their data and their address belong to one machine.
"""

import asyncio
import threading
from functools import partial
from pathlib import Path
from typing import Any

import ray
from pydantic import SecretStr

from serve_app.market import Market, run
from serve_app.settings import UPSTREAM_URLS, Settings, SettingsError
from storage import embedded
from storage.database import connect, disconnect
from storage.indexes import ensure_indexes

NAMESPACE = "order-generation"
MARKET_START_S = 60


class SimulatedMarket:
    """The actor that serves the simulated market, one a cluster."""

    def __init__(self, seed: int, portfolios: int, prices_file: Path | None) -> None:
        self._url = ""
        self._listening = threading.Event()
        market = Market(seed, portfolios, prices_file=prices_file)
        serve = partial(run, market, ready=self._started)
        threading.Thread(target=serve, name="market", daemon=True).start()

    def url(self) -> str:
        """Where it answers."""
        if not self._listening.wait(MARKET_START_S):
            raise TimeoutError("the simulated market does not start")
        return self._url

    def _started(self, url: str) -> None:
        self._url = url
        self._listening.set()


def complete(settings: Settings) -> Settings:
    """The settings with the database and the upstreams that were left to us started and filled in."""
    found: dict[str, object] = {}
    if settings.mongodb_uri is None:
        _require_one_node("MONGODB_URI")
        # Whoever started it before owns it; one that is started here runs until `ordergen stop`.
        server = embedded.start(settings.data_directory, settings.mongod, owned=False)
        found["mongodb_uri"] = SecretStr(server.uri)
    if settings.simulated_upstreams:
        _require_one_node(UPSTREAM_URLS["accounting"].upper())
        found |= dict.fromkeys(UPSTREAM_URLS.values(), market_url(settings))
        found["upstreams"] = "simulated"
    settings = settings.model_copy(update=found)
    asyncio.run(_prepare_database(settings))
    return settings


def upstreams_line(settings: Settings) -> str:
    """Which upstreams are simulated, and where, for a log or a terminal."""
    if names := settings.simulated_upstreams:
        return f"simulated: {', '.join(names)} at {settings.order_service_url}"
    return f"real: {', '.join(UPSTREAM_URLS)}"


def market_url(settings: Settings) -> str:
    """The address of the cluster's simulated market, which is started if it does not run."""
    prices = settings.market_prices_file
    actor: Any = ray.remote(SimulatedMarket).options(  # pyright: ignore[reportFunctionMemberAccess]
        name="SimulatedMarket",
        namespace=NAMESPACE,
        lifetime="detached",
        get_if_exists=True,
        num_cpus=0,
    )
    market = actor.remote(
        settings.market_seed, settings.market_portfolios, prices and prices.resolve()
    )
    return ray.get(market.url.remote(), timeout=MARKET_START_S)


async def _prepare_database(settings: Settings) -> None:
    assert settings.mongodb_uri is not None
    database = connect(settings.mongodb_uri.get_secret_value(), settings.database_name)
    try:
        await ensure_indexes(database)
    finally:
        await disconnect(database)


def _require_one_node(variable: str) -> None:
    if sum(node["Alive"] for node in ray.nodes()) > 1:
        rule = "has to be set on a cluster of several nodes"
        raise SettingsError(variable, "unset", rule)
