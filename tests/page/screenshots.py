"""Draw the pictures of the console for the documentation, from the simulated market.

make screenshots
"""

import asyncio
import os
import sys
import tempfile
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import httpx
from PIL import Image

from serve_app.settings import settings_from
from serve_app.simulator import Market
from storage.embedded.server import start, stop
from tests.page.browser.found import MISSING, find_browser, open_browser
from tests.page.world import MarketUpstreams, make_models
from tests.support.threaded_server import serve_in_thread

PICTURES: Final = Path(__file__).parents[2] / "docs/pictures"
SHAPE: Final = {"width": 1440, "height": 960}
QUALITY: Final = 80
SETTLE_MS: Final = 1_000  # tickers and names come after the rows


async def main() -> None:
    """Serve a market, rebalance it, and save a picture of a plan."""
    market = Market(seed=11, portfolios=300)
    with tempfile.TemporaryDirectory(prefix="order-generation-") as directory:
        uri = start(Path(directory), os.environ.get("MONGOD")).uri
        try:
            upstreams = MarketUpstreams(market)
            with serve_in_thread(uri, "screenshots", settings_from(), upstreams, market) as url:
                path = await asyncio.to_thread(_rebalance, url, market)
                content = await _draw(url + path)
        finally:
            stop(Path(directory))
    _save(content, PICTURES / "console.webp")


def _rebalance(url: str, market: Market) -> str:
    """Rebalance a portfolio of the first model; return the path of its page."""
    with httpx.Client(base_url=f"{url}/api/v1", timeout=60) as http:
        model: Any = http.post("/models", json=make_models(market, 2)[0]).json()
        outcome = http.post(f"/portfolio/{model['portfolios'][0]}/rebalance").json()
    return f"/console/rebalance/{outcome['rebalance_id']}/portfolio/{outcome['portfolio_id']}"


def _save(content: bytes, picture: Path) -> None:
    Image.open(BytesIO(content)).save(picture, "WEBP", quality=QUALITY, method=6)
    sys.stdout.write(f"{picture}: {picture.stat().st_size:,} bytes\n")


async def _draw(address: str) -> bytes:
    if find_browser() is None:
        raise SystemExit(MISSING)
    async with open_browser() as browser:
        page = await browser.new_page(viewport=SHAPE)  # pyright: ignore[reportArgumentType]
        await page.goto(address)
        await page.locator("svg.bands").first.wait_for()
        await page.wait_for_timeout(SETTLE_MS)
        return await page.screenshot()


if __name__ == "__main__":
    asyncio.run(main())
