"""Securities: tickers by security id."""

import asyncio
import logging
import re
from collections.abc import Iterable, Mapping
from typing import Final

from async_lru import alru_cache

from serve_app.concurrency import for_each
from serve_app.upstream.errors import UpstreamContractError, UpstreamError
from serve_app.upstream.exact_values import read_text
from serve_app.upstream.http_client import Client, UpstreamHealth
from serve_app.upstream.listings import PAGE_SIZE, read_listing
from serve_app.upstream.retry_policy import Policy

POLICY = Policy(total_s=5.0, concurrency=8)
HEALTH = "/health/readiness"
MAX_SECURITIES = 1_000_000
ALL_TTL_S = 3600.0
SINGLE_TTL_S = 60.0
# The client checks ids, because v1 answers 500 instead of 404 for another form.
OBJECT_ID = re.compile(r"[0-9a-f]{24}")
SHOWN_WITHIN_S: Final = 5.0  # people see tickers beside ids, and can do without them

logger = logging.getLogger(__name__)


class SecurityService:
    """Security service: the whole list at once, and securities missing from it one by one.

    With ``accept_tickers`` an id that the service does not know is the ticker itself.
    """

    def __init__(self, client: Client, *, accept_tickers: bool = False) -> None:
        self._client = client
        self._accept_tickers = accept_tickers
        self._all = alru_cache(maxsize=1, ttl=ALL_TTL_S)(self._read_all)
        # The cache holds None, too, because otherwise unknown securities would be read every time.
        self._single = alru_cache(maxsize=10_000, ttl=SINGLE_TTL_S)(self._read_single)

    async def read_tickers(self, security_ids: Iterable[str]) -> Mapping[str, str]:
        """Look up tickers by security id; unknown ids are left out, or are tickers themselves."""
        ids = frozenset(security_ids)
        known_tickers = await self._all()
        tickers = {security_id: security_id for security_id in ids} if self._accept_tickers else {}
        tickers |= {security: known_tickers[security] for security in ids & known_tickers.keys()}

        async def look_up(security_id: str) -> None:
            ticker = await self._single(security_id)
            if ticker is not None:
                tickers[security_id] = ticker

        unknown = sorted(filter(OBJECT_ID.fullmatch, ids - known_tickers.keys()))
        if unknown and self._client.probes_next:
            # The probe runs alone, because calls beside it are refused and would cancel it.
            await look_up(unknown.pop())
        await for_each(unknown, look_up, self._client.policy.concurrency)
        return tickers

    async def find_ids(self, ticker: str) -> tuple[str, ...]:
        """Find the ids of the securities with this ticker, in any case of its letters."""
        folded_ticker = ticker.casefold()
        known_tickers = await self._all()
        ids = tuple(
            security
            for security, known_ticker in known_tickers.items()
            if known_ticker.casefold() == folded_ticker
        )
        return ids or ((ticker,) if self._accept_tickers else ())

    async def check_health(self) -> UpstreamHealth:
        """Check whether the service is ready."""
        return await self._client.check_health(HEALTH)

    async def _read_all(self) -> dict[str, str]:
        fields, max_pages = ("securityId", "ticker"), MAX_SECURITIES // PAGE_SIZE
        known_tickers, is_whole = await read_listing(
            self._client, "/api/v2/securities", "securities", fields, max_pages
        )
        if is_whole:
            return known_tickers
        detail = f"there is no end of securities: over {MAX_SECURITIES:,}"
        raise UpstreamContractError(self._client.upstream, detail)

    async def _read_single(self, security_id: str) -> str | None:
        row = await self._client.get_json_if_found(f"/api/v1/security/{security_id}", "a security")
        if row is None:
            return None
        with self._client.translate_read_errors("a security"):
            return read_text(row["ticker"]) if read_text(row["securityId"]) == security_id else None


async def find_tickers(
    securities: SecurityService, security_ids: Iterable[str], within_s: float = SHOWN_WITHIN_S
) -> Mapping[str, str | None]:
    """Look up tickers to show: None for an unknown security, or no answer in time."""
    tickers: dict[str, str | None] = dict.fromkeys(security_ids)
    try:
        async with asyncio.timeout(within_s):
            tickers |= await securities.read_tickers(tickers)
    except (UpstreamError, TimeoutError) as error:
        logger.warning("tickers are left out: %s", error or "no answer in time")
    return tickers
