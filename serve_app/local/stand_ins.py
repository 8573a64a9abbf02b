"""Stand-ins of a service on one machine: the embedded database and the simulated market.

The database replaces an unset MONGODB_URI, the market all upstreams together if UPSTREAMS says so.
A cluster of several nodes refuses both, because their data and address belong to one machine.
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
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import OperationFailure

from optimization import GENERAL, MODEL_RULES
from serve_app.settings import UPSTREAM_URLS, Settings, SettingsError
from serve_app.simulator import Market, run
from storage.embedded import server
from storage.embedded.restarting_server import Clock, RestartingServer
from storage.errors import ServerEndedError
from storage.models.model_store import ModelStore
from storage.mongo.connection import Document, connect, disconnect
from storage.schema import ensure_indexes

NAMESPACE = "order-generation"
UNAUTHORIZED = 13  # MongoDB's code
MARKET_START_S = 60
DATABASE_START_S = 120
DATABASE_WATCH_S = 0.5
DATABASE_PAUSE_S = 10.0

logger = logging.getLogger(__name__)


class SimulatedMarket:
    """Actor that serves the simulated market, one for each cluster."""

    def __init__(
        self, seed: int, portfolios: int, prices_file: Path | None, natural_ids: bool = False
    ) -> None:
        self._url = ""
        self._listening = threading.Event()
        market = Market(seed, portfolios, prices_file=prices_file, natural_ids=natural_ids)
        serve = partial(run, market, ready=self._set_url)
        threading.Thread(target=serve, name="market", daemon=True).start()

    def url(self) -> str:
        """Return the URL of the market, once it listens."""
        if not self._listening.wait(MARKET_START_S):
            raise TimeoutError("the simulated market does not start")
        return self._url

    def _set_url(self, url: str) -> None:
        self._url = url
        self._listening.set()


class DatabaseKeeper:
    """Actor that starts the embedded database, and restarts it unless `ordergen stop` ends it."""

    def __init__(self, directory: Path, mongod: str | None, clock: Clock = time.monotonic) -> None:
        self._directory = directory
        # Not owned, because an owned server ends with the thread that started it, and an actor's
        # threads may end before the actor does.
        self._kept = RestartingServer(directory, mongod, owned=False, clock=clock)
        threading.Thread(target=self._watch, name="database", daemon=True).start()

    def uri(self) -> str:
        """Return the URI of the database."""
        return self._kept.server.uri

    def _watch(self) -> None:
        # Remembered, because a failed start leaves the directory as `ordergen stop` does.
        has_failed = False
        while has_failed or not server.is_stopped(self._directory):
            try:
                if (reason := self._kept.find_end_reason()) is not None:
                    logger.warning("the database ended %s", reason)
                    self._kept.restart(reason)
                has_failed = False
            except Exception as error:
                # Retried, because disk space or the port may become free and nobody else would
                # start the database.
                has_failed = True
                details = None if isinstance(error, ServerEndedError) else error
                logger.error(
                    "%s; next attempt in %.0f s", error, DATABASE_PAUSE_S, exc_info=details
                )
            time.sleep(DATABASE_PAUSE_S if has_failed else DATABASE_WATCH_S)


def start_missing_services(settings: Settings) -> Settings:
    """Start the database and upstreams that the settings leave open; fill in their addresses."""
    services: dict[str, object] = {}
    if settings.mongodb_uri is None:
        _require_one_node("MONGODB_URI")
        services["mongodb_uri"] = SecretStr(_database_uri(settings))
    if settings.simulated_upstreams:
        _require_one_node(UPSTREAM_URLS["accounting"].upper())
        services |= dict.fromkeys(UPSTREAM_URLS.values(), _market_url(settings))
        services["upstreams"] = "simulated"
    settings = settings.model_copy(update=services)
    asyncio.run(prepare_database(settings))
    return settings


def upstreams_line(settings: Settings) -> str:
    """Name the simulated or real upstreams, for a log or a terminal."""
    if names := settings.simulated_upstreams:
        return f"simulated: {', '.join(names)}"
    return f"real: {', '.join(UPSTREAM_URLS)}"


def _market_url(settings: Settings) -> str:
    """Return the URL of the cluster's simulated market; start the market if it does not run."""
    prices = settings.market_prices_file
    market = _shared_actor(
        SimulatedMarket,
        settings.market_seed,
        settings.market_portfolios,
        prices and prices.resolve(),
        settings.model_rules == GENERAL.name,
    )
    return ray.get(market.url.remote(), timeout=MARKET_START_S)


def _database_uri(settings: Settings) -> str:
    """Return the URI of the embedded database; start it, until `ordergen stop`, if needed."""
    keeper = _shared_actor(DatabaseKeeper, settings.data_directory.resolve(), settings.mongod)
    return ray.get(keeper.uri.remote(), timeout=DATABASE_START_S)


def _shared_actor(kind: type, *arguments: object) -> Any:
    """Return the one actor of this class in the cluster; start it if it does not run."""
    actor: Any = ray.remote(kind).options(  # pyright: ignore[reportFunctionMemberAccess]
        name=kind.__name__,
        namespace=NAMESPACE,
        lifetime="detached",  # because the replica that starts it may end before the others
        get_if_exists=True,
        num_cpus=0,  # because otherwise it would take the place of a worker
    )
    return actor.remote(*arguments)


async def prepare_database(settings: Settings) -> None:
    """Make the database ready for these settings.

    Raises SettingsError if it is for others, or lets its user not change it.
    """
    assert settings.mongodb_uri is not None
    database = connect(settings.mongodb_uri.get_secret_value(), settings.database_name)
    try:
        await ensure_indexes(database)
        await _require_permitted_models(settings, database)
    except OperationFailure as error:
        if error.code != UNAUTHORIZED:
            raise
        rule = f"its user needs the roles readWrite and dbAdmin of {settings.database_name}"
        raise SettingsError("MONGODB_URI", None, rule) from error
    finally:
        await disconnect(database)


async def _require_permitted_models(settings: Settings, database: AsyncDatabase[Document]) -> None:
    """Refuse a database with models beyond the rules, because their clients could not read them."""
    name = await ModelStore(database, MODEL_RULES[settings.model_rules]).find_forbidden()
    if name is not None:
        rule = (
            f"has to be general: the database {settings.database_name} has models beyond the rules"
            f" of GlobeCo, such as {name!r}; change or delete them first"
        )
        raise SettingsError("MODEL_RULES", settings.model_rules, rule)


def _require_one_node(variable: str) -> None:
    if sum(node["Alive"] for node in ray.nodes()) > 1:
        rule = "has to be set on a cluster of several nodes"
        raise SettingsError(variable, "unset", rule)
