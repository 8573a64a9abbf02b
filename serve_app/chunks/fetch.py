"""Fetch of a chunk: the source of its holdings, the holdings of its portfolios, their prices."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Final

from optimization import Model, PricedTarget, price_targets
from optimization.errors import PricesMissingError, RuleError
from serve_app.resources import Resources
from serve_app.settings import Settings
from serve_app.upstream.errors import HoldingsFileError
from serve_app.upstream.holdings.files import fingerprint
from serve_app.upstream.holdings.parquet import open_holdings_file
from serve_app.upstream.holdings.source import BalanceOrError, HoldingsSource, fetch_holdings
from serve_app.upstream.prices import PriceSnapshot
from serve_app.upstream.securities import SecurityService
from storage.runs.run import HoldingsRef

UNPRICED: Final = (PricesMissingError, RuleError)
"""Errors of a model without usable prices; each of its portfolios is refused with the error."""


def find_source(settings: Settings, resources: Resources, holdings: HoldingsRef) -> HoldingsSource:
    """Return the source of these holdings; raise HoldingsFileError for a changed file."""
    if holdings.file is None:
        return resources.sources[holdings.source]
    if identify_holdings(settings, holdings) != holdings:
        raise HoldingsFileError(holdings.file, "was changed while the run was going on")
    return open_holdings_file(_require_directory(settings, holdings.file), holdings.file)


def identify_holdings(settings: Settings, holdings: HoldingsRef) -> HoldingsRef:
    """Return the holdings with the current fingerprint of their file."""
    if holdings.file is None:
        return holdings
    directory = _require_directory(settings, holdings.file)
    return replace(holdings, fingerprint=fingerprint(directory, holdings.file))


def _require_directory(settings: Settings, file: str) -> Path:
    if settings.holdings_directory is None:
        raise HoldingsFileError(file, "cannot be read: HOLDINGS_DIRECTORY is not set")
    return settings.holdings_directory


async def look_up_prices(
    security_ids: frozenset[str], securities: SecurityService, snapshot: PriceSnapshot
) -> dict[str, Decimal]:
    """Look up prices by security id; securities without ticker or price are left out."""
    return price_tickers(await securities.read_tickers(security_ids), snapshot)


def price_tickers(tickers: Mapping[str, str], snapshot: PriceSnapshot) -> dict[str, Decimal]:
    """Look up prices by security id; securities whose ticker has no price are left out."""
    return {
        security_id: snapshot.prices[ticker]
        for security_id, ticker in tickers.items()
        if ticker in snapshot.prices
    }


async def price_model(
    model: Model, securities: SecurityService, snapshot: PriceSnapshot
) -> tuple[PricedTarget, ...]:
    """Price the targets of a model; raises one of UNPRICED if one has no usable price."""
    ids = frozenset(target.security_id for target in model.targets)
    return price_targets(model, await look_up_prices(ids, securities, snapshot))


@dataclass(frozen=True, slots=True)
class ChunkInputs:
    """Input of a chunk: one balance or error per portfolio, in the same order, and prices."""

    portfolio_ids: Sequence[str]
    balances: Sequence[BalanceOrError]
    prices: Mapping[str, Decimal]


async def fetch_chunk(
    model: tuple[PricedTarget, ...],
    portfolio_ids: Sequence[str],
    source: HoldingsSource,
    securities: SecurityService,
    snapshot: PriceSnapshot,
    tries: int = 1,
) -> ChunkInputs:
    """Fetch the balances of the portfolios, and the prices of their holdings.

    Raises UpstreamUnavailableError if an upstream does not respond (see ``fetch_holdings``).
    """
    balance_by_id = await fetch_holdings(source, portfolio_ids, tries)
    return await price_balances(model, portfolio_ids, balance_by_id, securities, snapshot)


async def price_balances(
    model: tuple[PricedTarget, ...],
    portfolio_ids: Sequence[str],
    balance_by_id: Mapping[str, BalanceOrError],
    securities: SecurityService,
    snapshot: PriceSnapshot,
    additional_ids: frozenset[str] = frozenset(),
) -> ChunkInputs:
    """Fetch the prices of all holdings and of ``additional_ids``.

    Raises UpstreamUnavailableError if the security service does not respond.
    """
    known_holdings = (
        balance.holdings for balance in balance_by_id.values() if not isinstance(balance, Exception)
    )
    held_ids = frozenset(security_id for holdings in known_holdings for security_id in holdings)
    model_prices = {security.security_id: security.price for security in model}
    other_ids = (held_ids | additional_ids) - model_prices.keys()
    others = await look_up_prices(other_ids, securities, snapshot)
    balances = [balance_by_id[portfolio_id] for portfolio_id in portfolio_ids]
    return ChunkInputs(portfolio_ids, balances, {**others, **model_prices})
