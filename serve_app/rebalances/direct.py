"""Runs: the portfolios of a model, solved and answered - here if they are few, else by tasks of a book run.

A run has one price snapshot from its begin to its end.
"""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from optimization import Model, PortfolioOutcome, restrictions_of
from serve_app.chunks.fetch import UNPRICED, price_model
from serve_app.chunks.unmatched_ids import held_outside, named_beyond
from serve_app.chunks.work import Work, outcomes_of
from serve_app.deadline import reserved_for
from serve_app.observability.correlation import correlation_id
from serve_app.observability.metrics import count_outcomes, count_rebalance, count_stopped_rebalance
from serve_app.ports.rebalances import Outcomes
from serve_app.problems.error_table import refusal_of
from serve_app.resources import Resources
from serve_app.runs.chunk_tasks import preview_chunks
from serve_app.runs.coordinator import Coordinator
from serve_app.runs.planner import new_rebalance, now, options_for
from serve_app.settings import Settings
from storage.chunk_store import Chunk
from storage.errors import NotFoundError
from storage.idempotency_store import IdempotencyClaim
from storage.options import options_document
from storage.rebalance import Rebalance, RebalanceStatus, new_rebalance_id
from storage.run import HoldingsRef, Run, Selection

Overrides = Mapping[str, Any]
"""Options by name, in place of those that the model has."""


class DirectRebalancer:
    """Rebalances and answers, in one process and its event loop."""

    def __init__(self, settings: Settings, resources: Resources, coordinator: Coordinator) -> None:
        self._settings = settings
        self._with = resources
        self._coordinator = coordinator

    async def rebalance(
        self,
        rebalance_id: str,
        model: Model,
        portfolio_ids: tuple[str, ...],
        overrides: Overrides,
        claim: IdempotencyClaim | None = None,
        *,
        alone: bool = False,
    ) -> Outcomes:
        """Rebalance these portfolios of the model, store what became of them, and answer it.

        What is stored settles the claim. ``alone`` says that one portfolio is asked for: what its
        restrictions name and nobody has is refused then (UnmatchedIdsError). Raises
        UpstreamUnavailableError as soon as an upstream is down; what was solved before stays.
        """
        begin = time.monotonic()
        options_for(model, overrides, self._settings)  # refused before anything begins
        try:
            if len(portfolio_ids) > self._settings.run_fan_out_above:
                made = await self._fanned_out(rebalance_id, model, overrides, claim)
            else:
                work = await self._begun(
                    rebalance_id, model, len(portfolio_ids), overrides, alone=alone
                )
                made = await self._solved_here(work, portfolio_ids, claim)
        except BaseException:
            count_stopped_rebalance()
            raise
        count_rebalance(len(portfolio_ids), time.monotonic() - begin)
        return made

    async def preview(
        self,
        model: Model,
        portfolio_ids: tuple[str, ...],
        overrides: Overrides,
        *,
        alone: bool = False,
    ) -> Outcomes:
        """What ``rebalance`` would answer; nothing is stored, so the id of the run leads nowhere."""
        count = len(portfolio_ids)
        work = await self._begun(new_rebalance_id(), model, count, overrides, alone=alone)
        whole = Chunk(work.run.rebalance_id, 0, portfolio_ids)
        with reserved_for(len(portfolio_ids)):
            if work.refusal is None and count > self._settings.run_fan_out_above:
                outcomes = await preview_chunks(work, whole)
            else:
                outcomes = tuple((await outcomes_of(work, whole, self._with))[0])
        return _matched(work.run, outcomes), outcomes

    async def settled(self, rebalance_id: str) -> Outcomes | None:
        """What a run made before its answer was lost; one that is under way is waited for."""
        with suppress(NotFoundError):  # a run without tasks
            await self._coordinator.over(rebalance_id)
        try:
            run = await self._with.rebalances.read(rebalance_id)
        except NotFoundError:
            return None
        if run.status is not RebalanceStatus.COMPLETED:
            return None
        return run, await self._with.rebalances.outcomes(run)

    async def _solved_here(
        self, work: Work, portfolio_ids: tuple[str, ...], claim: IdempotencyClaim | None
    ) -> Outcomes:
        chunk = Chunk(work.run.rebalance_id, 0, portfolio_ids)
        with reserved_for(len(portfolio_ids)):
            outcomes, _ = await outcomes_of(work, chunk, self._with)
        return await self._recorded(work.run, outcomes, claim)

    async def _fanned_out(
        self,
        rebalance_id: str,
        model: Model,
        overrides: Overrides,
        claim: IdempotencyClaim | None,
    ) -> Outcomes:
        """As a run over a book of one model, which outlives this process if it has to."""
        assert model.model_id is not None
        run = Run(
            run_id=rebalance_id,
            selection=Selection((model.model_id,)),
            overrides=overrides,
            holdings=HoldingsRef(self._settings.holdings_source),
            created_at=now(),
            correlation_id=correlation_id.get(),
            stops_on_outage=True,
            claim=claim,
        )
        with reserved_for(len(model.portfolio_ids)):
            await self._coordinator.completed(run)
        stored = await self._with.rebalances.read(rebalance_id)
        return stored, await self._with.rebalances.outcomes(stored)

    async def _begun(
        self,
        rebalance_id: str,
        model: Model,
        portfolios: int,
        overrides: Overrides,
        *,
        alone: bool,
    ) -> Work:
        options = options_for(model, overrides, self._settings)
        snapshot = await self._with.prices.snapshot()
        run = new_rebalance(rebalance_id, model, portfolios, options_document(options), now())
        run = replace(run, unmatched=named_beyond(model, options))
        holdings = HoldingsRef(self._settings.holdings_source)
        # What the model restricts is meant for all its portfolios, not for each of them.
        named = restrictions_of(overrides) if alone else None
        work = Work(self._settings, run, snapshot, options, correlation_id.get(), holdings)
        return await self._at_prices(replace(work, must_match=named), model)

    async def _at_prices(self, work: Work, model: Model) -> Work:
        """The work with the prices of its model, or with the reason why it has none."""
        try:
            securities = await price_model(model, self._with.securities, work.snapshot)
        except UNPRICED as error:
            return replace(work, refusal=refusal_of(error))
        return replace(work, run=replace(work.run, securities=securities))

    async def _recorded(
        self, run: Rebalance, outcomes: Sequence[PortfolioOutcome], claim: IdempotencyClaim | None
    ) -> Outcomes:
        """Store a run that is over."""
        counts = Counter(outcome.status for outcome in outcomes)
        count_outcomes(counts)
        run = replace(
            _matched(run, outcomes),
            status=RebalanceStatus.COMPLETED,
            counts=counts,
            finished_at=now(),
        )
        stored = await self._with.rebalances.store(run, outcomes, claim)
        await self._dated(run)  # not beside it: a rebalance that is not stored leaves no date
        return stored, tuple(outcomes)

    async def _dated(self, run: Rebalance) -> None:
        # A model that was deleted while its portfolios were rebalanced has no date to set.
        with suppress(NotFoundError):
            await self._with.models.rebalanced(run.model_id, run.started_at)


def _matched(run: Rebalance, outcomes: Sequence[PortfolioOutcome]) -> Rebalance:
    held = set(held_outside(outcomes))
    return replace(run, unmatched=tuple(each for each in run.unmatched if each not in held))
