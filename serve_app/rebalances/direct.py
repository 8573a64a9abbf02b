"""Direct rebalances: solve the portfolios of a model while the caller waits.

Few portfolios are solved in this process, many by the tasks of a run. One price snapshot serves
the whole rebalance.
"""

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from typing import Protocol

from optimization import Model, OptionOverrides, RebalanceOptions
from serve_app.call_context import correlation_id, principal, reserve_time
from serve_app.chunks.work import RebalanceInput, merge_options, solve_outcomes
from serve_app.observability.metrics import count_rebalance, count_stopped_rebalance
from serve_app.ports.rebalances import Outcomes, Rebalanced, RemoteElements
from serve_app.rebalances.steps import (
    date_model,
    drop_held,
    drop_matched,
    prepare_work,
    store_completed,
)
from serve_app.resources import Resources
from serve_app.runs.chunk_attempts import ChunkRunner
from serve_app.runs.chunk_texts import Preview
from serve_app.runs.coordinator import Coordinator
from serve_app.settings import Settings
from storage.errors import NotFoundError
from storage.idempotency_store import IdempotencyClaim
from storage.mongo.decimal_codec import now
from storage.rebalances.rebalance import RebalanceStatus, new_rebalance_id
from storage.runs.chunk_store import Chunk
from storage.runs.run import HoldingsRef, Run, Selection


class OutcomeRunner(ChunkRunner, Protocol):
    """ChunkRunner of one rebalance that also writes the outcomes as elements of the answer."""

    def elements(self, portfolios: int) -> RemoteElements | None:
        """Return the written texts; None unless they answer for so many portfolios."""
        ...

    async def preview(self, shared: RebalanceInput, whole: Chunk) -> Preview:
        """Solve all portfolios and store nothing; the first error ends the others."""
        ...


OpenOutcomeRunner = Callable[[Settings, Resources], OutcomeRunner]
"""Opens the runner of one rebalance."""


class DirectRebalancer:
    """Rebalances portfolios in one process and its event loop, and returns their outcomes."""

    def __init__(
        self,
        settings: Settings,
        resources: Resources,
        coordinator: Coordinator,
        open_runner: OpenOutcomeRunner,
    ) -> None:
        self._settings = settings
        self._resources = resources
        self._coordinator = coordinator
        self._open_runner = open_runner

    async def rebalance_model(
        self,
        rebalance_id: str,
        model: Model,
        overrides: OptionOverrides,
        claim: IdempotencyClaim | None = None,
    ) -> Rebalanced:
        """Rebalance the portfolios of the model; store and return their outcomes.

        The stored rebalance settles the claim. Raises UpstreamUnavailableError as soon as an
        upstream is down; outcomes solved before stay stored.
        """
        # The options are merged first, because a rebalance with bad options does not even start.
        options = merge_options(model, overrides, self._settings)
        ids = model.portfolio_ids
        with _count(len(ids)):
            if len(ids) > self._settings.run_fan_out_above:
                return await self._fan_out(rebalance_id, model, overrides, claim)
            shared = await self._prepare(rebalance_id, model, len(ids), options)
            return await self._solve_here(shared, ids, claim)

    async def rebalance_portfolio(
        self,
        rebalance_id: str,
        model: Model,
        portfolio_id: str,
        overrides: OptionOverrides,
        claim: IdempotencyClaim | None = None,
    ) -> Outcomes:
        """Rebalance one portfolio to the model, as ``rebalance_model`` does.

        The restrictions must name securities of the model or the portfolio, otherwise
        UnmatchedIdsError.
        """
        options = merge_options(model, overrides, self._settings)
        with _count(1):
            shared = await self._prepare(rebalance_id, model, 1, options, overrides.restrictions)
            return await self._solve_here(shared, (portfolio_id,), claim)

    async def preview_model(self, model: Model, overrides: OptionOverrides) -> Rebalanced:
        """Return the outcomes of a rebalance; store nothing, so the rebalance id leads nowhere."""
        ids = model.portfolio_ids
        options = merge_options(model, overrides, self._settings)
        shared = await self._prepare(new_rebalance_id(), model, len(ids), options)
        if shared.refusal is not None or len(ids) <= self._settings.run_fan_out_above:
            return await self._preview_here(shared, ids)
        runner = self._open_runner(self._settings, self._resources)
        with reserve_time(len(ids)):
            whole = Chunk(shared.rebalance.rebalance_id, 0, ids)
            outcomes, held_ids = await runner.preview(shared, whole)
        rebalance = drop_held(shared.rebalance, held_ids)
        if isinstance(outcomes, RemoteElements):
            return rebalance, outcomes
        return rebalance, tuple(outcomes)

    async def try_model(self, model: Model, overrides: OptionOverrides) -> Outcomes:
        """Return the outcomes of few portfolios, as ``preview_model`` does, solved here."""
        ids = model.portfolio_ids
        options = merge_options(model, overrides, self._settings)
        shared = await self._prepare(new_rebalance_id(), model, len(ids), options)
        return await self._preview_here(shared, ids)

    async def preview_portfolio(
        self, model: Model, portfolio_id: str, overrides: OptionOverrides
    ) -> Outcomes:
        """Return the outcome of one portfolio, as ``preview_model`` does."""
        options = merge_options(model, overrides, self._settings)
        restrictions = overrides.restrictions
        shared = await self._prepare(new_rebalance_id(), model, 1, options, restrictions)
        return await self._preview_here(shared, (portfolio_id,))

    async def _preview_here(
        self, shared: RebalanceInput, portfolio_ids: tuple[str, ...]
    ) -> Outcomes:
        whole = Chunk(shared.rebalance.rebalance_id, 0, portfolio_ids)
        with reserve_time(len(portfolio_ids)):
            outcomes, _ = await solve_outcomes(shared, whole, self._resources)
        return drop_matched(shared.rebalance, outcomes), tuple(outcomes)

    async def read_completed(self, rebalance_id: str) -> Outcomes | None:
        """Return a rebalance whose answer was lost; wait for it first if it is still running."""
        with suppress(NotFoundError):  # because a rebalance solved in one process has no run
            await self._coordinator.wait_until_over(rebalance_id)
        try:
            rebalance = await self._resources.rebalances.read(rebalance_id)
        except NotFoundError:
            return None
        if rebalance.status is not RebalanceStatus.COMPLETED:
            return None
        return rebalance, await self._resources.rebalances.list_outcomes(rebalance)

    async def _solve_here(
        self, shared: RebalanceInput, portfolio_ids: tuple[str, ...], claim: IdempotencyClaim | None
    ) -> Outcomes:
        chunk = Chunk(shared.rebalance.rebalance_id, 0, portfolio_ids)
        with reserve_time(len(portfolio_ids)):
            outcomes, _ = await solve_outcomes(shared, chunk, self._resources)
        stored_rebalance = await store_completed(self._resources, shared.rebalance, outcomes, claim)
        await date_model(self._resources, stored_rebalance)
        return stored_rebalance, tuple(outcomes)

    async def _fan_out(
        self,
        rebalance_id: str,
        model: Model,
        overrides: OptionOverrides,
        claim: IdempotencyClaim | None,
    ) -> Rebalanced:
        """Rebalance the model as a run, because a run survives the loss of this process."""
        assert model.model_id is not None
        run = Run(
            run_id=rebalance_id,
            selection=Selection((model.model_id,)),
            overrides=overrides,
            holdings=HoldingsRef(self._settings.holdings_source),
            created_at=now(),
            correlation_id=correlation_id.get(),
            begun_by=principal.get() or None,
            stops_on_outage=True,
            claim=claim,
        )
        with reserve_time(len(model.portfolio_ids)):
            runner = self._open_runner(self._settings, self._resources)
            await self._coordinator.complete(run, runner)
        stored_rebalance = await self._resources.rebalances.read(rebalance_id)
        if elements := runner.elements(stored_rebalance.number_of_portfolios):
            return stored_rebalance, elements
        return stored_rebalance, await self._resources.rebalances.list_outcomes(stored_rebalance)

    async def _prepare(
        self,
        rebalance_id: str,
        model: Model,
        portfolios: int,
        options: RebalanceOptions,
        must_match: RebalanceOptions | None = None,
    ) -> RebalanceInput:
        # ``must_match`` only of the caller of a single portfolio, because the restrictions of a
        # model are meant for all its portfolios together and not for each.
        rules = await self._resources.rules.list_all()
        return await prepare_work(
            self._settings,
            self._resources,
            rebalance_id,
            model,
            portfolios,
            options,
            rules,
            must_match=must_match,
        )


@contextmanager
def _count(portfolios: int) -> Generator[None]:
    """Count a rebalance with its seconds, or as stopped."""
    begin = time.monotonic()
    try:
        yield
    except BaseException:
        count_stopped_rebalance()
        raise
    count_rebalance(portfolios, time.monotonic() - begin)
