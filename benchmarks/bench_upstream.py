"""Benchmark of holdings from the simulated market: portfolios a second, by client and route.

    python benchmarks/bench_upstream.py

The market has a process of its own.
"""

import asyncio
import multiprocessing
import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from multiprocessing.queues import Queue

import aiohttp
from rich.console import Console
from rich.table import Table

from serve_app.simulator import Market, run
from serve_app.upstream.holdings.pages import PagedAccountingService
from serve_app.upstream.holdings.summaries import POLICY, AccountingService
from serve_app.upstream.http_client import Client

PORTFOLIOS = 1000
REPEATS = 5


def serve(urls: "Queue[str]") -> None:
    """Run the market, and put its URL into the queue."""
    run(Market(seed=7, portfolios=PORTFOLIOS), ready=urls.put)


async def raw(url: str, ids: tuple[str, ...], concurrency: int) -> None:
    """Fetch bodies over aiohttp without parsing: about the capacity of the market."""
    waiting = iter(ids)
    async with aiohttp.ClientSession(url) as session:

        async def worker() -> None:
            for portfolio_id in waiting:
                async with session.get(f"/api/v1/portfolios/{portfolio_id}/summary") as answer:
                    await answer.read()

        await asyncio.gather(*(worker() for _ in range(concurrency)))


async def summaries(url: str, ids: tuple[str, ...], concurrency: int) -> None:
    """Fetch summaries with the service's client."""
    policy = replace(POLICY, concurrency=concurrency)
    async with Client("accounting", url, policy) as client:
        await AccountingService(client).read_holdings(ids)


async def fetch_pages(url: str, ids: tuple[str, ...]) -> None:
    """Fetch the whole book by pages."""
    async with Client("accounting", url, POLICY) as client:
        await PagedAccountingService(client).read_holdings(ids)


async def measure(work: Callable[[], Awaitable[None]]) -> tuple[float, float]:
    """Measure the median seconds of wall time and of this process's CPU time."""
    await work()
    walls: list[float] = []
    processors: list[float] = []
    for _ in range(REPEATS):
        wall, processor = time.perf_counter(), time.process_time()
        await work()
        walls.append(time.perf_counter() - wall)
        processors.append(time.process_time() - processor)
    return statistics.median(walls), statistics.median(processors)


async def compare(url: str) -> Table:
    """Measure all cases, with one line each."""
    ids = Market(seed=7, portfolios=PORTFOLIOS).portfolio_ids()
    cases: list[tuple[str, Callable[[], Awaitable[None]]]] = []
    for concurrency in (16, 32):
        cases += [
            (f"bare aiohttp, {concurrency}", lambda n=concurrency: raw(url, ids, n)),
            (f"summaries, {concurrency}", lambda n=concurrency: summaries(url, ids, n)),
        ]
    cases.append(("pages of /balances", lambda: fetch_pages(url, ids)))
    table = Table(title=f"{PORTFOLIOS} portfolios of 20 positions")
    for column in ("case, concurrency", "wall s", "client CPU s", "portfolios/s"):
        table.add_column(column, justify="right")
    for name, work in cases:
        wall, processor = await measure(work)
        table.add_row(name, f"{wall:.3f}", f"{processor:.3f}", f"{PORTFOLIOS / wall:,.0f}")
    return table


def main() -> None:
    """Start the market, measure, print the table."""
    context = multiprocessing.get_context("spawn")
    urls: Queue[str] = context.Queue()
    market = context.Process(target=serve, args=(urls,), daemon=True)
    market.start()
    try:
        Console().print(asyncio.run(compare(urls.get(timeout=30))))
    finally:
        market.terminate()
        market.join()


if __name__ == "__main__":
    main()
