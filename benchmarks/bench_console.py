"""Benchmark of the console in a real browser: a book, and a run over it that is followed.

    python benchmarks/bench_console.py [--portfolios 100000] [--times 5]

The script starts the service with its own database and the simulated market, measures the drift of
the whole book, and opens pages in the browser of the tests (``make .tools/chromium``), which shares
the processors with the service. Milliseconds are from the action to the rows that it asks for. The
work of a frame is what the page does between the start of a frame and the end of its drawing.
"""

import argparse
import asyncio
import gzip
import json
import os
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx
from playwright.async_api import Browser, Locator, Page, expect
from rich.console import Console
from rich.table import Table

from serve_app.launch.launcher import run_service
from serve_app.launch.preflight import read_configuration
from serve_app.simulator import Market
from serve_app.web import PAGE
from storage.embedded.free_port import free_port
from tests.page.browser.found import open_browser

CONFIG: Final = Path(__file__).parents[1] / "serve_config.yaml"
BAND: Final = {"low_drift": "0.01", "high_drift": "0.01"}
TIMEOUT_MS: Final = 120_000
POLL_S: Final = 0.2
MIB: Final = 2**20
STATE: Final = "IN_BAND"

# Work of each frame: from its start until its drawing has ended, when a message is delivered.
WATCH_FRAMES: Final = """() => {
  window.frames_ms = [];
  const channel = new MessageChannel();
  let start = 0;
  channel.port1.onmessage = () => window.frames_ms.push(performance.now() - start);
  const next = () => {
    start = performance.now();
    channel.port2.postMessage(0);
    requestAnimationFrame(next);
  };
  requestAnimationFrame(next);
}"""
SCROLL: Final = """async (region) => {
  for (let step = 0; step < 120; step += 1) {
    region.scrollTop += 700;
    await new Promise(requestAnimationFrame);
  }
}"""

Row = tuple[str, str, str, bool]  # what was measured, figure, budget, whether it holds

console = Console()


def compare_figure(name: str, value: float, budget: float, unit: str) -> Row:
    """Compare a figure with its bound."""
    return name, f"{value:,.1f} {unit}", f"{budget:,g} {unit}", value <= budget


def script_kb() -> float:
    """Return the kilobytes of the scripts as they are sent, compressed."""
    return sum(len(gzip.compress(script.read_bytes())) for script in PAGE.rglob("*.js")) / 1000


async def median_ms(act: Callable[[int], Awaitable[object]], times: int) -> float:
    """Measure the milliseconds of the median of some repetitions."""
    durations_ms: list[float] = []
    for number in range(times):
        begin = time.perf_counter()
        await act(number)
        durations_ms.append(1000 * (time.perf_counter() - begin))
    return statistics.median(durations_ms)


class Book:
    """The page of the book, and what can be done on it."""

    def __init__(self, page: Page, portfolios: int) -> None:
        self._page = page
        self._table = page.get_by_role("table", name="Portfolios")
        self._portfolios = portfolios

    def _row(self, index: int) -> Locator:
        return self._table.locator(f".row[data-row='{index}'] a").first

    async def open(self, _: int) -> None:
        """Load the page anew, until its first rows show."""
        await self._page.goto("/console/book")
        await expect(self._row(0)).to_be_visible()

    async def go_to_end(self, number: int) -> None:
        """Scroll to the last row, or back to the first."""
        is_down = number % 2 == 0
        region = self._page.get_by_role("region", name="Portfolios")
        place = "element.scrollHeight" if is_down else "0"
        await region.evaluate(f"element => element.scrollTo(0, {place})")
        await expect(self._row(self._portfolios - 1 if is_down else 0)).to_be_visible()

    async def filter(self, _: int) -> None:
        """Press the tile of a state, which filters or takes the filter away."""
        await self._click_and_wait(self._page.get_by_role("button", name=STATE))

    async def sort(self, _: int) -> None:
        """Press the head of the column of market values, which turns its order."""
        await self._click_and_wait(self._table.get_by_role("button", name="Market value"))

    async def _click_and_wait(self, button: Locator) -> None:
        async with self._page.expect_response(lambda response: "/portfolios?" in response.url):
            await button.click()
        await expect(self._table.locator(".row .pending").first).to_have_count(0)
        await expect(self._row(0)).to_be_visible()


async def read_frames(page: Page) -> tuple[float, float, float]:
    """Return the work of the frames: median, 99th percentile and maximum, in milliseconds."""
    frames: list[float] = await page.evaluate("window.frames_ms")
    cut = statistics.quantiles(frames, n=100, method="inclusive")
    return cut[49], cut[98], max(frames)


async def read_size(page: Page) -> tuple[float, int]:
    """Return the MiB of the heap after a collection, and the elements of the document."""
    session = await page.context.new_cdp_session(page)
    await session.send("HeapProfiler.collectGarbage")
    usage = await session.send("Runtime.getHeapUsage")
    await session.detach()
    return usage["usedSize"] / MIB, await page.evaluate("document.querySelectorAll('*').length")


async def measure_book(browser: Browser, url: str, portfolios: int, times: int) -> list[Row]:
    """Measure the page of the book."""
    context = await browser.new_context(base_url=url, viewport={"width": 1440, "height": 900})
    context.set_default_timeout(TIMEOUT_MS)
    page = await context.new_page()
    book = Book(page, portfolios)
    await book.open(0)
    rows = [
        compare_figure(
            "Book: load until the first rows", await median_ms(book.open, times), 1000, "ms"
        )
    ]
    rows.append(
        compare_figure(
            "Book: to the last row", await median_ms(book.go_to_end, 2 * times), 300, "ms"
        )
    )
    rows.append(
        compare_figure("Book: filter by state", await median_ms(book.filter, 2 * times), 500, "ms")
    )
    rows.append(
        compare_figure("Book: sort by value", await median_ms(book.sort, 2 * times), 500, "ms")
    )
    await book.open(0)
    await page.evaluate(WATCH_FRAMES)
    await page.get_by_role("region", name="Portfolios").evaluate(SCROLL)
    _, late, longest = await read_frames(page)
    rows.append(compare_figure("Book: work of a frame while it scrolls, p99", late, 16, "ms"))
    rows.append(compare_figure("Book: the same, longest", longest, 50, "ms"))
    heap, elements = await read_size(page)
    rows.append(compare_figure("Book: heap", heap, 50, "MiB"))
    rows.append(compare_figure("Book: elements of the document", elements, 1500, ""))
    await context.close()
    return rows


async def measure_run(
    browser: Browser, url: str, http: httpx.AsyncClient, model_id: str
) -> list[Row]:
    """Measure the page of a run over the whole book while the run goes on."""
    context = await browser.new_context(base_url=url, viewport={"width": 1440, "height": 900})
    context.set_default_timeout(TIMEOUT_MS)
    page = await context.new_page()
    run = (await http.post("/api/v1/runs", json={"models": [model_id]})).raise_for_status().json()
    await page.goto(f"/console/runs/{run['run_id']}")
    await page.evaluate(WATCH_FRAMES)
    while run["status"] in {"QUEUED", "RUNNING"}:
        await asyncio.sleep(POLL_S)
        run = (await http.get(f"/api/v1/runs/{run['run_id']}")).raise_for_status().json()
    begin = time.perf_counter()
    await expect(page.get_by_text("COMPLETED", exact=True).first).to_be_visible()
    late_s = time.perf_counter() - begin
    _, late, longest = await read_frames(page)
    heap, elements = await read_size(page)
    await context.close()
    return [
        compare_figure("Run: work of a frame, p99", late, 16, "ms"),
        compare_figure("Run: the same, longest", longest, 16, "ms"),
        compare_figure("Run: its end shows after that of the service", 1000 * late_s, 1000, "ms"),
        compare_figure("Run: heap at the end", heap, 50, "MiB"),
        compare_figure("Run: elements of the document", elements, 1500, ""),
    ]


async def prepare(http: httpx.AsyncClient, market: Market) -> str:
    """Store a model that every portfolio follows, measure the book, and return the model's id."""
    positions = [
        {"security_id": security_id, "target": str(weight), **BAND}
        for security_id, weight in market.strategies[0].weights.items()
    ]
    ids = [*market.portfolio_ids()]
    body = {"name": "Everybody", "positions": positions, "portfolios": ids}
    model = (await http.post("/api/v1/models", json=body)).raise_for_status().json()
    scan = (await http.post("/api/v1/drift-scans")).raise_for_status().json()
    begin = time.perf_counter()
    while scan["status"] == "RUNNING":
        await asyncio.sleep(POLL_S)
        scan = (await http.get(f"/api/v1/drift-scans/{scan['scan_id']}")).raise_for_status().json()
    assert scan["status"] == "COMPLETED", json.dumps(scan)
    console.print(f"drift of {len(ids):,} portfolios in {time.perf_counter() - begin:.0f} s")
    return model["model_id"]


async def measure(url: str, market: Market, times: int) -> None:
    """Prepare the book, measure, and print."""
    async with httpx.AsyncClient(base_url=url, timeout=TIMEOUT_MS / 1000) as http:
        model_id = await prepare(http, market)
        async with open_browser() as browser:
            console.print(f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} processors")
            rows = await measure_book(browser, url, market.portfolios, times)
            rows += await measure_run(browser, url, http, model_id)
    rows.append(compare_figure("script, compressed", script_kb(), 60, "kB"))
    table = Table(title=f"the console over {market.portfolios:,} portfolios")
    for name in ("", "figure", "budget", "holds"):
        table.add_column(name, justify="right" if name in {"figure", "budget"} else "left")
    for name, figure, budget, holds in rows:
        table.add_row(name, figure, budget, "yes" if holds else "no")
    console.print(table)


@contextmanager
def service_over(portfolios: int) -> Generator[tuple[str, Market]]:
    """Run the service over a simulated market until the end of the block."""
    with tempfile.TemporaryDirectory(prefix="order-generation-") as directory:
        values: dict[str, Any] = {
            "port": free_port(),
            "data_directory": directory,
            "market_portfolios": portfolios,
        }
        settings, content = read_configuration(CONFIG, values)
        with run_service(settings, content, console.print) as complete:
            market = Market(complete.market_seed, portfolios)
            yield f"http://127.0.0.1:{complete.port}", market


def main() -> None:
    """Start the service, measure its console, stop it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--portfolios", type=int, default=100_000)
    parser.add_argument("--times", type=int, default=5)
    arguments = parser.parse_args()
    with service_over(arguments.portfolios) as (url, market):
        asyncio.run(measure(url, market, arguments.times))


if __name__ == "__main__":
    main()
