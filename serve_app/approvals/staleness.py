"""Staleness: whether model, prices and holdings have moved since a proposal was made.

It is computed when a proposal is approved or its orders are sent, so that no clock races with an
approver. An upstream that does not answer is an error, and never a sign that nothing moved.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Final

from optimization import EXACT, PortfolioOutcome, PricedTarget, RebalanceOptions
from optimization.errors import PricesMissingError
from serve_app.chunks.assumed_fills import assume_fills, fetch_counted_orders
from serve_app.chunks.fetch import (
    ChunkInputs,
    find_source,
    identify_holdings,
    price_tickers,
)
from serve_app.resources import Resources
from serve_app.settings import Settings
from serve_app.upstream.errors import (
    HoldingsMissingError,
    OrdersPartlyFilledError,
    UpstreamUnavailableError,
)
from serve_app.upstream.holdings.source import (
    Balance,
    BalanceOrError,
    HoldingsSource,
    fetch_holdings,
)
from serve_app.upstream.http_client import ASK_AGAIN_AFTER_S
from serve_app.upstream.prices import PriceSnapshot
from storage.errors import NotFoundError
from storage.mongo.connection import read_clock
from storage.proposals.proposal import Proposal
from storage.rebalances.rebalance import Rebalance
from storage.runs.run import HoldingsRef

PORTFOLIO_BATCH_SIZE: Final = 500  # read from database and accounting service at once
CHECK_FOR_S: Final = 180.0


class StalenessCheck:
    """Compares the age, model, prices and holdings of proposals with those of now."""

    def __init__(
        self, settings: Settings, resources: Resources, check_for_s: float = CHECK_FOR_S
    ) -> None:
        self._settings = settings
        self._resources = resources
        self._check_for_s = check_for_s

    async def find_reason(self, proposal: Proposal, rebalance: Rebalance) -> str | None:
        """Return why a proposal is stale; None if nothing has moved too far.

        Raises the errors of the upstreams, and UpstreamUnavailableError if they do not answer for
        all portfolios in ``check_for_s`` seconds.
        """
        return await self._find_age(proposal) or await self._find_world(proposal, rebalance)

    async def _find_age(self, proposal: Proposal) -> str | None:
        age = await read_clock(self._resources.database) - proposal.proposed_at
        limit_s = self._settings.proposal_ttl
        if age <= timedelta(seconds=limit_s):
            return None
        return f"it was proposed {age.total_seconds():.0f} s ago, and PROPOSAL_TTL is {limit_s:g} s"

    async def _find_world(self, proposal: Proposal, rebalance: Rebalance) -> str | None:
        try:
            model = await self._resources.models.read(proposal.model_id)
        except NotFoundError:
            return f"model {proposal.model_id} was deleted"
        if model.version != proposal.model_version:
            versions = f"{proposal.model_version} to {model.version}"
            return f"the model was changed from version {versions}"
        try:
            async with asyncio.timeout(self._check_for_s):
                return await self._find_move(rebalance)
        except TimeoutError:
            detail = f"holdings and prices were not all read within {self._check_for_s:g} s"
            raise UpstreamUnavailableError("accounting", detail, ASK_AGAIN_AFTER_S) from None

    async def _find_move(self, rebalance: Rebalance) -> str | None:
        source = await self._find_source(rebalance)
        if source is None:
            return "the file of the holdings was changed"
        snapshot = await self._resources.prices.read_snapshot()
        compared = set[str]()
        if reason := await self._find_price(rebalance.securities, snapshot, compared):
            return reason
        for offset in range(0, rebalance.number_of_portfolios, PORTFOLIO_BATCH_SIZE):
            page = await self._resources.rebalances.list_outcomes(
                rebalance, offset, PORTFOLIO_BATCH_SIZE
            )
            trading_outcomes = [outcome for outcome in page if outcome.transactions]
            others = [security for outcome in trading_outcomes for security in outcome.others]
            reason = await self._find_price(others, snapshot, compared)
            reason = reason or await self._find_holdings(rebalance, trading_outcomes, source)
            if reason:
                return reason
        return None

    async def _find_price(
        self, securities: Sequence[PricedTarget], snapshot: PriceSnapshot, compared: set[str]
    ) -> str | None:
        """Compare the prices of securities that are not in ``compared``, and add them to it."""
        earlier = {security.security_id: security.price for security in securities}
        new = {
            security_id: price
            for security_id, price in earlier.items()
            if security_id not in compared
        }
        if not new:
            return None
        compared |= new.keys()
        tickers = await self._resources.securities.read_tickers(frozenset(new))
        prices = price_tickers(tickers, snapshot)
        if missing := new.keys() - prices.keys():
            raise PricesMissingError(tuple(sorted(missing)))
        limit = self._settings.proposal_price_move
        moves = (
            find_move(security_id, price, prices[security_id], limit)
            for security_id, price in new.items()
        )
        return next(filter(None, moves), None)

    async def _find_holdings(
        self, rebalance: Rebalance, outcomes: Sequence[PortfolioOutcome], source: HoldingsSource
    ) -> str | None:
        if not outcomes:
            return None
        ids = tuple(outcome.portfolio_id for outcome in outcomes)
        balance_by_id = await fetch_holdings(source, ids)
        counting_outcomes = [outcome for outcome in outcomes if outcome.counted_orders]
        balance_by_id = {
            **balance_by_id,
            **await self._count_orders(rebalance, counting_outcomes, balance_by_id),
        }
        for outcome in outcomes:
            balance = balance_by_id[outcome.portfolio_id]
            if isinstance(balance, HoldingsMissingError | OrdersPartlyFilledError):
                return f"portfolio {outcome.portfolio_id} has changed: {balance}"
            if isinstance(balance, Exception):
                raise balance
            if not is_unchanged(outcome, balance, _find_cash_flow(rebalance, outcome.portfolio_id)):
                return f"the holdings of portfolio {outcome.portfolio_id} have changed"
        return None

    async def _count_orders(
        self,
        rebalance: Rebalance,
        outcomes: Sequence[PortfolioOutcome],
        balance_by_id: Mapping[str, BalanceOrError],
    ) -> Mapping[str, BalanceOrError]:
        """Apply open orders to the balances of portfolios whose plans count them."""
        if not outcomes:
            return {}
        ids = tuple(outcome.portfolio_id for outcome in outcomes)
        orders = await fetch_counted_orders(ids, self._resources)
        prices = {
            security.security_id: security.price
            for outcome in outcomes
            for security in (*rebalance.securities, *outcome.others)
        }
        filled_inputs = assume_fills(
            ChunkInputs(ids, [balance_by_id[portfolio_id] for portfolio_id in ids], prices), orders
        )
        return dict(zip(ids, filled_inputs.balances, strict=True))

    async def _find_source(self, rebalance: Rebalance) -> HoldingsSource | None:
        """Find the source that the holdings were read from; None if its file was changed."""
        holdings = HoldingsRef(self._settings.holdings_source)
        if rebalance.run_id is not None:
            with suppress(NotFoundError):  # because the run may be deleted by retention
                holdings = (await self._resources.runs.read(rebalance.run_id)).holdings
        if identify_holdings(self._settings, holdings) != holdings:
            return None
        return find_source(self._settings, self._resources, holdings)


def find_move(security_id: str, before: Decimal, now: Decimal, limit: Decimal) -> str | None:
    """Describe a price that moved by more than ``limit``, a part of the earlier price.

    >>> find_move("VTI", Decimal(100), Decimal(105), Decimal("0.05")) is None
    True
    """
    move = abs(Fraction(now) - Fraction(before)) / Fraction(before)
    if move <= Fraction(limit):
        return None
    percent = f"{float(move):.2%}, and PROPOSAL_PRICE_MOVE is {float(limit):.2%}"
    return f"the price of {security_id} moved from {before:f} to {now:f}, by {percent}"


def is_unchanged(outcome: PortfolioOutcome, balance: Balance, cash_flow: Decimal) -> bool:
    """Return whether a portfolio has the cash and the shares that its plan began with."""
    holdings = {
        security.security_id: shares for security, shares, _ in outcome.positions if shares != 0
    }
    return holdings == balance.holdings and outcome.cash_before == EXACT.add(
        balance.cash, cash_flow
    )


def _find_cash_flow(rebalance: Rebalance, portfolio_id: str) -> Decimal:
    options = rebalance.options.apply_to(RebalanceOptions())
    own = rebalance.overrides_by_portfolio.get(portfolio_id)
    return (options if own is None else own.apply_to(options)).cash_flow
