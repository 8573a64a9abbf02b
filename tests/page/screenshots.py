"""Draw the pictures of the console for the documentation, from the simulated market.

make screenshots
"""

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import httpx
from PIL import Image

from serve_app.settings import read_settings
from serve_app.simulator import Market
from storage.embedded.server import start, stop
from tests.page.browser.found import MISSING, find_browser, open_browser
from tests.page.world import MarketUpstreams, make_models
from tests.support.threaded_server import serve_in_thread

PICTURES: Final = Path(__file__).parents[2] / "docs/pictures"
SHAPE: Final = {"width": 1440, "height": 960}
QUALITY: Final = 80
SETTLE_MS: Final = 1_000  # tickers and names come after the rows


# What of the page has to be there before a picture is taken of it.
SHOWN: Final = {
    "console": "svg.bands",
    "book": "[role=row] a",
    "compare": "[role=row] a",
}


async def main() -> None:
    """Serve a market, rebalance it twice, and save a picture of each page."""
    market = Market(seed=11, portfolios=300)
    with tempfile.TemporaryDirectory(prefix="order-generation-") as directory:
        uri = start(Path(directory), os.environ.get("MONGOD")).uri
        try:
            upstreams = MarketUpstreams(market)
            with serve_in_thread(uri, "screenshots", read_settings(), upstreams, market) as url:
                paths = await asyncio.to_thread(_fill, url, market)
                async for name, content in _draw(url, paths):
                    _save(content, PICTURES / f"{name}.webp")
        finally:
            stop(Path(directory))


def _fill(url: str, market: Market) -> dict[str, str]:
    """Measure the book, and rebalance a model twice; return the paths of the pages."""
    with httpx.Client(base_url=f"{url}/api/v1", timeout=60) as http:
        models: list[Any] = [
            http.post("/models", json=body).json() for body in make_models(market, 3)
        ]
        scan = http.post("/drift-scans").json()
        while scan["status"] == "RUNNING":
            time.sleep(0.1)
            scan = http.get(f"/drift-scans/{scan['scan_id']}").json()
        former, later = (
            _rebalance(http, models[0]["model_id"], **options)
            for options in ({"maximum_trades": 4}, {})
        )
    plan = f"/rebalance/{later}/portfolio/{models[0]['portfolios'][0]}"
    paths = {
        "console": plan,
        "book": "/book",
        "compare": f"/rebalance/{later}/compare?with={former}",
    }
    return {name: f"/console{path}" for name, path in paths.items()}


def _rebalance(http: httpx.Client, model_id: str, **options: int) -> str:
    rows = http.post(f"/model/{model_id}/rebalance", json=options).raise_for_status().json()
    return rows[0]["rebalance_id"]


def _save(content: bytes, picture: Path) -> None:
    Image.open(BytesIO(content)).save(picture, "WEBP", quality=QUALITY, method=6)
    sys.stdout.write(f"{picture}: {picture.stat().st_size:,} bytes\n")


async def _draw(url: str, paths: dict[str, str]) -> AsyncIterator[tuple[str, bytes]]:
    if find_browser() is None:
        raise SystemExit(MISSING)
    async with open_browser() as browser:
        page = await browser.new_page(viewport=SHAPE)  # pyright: ignore[reportArgumentType]
        for name, path in paths.items():
            await page.goto(url + path)
            await page.locator(SHOWN[name]).first.wait_for()
            await page.wait_for_timeout(SETTLE_MS)
            yield name, await page.screenshot()


if __name__ == "__main__":
    asyncio.run(main())
