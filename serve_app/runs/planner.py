"""Planner: divides the portfolios of a run by model and into chunks, at one price snapshot."""

import hashlib
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar

import stamina
from bson import ObjectId

from optimization import (
    NO_OVERRIDES,
    Model,
    OptionOverrides,
    OverridesByPortfolio,
    RebalanceOptions,
    Refusal,
)
from optimization.errors import EmptyModelError, OptionsConflictError, RuleError
from serve_app.chunks.fetch import UNPRICED, identify_holdings, price_model
from serve_app.chunks.work import find_unmatched_ids, merge_options, require_model_targets
from serve_app.problems.error_table import build_refusal
from serve_app.resources import Resources
from serve_app.retries import doubling_pauses
from serve_app.rules.options import narrow_options, narrow_own_options, select_general_rules
from serve_app.settings import Settings
from serve_app.upstream.errors import FAILURES, PASSING
from serve_app.upstream.prices import PriceSnapshot
from storage.models.model_store import ModelStore, make_not_followed_error
from storage.mongo.decimal_codec import now
from storage.rebalances.outcome_columns import count_rows_per_document
from storage.rebalances.rebalance import Rebalance, new_rebalance
from storage.rules.rule import Rule, select_rules
from storage.runs.chunk_store import Chunk
from storage.runs.run import HoldingsRef, Run, RunPlan, Selection, Snapshot

PAUSE_S = 1.0
MAX_PAUSE_S = 15.0
MAX_POSITIONS_PER_CHUNK = 1_000_000  # because an array of them takes 8 MB
R = TypeVar("R")


class Planner:
    """Determines the rebalances and chunks of a run, and stores them."""

    def __init__(self, settings: Settings, resources: Resources) -> None:
        self._settings = settings
        self._resources = resources

    async def check(
        self,
        selection: Selection,
        overrides: OptionOverrides,
        own: OverridesByPortfolio,
    ) -> None:
        """Raise NotFoundError for a selected model, or model of a portfolio, that is not stored.

        If the selection comes to a single model, raise the errors of its options, too. ``own`` has
        the options of single portfolios.
        """
        model_ids: Sequence[str] = ()
        if selection.portfolio_ids:
            model_ids = tuple(await self._group_by_model(selection))
        elif selection.model_ids:
            model_ids = await self._resources.models.list_newest_first(selection.model_ids)
        if len(model_ids) == 1:
            model, _ = await self._resources.models.read_followers(model_ids[0], 0, 1)
            assert model is not None
            follower_ids = (
                await self._resources.models.find_newest(tuple(own), model_ids) if own else ()
            )
            merge_options(model, overrides, self._settings, follower_ids)

    async def plan(self, run: Run) -> RunPlan:
        """Store the rebalances and chunks of a run that has not started yet.

        If an upstream fails, a run that stops on outages raises the error; otherwise the rebalances
        record it as their refusal.
        """
        # An unfinished plan is discarded, because portfolios may follow other models by now.
        await self._resources.chunks.forget(run.run_id)
        await self._resources.rebalances.forget_parts(run.run_id)
        holdings = identify_holdings(self._settings, run.holdings)
        patience_s = 0 if run.stops_on_outage else self._settings.run_patience_s
        pricer = _RunPricer(self._resources, time.monotonic() + patience_s, run.stops_on_outage)
        in_force = await self._resources.rules.list_all()
        rebalances, portfolios, chunks = 0, 0, 0
        started_at = now()
        async for model, portfolio_ids in self._select(run.selection):
            rules = select_rules(in_force, str(model.model_id), portfolio_ids)
            part = _build_part(run, model, portfolio_ids, started_at, rules)
            part = await pricer.price(part, model)
            part_chunks = self._divide(part, portfolio_ids, holdings)
            await self._resources.rebalances.open(part)
            await self._resources.chunks.add(run.run_id, part_chunks)
            rebalances, portfolios = rebalances + 1, portfolios + len(portfolio_ids)
            chunks += len(part_chunks)
        return RunPlan(pricer.stored_snapshot, holdings, rebalances, portfolios, chunks, started_at)

    def _divide(
        self, part: Rebalance, portfolio_ids: Sequence[str], holdings: HoldingsRef
    ) -> list[Chunk]:
        size = self._settings.run_chunk_size
        if holdings.file is not None:
            if not _needs_searches(part):
                # A larger size, because without requests and searches the administration of a chunk
                # takes as long as its work.
                most = MAX_POSITIONS_PER_CHUNK // max(1, len(part.securities))
                size = max(1, min(self._settings.run_file_chunk_size, most))
            # Portfolios are sorted, because the rows of a file are in the order of the ids.
            portfolio_ids = sorted(portfolio_ids)
        rows = count_rows_per_document(len(part.securities))
        return [
            Chunk(part.rebalance_id, first, tuple(portfolio_ids[first : first + size]), rows)
            for first in range(0, len(portfolio_ids), size)
        ]

    async def _select(self, selection: Selection) -> AsyncIterator[tuple[Model, Sequence[str]]]:
        """Yield each model with the portfolios that are rebalanced to it, one model at a time."""
        if selection.portfolio_ids:
            by_model = await self._group_by_model(selection)
            for model_id in await self._resources.models.list_newest_first(tuple(by_model)):
                yield await self._resources.models.read(model_id), by_model[model_id]
            return
        async for followers in stream_followers(self._resources.models, selection.model_ids):
            yield followers

    async def _group_by_model(self, selection: Selection) -> Mapping[str, list[str]]:
        """Group the selected portfolios by the model that each is rebalanced to."""
        portfolio_ids = tuple(dict.fromkeys(selection.portfolio_ids))
        newest = await self._resources.models.find_newest(portfolio_ids, selection.model_ids)
        by_model: dict[str, list[str]] = defaultdict(list)
        for portfolio_id in portfolio_ids:
            if portfolio_id not in newest:
                if selection.model_ids:
                    # First, because a model that is not stored is the better error.
                    await self._resources.models.list_newest_first(selection.model_ids)
                raise make_not_followed_error(portfolio_id, selection.model_ids)
            by_model[newest[portfolio_id]].append(portfolio_id)
        return by_model


async def stream_followers(
    models: ModelStore, model_ids: Sequence[str] = ()
) -> AsyncIterator[tuple[Model, Sequence[str]]]:
    """Yield models, the newest first, each with the portfolios that follow no newer model."""
    newest = await models.find_shared_portfolios(model_ids)
    for model_id in await models.list_newest_first(model_ids):
        model = await models.read(model_id)
        follower_ids = [
            portfolio_id
            for portfolio_id in model.portfolio_ids
            if newest.get(portfolio_id, model_id) == model_id
        ]
        if follower_ids:
            yield model, follower_ids


@dataclass(slots=True)
class _RunPricer:
    """Pricer of the models of a run at one snapshot; retries failed calls until ``until``."""

    resources: Resources
    until: float
    stops_on_outage: bool
    snapshot: PriceSnapshot | None = None
    outage: Refusal | None = None

    @property
    def stored_snapshot(self) -> Snapshot | None:
        """The snapshot in its stored form; None before the first model is priced."""
        if self.snapshot is None:
            return None
        snapshot = self.snapshot
        return Snapshot(snapshot.snapshot_id, snapshot.taken_at, snapshot.prices)

    async def price(self, part: Rebalance, model: Model) -> Rebalance:
        """Add the prices of the model to the rebalance, or the refusal if it has none."""
        if part.refusal is not None or self.outage is not None:
            return replace(part, refusal=part.refusal or self.outage)
        try:
            if self.snapshot is None:
                self.snapshot = await self._retry(self.resources.prices.read_snapshot)
            snapshot = self.snapshot
            securities = self.resources.securities
            priced_targets = await self._retry(lambda: price_model(model, securities, snapshot))
            return replace(part, securities=priced_targets)
        except FAILURES as error:
            if self.stops_on_outage:
                raise
            self.outage = build_refusal(error)
            return replace(part, refusal=self.outage)
        except UNPRICED as error:
            return replace(part, refusal=build_refusal(error))

    async def _retry(self, call: Callable[[], Awaitable[R]]) -> R:
        async for attempt in stamina.retry_context(
            self._build_retry_policy(), attempts=None, timeout=None
        ):
            with attempt:
                return await call()
        raise AssertionError

    def _build_retry_policy(self) -> Callable[[Exception], bool | float]:
        """Build the retry policy for stamina: the pause, or False when time is up."""
        pauses = doubling_pauses(PAUSE_S, MAX_PAUSE_S)

        def choose_pause_s(error: Exception) -> bool | float:
            wait_s = next(pauses)
            is_in_time = time.monotonic() + wait_s <= self.until
            return wait_s if isinstance(error, PASSING) and is_in_time else False

        return choose_pause_s


def _needs_searches(part: Rebalance) -> bool:
    """Return whether most portfolios need a search, which takes milliseconds each."""
    options = part.options.apply_to(RebalanceOptions())
    return options.couples or bool(part.overrides_by_portfolio)


def _build_part(
    run: Run,
    model: Model,
    portfolio_ids: Sequence[str],
    started_at: datetime,
    rules: tuple[Rule, ...] = (),
) -> Rebalance:
    assert model.model_id is not None
    # The id derives from both ids, because a second plan of the run must have the same ids.
    alone = run.selection == Selection((model.model_id,))
    rebalance_id = run.run_id if alone else _derive_part_id(run.run_id, model.model_id)
    own = run.overrides_by_portfolio
    part = replace(
        new_rebalance(
            rebalance_id, model, len(portfolio_ids), NO_OVERRIDES, started_at, run.begun_by
        ),
        run_id=run.run_id,
        rules=rules,
        overrides_by_portfolio={
            portfolio_id: own[portfolio_id] for portfolio_id in portfolio_ids if portfolio_id in own
        },
    )
    try:
        options = run.overrides.apply_to(model.options or RebalanceOptions())
        own_restrictions = [
            overrides.restrictions for overrides in part.overrides_by_portfolio.values()
        ]
        unmatched_ids = find_unmatched_ids(model, options, own_restrictions)
        options = narrow_options(options, select_general_rules(rules))
        narrowed_overrides = narrow_own_options(
            options, part.overrides_by_portfolio, rules, portfolio_ids
        )
        part = replace(part, overrides_by_portfolio=narrowed_overrides)
        require_model_targets(model, options, part.overrides_by_portfolio)
    except (EmptyModelError, OptionsConflictError, RuleError) as error:
        return replace(part, refusal=build_refusal(error))
    return replace(part, options=OptionOverrides.from_options(options), unmatched=unmatched_ids)


def _derive_part_id(run_id: str, model_id: str) -> str:
    digest = hashlib.sha256(f"{run_id}{model_id}".encode()).digest()
    return str(ObjectId(bytes.fromhex(run_id)[:4] + digest[:8]))
