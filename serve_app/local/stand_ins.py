"""What a service on one machine starts for itself: the embedded database and the simulated market.

The database stands in for an unset MONGODB_URI, the market for all upstreams together where UPSTREAMS
says so. On a cluster of several nodes both are refused: their data and their address belong to one machine.
"""

import asyncio
import logging
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any

import ray
from pydantic import SecretStr

from serve_app.settings import UPSTREAM_URLS, Settings, SettingsError
from serve_app.simulator import Market, run
from storage.embedded import server
from storage.embedded.restarting_server import RestartingServer
from storage.errors import ServerEndedError
from storage.mongo.connection import connect, disconnect
from storage.schema import ensure_indexes

NAMESPACE = "order-generation"
MARKET_START_S = 60
DATABASE_START_S = 120
DATABASE_WATCH_S = 0.5
DATABASE_PAUSE_S = 10.0

logger = logging.getLogger(__name__)


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


class DatabaseKeeper:
    """The actor that starts the embedded database, and starts it again if it ends otherwise than by `ordergen stop`."""

    def __init__(self, directory: Path, mongod: str | None) -> None:
        self._directory = directory
        # An actor's threads may end before it does: a server that is owned would end with them.
        self._kept = RestartingServer(directory, mongod, owned=False)
        threading.Thread(target=self._watch, name="database", daemon=True).start()

    def uri(self) -> str:
        """Where the database answers."""
        return self._kept.server.uri

    def _watch(self) -> None:
        has_failed = False  # a start that fails leaves the directory as `ordergen stop` does
        while has_failed or not server.is_stopped(self._directory):
            try:
                if (reason := self._kept.reason_of_end()) is not None:
                    logger.warning("the database ended %s", reason)
                    self._kept.restart(reason)
                has_failed = False
            except Exception as error:
                # There may be room later, or its port may be free: nobody else would start it.
                has_failed = True
                details = None if isinstance(error, ServerEndedError) else error
                logger.error(
                    "%s; it is tried again in %.0f s", error, DATABASE_PAUSE_S, exc_info=details
                )
            time.sleep(DATABASE_PAUSE_S if has_failed else DATABASE_WATCH_S)


def complete(settings: Settings) -> Settings:
    """The settings with the database and the upstreams that were left to us started and filled in."""
    found: dict[str, object] = {}
    if settings.mongodb_uri is None:
        _require_one_node("MONGODB_URI")
        found["mongodb_uri"] = SecretStr(_database_uri(settings))
    if settings.simulated_upstreams:
        _require_one_node(UPSTREAM_URLS["accounting"].upper())
        found |= dict.fromkeys(UPSTREAM_URLS.values(), market_url(settings))
        found["upstreams"] = "simulated"
    settings = settings.model_copy(update=found)
    asyncio.run(_prepare_database(settings))
    return settings


def upstreams_line(settings: Settings) -> str:
    """Which upstreams are simulated, for a log or a terminal."""
    if names := settings.simulated_upstreams:
        return f"simulated: {', '.join(names)}"
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


def _database_uri(settings: Settings) -> str:
    """The address of the embedded database, which is started if it does not run, and runs until `ordergen stop`."""
    actor: Any = ray.remote(DatabaseKeeper).options(  # pyright: ignore[reportFunctionMemberAccess]
        name="DatabaseKeeper",
        namespace=NAMESPACE,
        lifetime="detached",
        get_if_exists=True,
        num_cpus=0,
    )
    keeper = actor.remote(settings.data_directory.resolve(), settings.mongod)
    return ray.get(keeper.uri.remote(), timeout=DATABASE_START_S)


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
