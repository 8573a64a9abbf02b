"""Inline rebalances: one portfolio, solved in the process that took its request.

A hop to the Optimizer and back costs more than the separable optimum of a portfolio. Everything
that may take longer than a few milliseconds, or finds the process busy, goes to the Optimizer, so
that no request waits for the event loop and the load stays where replicas are added.
"""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, final

from optimization import Model, OpenOrders, OptionOverrides, PortfolioOutcome, RebalanceOptions
from serve_app.call_context import require_caller
from serve_app.chunks.fetch import find_source, price_balances
from serve_app.chunks.priced_models import PricedModels
from serve_app.chunks.solve import refused_outcome, solve_at_once
from serve_app.chunks.unmatched_ids import require_matched
from serve_app.chunks.work import merge_options
from serve_app.observability.metrics import count_rebalance, count_solved, count_stopped_rebalance
from serve_app.ports.rebalances import (
    Outcomes,
    Rebalanced,
    RebalanceModel,
    RebalancePortfolio,
    Rebalancing,
)
from serve_app.rebalances.steps import date_model, drop_matched, prepare_work, store_completed
from serve_app.resources import Resources
from serve_app.settings import Settings
from serve_app.upstream.holdings.source import BalanceOrError, fetch_holdings
from storage.errors import StorageUnavailableError
from storage.rebalances.rebalance import Rebalance, new_rebalance_id
from storage.rules.rule import Rule
from storage.runs.run import HoldingsRef

MAX_INLINE_REBALANCES: Final = 4  # concurrent; as many as one replica of the Optimizer takes
MAX_SECURITIES: Final = 250  # model and portfolio together; about 5 ms of the event loop

OfOne = tuple[Rebalance, PortfolioOutcome]


@dataclass(frozen=True, slots=True)
class InlineWork:
    """Rebalance of one portfolio under way: its inputs, and the read of its holdings."""

    model: Model
    options: RebalanceOptions
    rules: tuple[Rule, ...]
    holdings: asyncio.Task[Mapping[str, BalanceOrError]]


logger = logging.getLogger(__name__)


@final
class InlineRebalancer(Rebalancing):
    """Rebalances one portfolio here if that takes milliseconds, and everything else elsewhere."""

    def __init__(
        self, settings: Settings, open_here: Callable[[], Resources], optimizer: Rebalancing
    ) -> None:
        self._settings = settings
        self._open_here = open_here
        self._optimizer = optimizer
        self._pricer = PricedModels()
        self._at_work = 0
        # The tasks are kept, because nothing else refers to them.
        self._date_tasks: set[asyncio.Task[None]] = set()

    @cached_property
    def _resources(self) -> Resources:
        # The first request opens them, because they belong to its event loop.
        return self._open_here()

    async def rebalance_portfolio(self, command: RebalancePortfolio) -> OfOne:
        """Rebalance one portfolio to the named model, or to the newest that it follows."""
        async with self._begin(command.portfolio_id, command.model_id, command.overrides) as work:
            if work is not None and (answer := await self._rebalance(command, work)):
                return answer
        return await self._optimizer.rebalance_portfolio(command)

    async def preview_portfolio(
        self, portfolio_id: str, model_id: str | None, overrides: OptionOverrides
    ) -> OfOne:
        """Return the outcome of a rebalance of the portfolio without storing it."""
        async with self._begin(portfolio_id, model_id, overrides) as work:
            if work is not None:
                solution = await self._solve(
                    new_rebalance_id(), portfolio_id, overrides.restrictions, work
                )
                if solution is not None:
                    rebalance, outcome = solution
                    return drop_matched(rebalance, (outcome,)), outcome
        return await self._optimizer.preview_portfolio(portfolio_id, model_id, overrides)

    async def rebalance_model(self, command: RebalanceModel) -> Rebalanced:
        """Rebalance every portfolio that follows a model, elsewhere."""
        return await self._optimizer.rebalance_model(command)

    async def preview_model(self, model_id: str, overrides: OptionOverrides) -> Rebalanced:
        """Return the outcomes of ``rebalance_model`` without storing them."""
        return await self._optimizer.preview_model(model_id, overrides)

    async def try_model(self, model: Model, overrides: OptionOverrides) -> Outcomes:
        """Return the outcomes of a rebalance to a model that need not be stored."""
        return await self._optimizer.try_model(model, overrides)

    async def read_completed(self, rebalance_id: str) -> Outcomes | None:
        """Return the outcomes of a rebalance whose answer was lost."""
        return await self._optimizer.read_completed(rebalance_id)

    @asynccontextmanager
    async def _begin(
        self, portfolio_id: str, model_id: str | None, overrides: OptionOverrides
    ) -> AsyncGenerator[InlineWork | None]:
        """Take a place and read model and holdings, which end with the block.

        None if there is no place, or if the options of the rebalance may need a search.
        """
        if self._at_work >= MAX_INLINE_REBALANCES:
            yield None
            return
        self._at_work += 1
        # The reads start before the model is known, although an error of the model wastes them.
        holdings = asyncio.create_task(self._read_holdings(portfolio_id))
        rules = asyncio.create_task(self._resources.rules.list_all())
        for task in (holdings, rules):
            task.add_done_callback(_take_error)
        try:
            model = await self._resources.models.find_followed(portfolio_id, model_id)
            require_caller()
            options = merge_options(model, overrides, self._settings)
            is_light = len(model.targets) <= MAX_SECURITIES and _is_light(options)
            yield InlineWork(model, options, await rules, holdings) if is_light else None
        finally:
            for task in (holdings, rules):
                task.cancel()
            self._at_work -= 1

    async def _read_holdings(self, portfolio_id: str) -> Mapping[str, BalanceOrError]:
        holdings = HoldingsRef(self._settings.holdings_source)
        source = find_source(self._settings, self._resources, holdings)
        return await fetch_holdings(source, (portfolio_id,))

    async def _rebalance(
        self,
        command: RebalancePortfolio,
        work: InlineWork,
    ) -> OfOne | None:
        """Solve, store and count; None if the portfolio needs a search."""
        begin = time.monotonic()
        must_match = command.overrides.restrictions
        try:
            solution = await self._solve(
                command.rebalance_id, command.portfolio_id, must_match, work
            )
            if solution is None:
                return None
            rebalance, outcome = solution
            stored_rebalance = await store_completed(
                self._resources, rebalance, (outcome,), command.claim
            )
        except BaseException:
            count_stopped_rebalance()
            raise
        count_rebalance(1, time.monotonic() - begin)
        self._start_dating(stored_rebalance)
        return stored_rebalance, outcome

    async def _solve(
        self,
        rebalance_id: str,
        portfolio_id: str,
        must_match: RebalanceOptions,
        work: InlineWork,
    ) -> OfOne | None:
        """Solve a portfolio of the model; None if it needs a search."""
        shared = await prepare_work(
            self._settings,
            self._resources,
            rebalance_id,
            work.model,
            1,
            work.options,
            work.rules,
            must_match=must_match,
            price=self._pricer.price,
        )
        if shared.rebalance.rules:
            return None  # because a plan that keeps to rules may need a search
        if shared.refusal is not None:
            return shared.rebalance, refused_outcome(portfolio_id, shared.refusal)
        balance_by_id, securities = await work.holdings, shared.rebalance.securities
        inputs = await price_balances(
            securities, (portfolio_id,), balance_by_id, self._resources.securities, shared.snapshot
        )
        if shared.must_match is not None:
            require_matched(shared.must_match, securities, inputs)
        if len(inputs.prices) > MAX_SECURITIES:
            return None
        outcomes = solve_at_once(securities, inputs, shared.options, count_solved)
        return None if outcomes is None else (shared.rebalance, outcomes[0])

    def _start_dating(self, rebalance: Rebalance) -> None:
        """Date the model in a task that begins as soon as this task waits.

        The answer is sent by then, and this process has taken up no other request.
        """
        task = asyncio.create_task(self._date(rebalance))
        self._date_tasks.add(task)
        task.add_done_callback(self._date_tasks.discard)

    async def _date(self, rebalance: Rebalance) -> None:
        try:
            await date_model(self._resources, rebalance)
        except StorageUnavailableError as error:
            # The error is only logged, because the next rebalance dates the model again.
            logger.warning("model %s: rebalance date not stored: %s", rebalance.model_id, error)


def _is_light(options: RebalanceOptions) -> bool:
    """Return whether a separable optimum may answer, from the holdings alone."""
    return not (options.couples or options.open_orders is OpenOrders.COUNT)


def _take_error(reading: asyncio.Task[Any]) -> None:
    """Take the error of a read that nobody waits for, because the loop would report it."""
    if not reading.cancelled():
        reading.exception()
