"""Stored rebalances as streamed JSON text, because a page may not fit into memory."""

from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from dataclasses import dataclass
from datetime import tzinfo
from typing import Final

from starlette.responses import Response, StreamingResponse

from optimization import PortfolioOutcome
from serve_app.api.responses import derive_trade_date
from serve_app.api.schemas.stored_rebalances import PortfolioResult, portfolio_json, rebalance_json
from serve_app.json_text import encode
from serve_app.rules.evaluation import RuleCheck
from storage.rebalances.rebalance import Rebalance

OUTCOME_BATCH_SIZE: Final = 100  # portfolios that are read, and written to the caller, at once
MAX_OUTCOMES_PER_PAGE: Final = 5_000  # portfolios, over all rebalances of a page

Batch = Callable[[int, int], Awaitable[tuple[PortfolioOutcome, ...]]]
"""Reads the outcomes of some portfolios, by the place of the first and their number."""


@dataclass(frozen=True, slots=True)
class PortfolioSlice:
    """``count`` portfolios of a rebalance from the place ``first`` on, as they are read."""

    rebalance: Rebalance
    first: int
    count: int
    batch: Batch


@dataclass(frozen=True, slots=True)
class ListedRebalance:
    """A rebalance with the first of its portfolios; ``link`` leads to the others."""

    shown: PortfolioSlice
    omitted: int = 0
    link: str = ""


def split_page(counts: Iterable[int]) -> Iterator[int]:
    """Split the portfolios that a page may show among its rebalances, in their order.

    >>> list(split_page([4_000, 3_000, 20]))
    [4000, 1000, 0]
    """
    room = MAX_OUTCOMES_PER_PAGE
    for count in counts:
        yield min(count, room)
        room -= min(count, room)


async def stream_json(text: AsyncIterator[bytes], headers: Mapping[str, str]) -> Response:
    """Stream the text; an error before its first part is still a whole answer."""
    first = await anext(text)

    async def whole() -> AsyncIterator[bytes]:
        yield first
        async for part in text:
            yield part

    return StreamingResponse(whole(), 200, headers, "application/json")


async def page_text(page: Sequence[ListedRebalance], zone: tzinfo) -> AsyncIterator[bytes]:
    """Write an array of rebalances."""
    if not page:
        yield b"[]"
        return
    separator = b"["
    for entry in page:
        async for part in rebalance_text(entry, zone):
            yield separator + part
            separator = b""
        separator = b","
    yield b"]"


async def rebalance_text(entry: ListedRebalance, zone: tzinfo) -> AsyncIterator[bytes]:
    """Write a rebalance with its portfolios."""
    head = rebalance_json(entry.shown.rebalance, [], entry.omitted, entry.link)
    begin = encode(head).removesuffix(b"[]}")
    async for part in portfolios_text(entry.shown, zone):
        yield begin + part
        begin = b""
    yield b"}"


async def portfolios_text(portfolios: PortfolioSlice, zone: tzinfo) -> AsyncIterator[bytes]:
    """Write an array of portfolios."""
    separator = b"["
    end = portfolios.first + portfolios.count
    for offset in range(portfolios.first, end, OUTCOME_BATCH_SIZE):
        outcomes = await portfolios.batch(offset, min(OUTCOME_BATCH_SIZE, end - offset))
        if outcomes:
            lines = portfolios_json(portfolios.rebalance, outcomes, zone)
            yield separator + encode(lines)[1:-1]
            separator = b","
    yield b"[]" if separator == b"[" else b"]"


def portfolios_json(
    rebalance: Rebalance, outcomes: Iterable[PortfolioOutcome], zone: tzinfo
) -> list[PortfolioResult]:
    """Build portfolios of a stored rebalance."""
    day, check = derive_trade_date(rebalance, zone), RuleCheck.from_rebalance(rebalance)
    return [portfolio_json(outcome, day, check) for outcome in outcomes]
