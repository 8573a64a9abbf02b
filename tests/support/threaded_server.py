"""The application behind a real HTTP server in a thread, with real database and optimizer."""

import asyncio
import socket
import threading
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

import uvicorn

from optimization import MODEL_RULES
from serve_app.api.app import api_app
from serve_app.api.dependencies import Ports
from serve_app.settings import Settings, read_settings
from serve_app.simulator import Market
from serve_app.upstream.holdings.source import Balance, BalanceOrError
from serve_app.upstream.order_service import Placed
from storage.mongo.connection import connect, disconnect, ping
from storage.schema import ensure_indexes
from tests.support.approvals import connect_upstreams
from tests.support.fakes import PRICE, A, Stored, render_no_metrics
from tests.support.flaky_order_service import OrderDesk
from tests.support.in_process import Upstreams, build_optimizer
from tests.support.submissions import connect_desk

QUICK = read_settings({"optimization_timeout": 0.2})


class PriceOfEverySecurity(dict[str, Decimal]):
    """Prices that have every requested ticker."""

    def __contains__(self, ticker: object) -> bool:
        return True

    def __missing__(self, ticker: str) -> Decimal:
        return PRICE


class Generous(Upstreams):
    """Upstreams at which every portfolio has holdings."""

    async def read_holdings(
        self, portfolio_ids: Mapping[str, BalanceOrError]
    ) -> Mapping[str, BalanceOrError]:
        return {
            portfolio_id: Balance(portfolio_id, Decimal(1000), {A: Decimal(2)})
            for portfolio_id in portfolio_ids
        }

    async def read_placed(self, _: datetime) -> Mapping[tuple[str, str], Placed]:
        return {}

    async def read_names(self, portfolio_ids: Iterable[str]) -> Mapping[str, str | None]:
        return dict.fromkeys(portfolio_ids, "Anybody's")

    async def search_by_name(self, part: str, limit: int) -> Mapping[str, str]:
        return dict.fromkeys(["A" * 24][:limit], part)


@contextmanager
def serve_in_thread(
    mongodb_uri: str,
    database_name: str,
    settings: Settings = QUICK,
    upstreams: Any = None,
    market: Market | None = None,
) -> Generator[str]:
    """Serve from a thread with its own event loop, and yield the URL.

    Holdings, prices and names come from ``upstreams``; orders go to ``market``.
    """
    ports = upstreams or Generous(PriceOfEverySecurity()), market or Market(seed=7, portfolios=1)
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:
        stop = threading.Event()
        thread = threading.Thread(
            target=lambda: asyncio.run(
                _serve(connect(mongodb_uri, database_name), settings, *ports, listener, stop)
            ),
            name="application",
        )
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            stop.set()
            thread.join()


async def _serve(
    database: Any,
    settings: Settings,
    upstreams: Any,
    market: Market,
    listener: socket.socket,
    stop: threading.Event,
) -> None:
    await ensure_indexes(database)
    optimizer = build_optimizer(settings, database, upstreams)
    checks = {"database": lambda: ping(database)}
    stored = Stored(database, MODEL_RULES[settings.model_rules], settings)
    connect_upstreams(stored, upstreams)
    stored.resources = replace(stored.resources, portfolios=upstreams)
    connect_desk(stored, OrderDesk(market))
    app = api_app(settings, Ports(stored.port, optimizer, checks, render_no_metrics))
    config = uvicorn.Config(app, log_level="error", access_log=False, lifespan="off")
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    await asyncio.to_thread(stop.wait)
    server.should_exit = True
    await serving
    await database.client.drop_database(database.name)
    await disconnect(database)
