"""Portfolio names: shown to people, and left out if they are slow to come.

The service has no search by ids. A few names are read one by one; for more names the newest
portfolios are read first, page by page. Names that are not on these pages are read one by one as
well, because the pages are sorted by a date that many portfolios share: they may skip rows.

A search by a part of the name is asked once, and its failure is an error: an empty answer would say
that nobody has this name.
"""

import asyncio
import logging
import re
from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import quote

from async_lru import alru_cache

from serve_app.concurrency import for_each
from serve_app.upstream.errors import UpstreamError, UpstreamUnavailableError
from serve_app.upstream.exact_values import read_objects, read_text
from serve_app.upstream.http_client import Client, UpstreamHealth
from serve_app.upstream.listings import read_listing
from serve_app.upstream.retry_policy import Policy

POLICY = Policy(total_s=5.0, concurrency=8)
HEALTH = "/health/ready"
TTL_S = 300.0
MAX_PAGES: Final = 5
MAX_SINGLE: Final = 100  # names that a call reads one by one
MAX_SINGLE_READS: Final = 20  # up to here single reads are cheaper than pages
WITHIN_S: Final = 5.0
ASK_AGAIN_AFTER_S: Final = 5.0
# The client checks ids, because the service answers 500 instead of 404 for another form.
OBJECT_ID = re.compile(r"[0-9a-fA-F]{24}")

logger = logging.getLogger(__name__)


class PortfolioService:
    """Portfolio service; with ``accept_any_id`` it may know ids that are no ObjectIds."""

    def __init__(
        self, client: Client, within_s: float = WITHIN_S, *, accept_any_id: bool = False
    ) -> None:
        self._client = client
        self._accept_any_id = accept_any_id
        self._within_s = within_s
        # The cache holds None, too, because otherwise unknown portfolios would be read every time.
        self._known = alru_cache(maxsize=10_000, ttl=TTL_S)(self._read)
        self._newest = alru_cache(maxsize=1, ttl=TTL_S)(self._read_newest)

    async def read_names(self, portfolio_ids: Iterable[str]) -> Mapping[str, str | None]:
        """Read names by portfolio id: None for an unknown portfolio, or no answer in time."""
        names: dict[str, str | None] = dict.fromkeys(portfolio_ids)
        try:
            async with asyncio.timeout(self._within_s):
                await self._fill_names(names)
        except (UpstreamError, TimeoutError) as error:
            logger.warning("names of portfolios are left out: %s", error or "no answer in time")
        return names

    async def read_name(self, portfolio_id: str) -> str | None:
        """Read the name of a portfolio; None if the portfolio is unknown."""
        if not (self._accept_any_id or OBJECT_ID.fullmatch(portfolio_id)):
            return None
        return await self._known(portfolio_id)

    async def search_by_name(self, part: str, limit: int) -> Mapping[str, str]:
        """Find at most ``limit`` portfolios by a part of the name: names by id, the newest first.

        The case of letters does not matter. Raises UpstreamError if the service has no such search,
        or no answer in time.
        """
        try:
            async with asyncio.timeout(self._within_s):
                return await self._search(part, limit)
        except TimeoutError:
            detail = f"no answer to a search within {self._within_s:g} s"
            raise UpstreamUnavailableError(
                self._client.upstream, detail, ASK_AGAIN_AFTER_S
            ) from None

    async def check_health(self) -> UpstreamHealth:
        """Check whether the service is ready."""
        return await self._client.check_health(HEALTH)

    async def _fill_names(self, names: dict[str, str | None]) -> None:
        """Add each name as it arrives, because names that arrived in time are returned."""
        if len(names) > MAX_SINGLE_READS:
            newest_names = await self._newest()
            names |= {portfolio_id: newest_names.get(portfolio_id) for portfolio_id in names}

        async def look_up(portfolio_id: str) -> None:
            names[portfolio_id] = await self.read_name(portfolio_id)

        missing = [portfolio_id for portfolio_id, name in names.items() if name is None][
            :MAX_SINGLE
        ]
        await for_each(missing, look_up, self._client.policy.concurrency)

    async def _search(self, part: str, limit: int) -> dict[str, str]:
        params = {"name_like": part, "limit": limit, "offset": 0}
        answer = await self._client.get_json("/api/v2/portfolios", params)
        with self._client.translate_read_errors("portfolios by name"):
            rows = read_objects(answer["portfolios"])
            name_by_id = {read_text(row["portfolioId"]): read_text(row["name"]) for row in rows}
        # A service that ignores the part answers with all its portfolios.
        matching = [item for item in name_by_id.items() if part.casefold() in item[1].casefold()]
        return dict(matching[:limit])

    async def _read_newest(self) -> dict[str, str]:
        fields = "portfolioId", "name"
        name_by_id, _ = await read_listing(
            self._client, "/api/v2/portfolios", "portfolios", fields, MAX_PAGES
        )
        return name_by_id

    async def _read(self, portfolio_id: str) -> str | None:
        row = await self._client.get_json_if_found(
            f"/api/v1/portfolio/{quote(portfolio_id, safe='')}", "a portfolio"
        )
        if row is None:
            return None
        with self._client.translate_read_errors("a portfolio"):
            return read_text(row["name"])
