"""Steps of a direct rebalance around its solution: preparation, storage, the date of the model."""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TypeAlias

from optimization import Model, OptionOverrides, PortfolioOutcome, PricedTarget, RebalanceOptions
from serve_app.call_context import correlation_id, principal
from serve_app.chunks.fetch import UNPRICED, price_model
from serve_app.chunks.unmatched_ids import list_other_holdings
from serve_app.chunks.work import RebalanceInput, find_unmatched_ids
from serve_app.observability.events import log_event
from serve_app.observability.metrics import count_outcomes
from serve_app.problems.error_table import build_refusal
from serve_app.resources import Resources
from serve_app.rules.options import narrow_options, narrow_own_options, select_general_rules
from serve_app.settings import Settings
from serve_app.upstream.prices import PriceSnapshot
from serve_app.upstream.securities import SecurityService
from storage.audit.trail import Action
from storage.errors import NotFoundError
from storage.idempotency_store import IdempotencyClaim
from storage.mongo.decimal_codec import now
from storage.rebalances.rebalance import Rebalance, RebalanceStatus, new_rebalance
from storage.rules.rule import Rule, select_rules
from storage.runs.run import HoldingsRef

PriceModel: TypeAlias = Callable[
    [Model, SecurityService, PriceSnapshot], Awaitable[tuple[PricedTarget, ...]]
]


async def prepare_work(
    settings: Settings,
    resources: Resources,
    rebalance_id: str,
    model: Model,
    portfolios: int,
    options: RebalanceOptions,
    rules: Sequence[Rule],
    *,
    must_match: RebalanceOptions | None = None,
    price: PriceModel = price_model,
) -> RebalanceInput:
    """Take one price snapshot for a rebalance of the model, and price the model at it.

    The input has the stored rules that may concern the model and its portfolios. The securities
    that the restrictions of ``must_match`` name must exist.
    """
    snapshot = await resources.prices.read_snapshot()
    rules = select_rules(rules, str(model.model_id), model.portfolio_ids)
    narrowed_options = narrow_options(options, select_general_rules(rules))
    overrides = OptionOverrides.from_options(narrowed_options)
    begun_by = principal.get() or None
    rebalance = new_rebalance(rebalance_id, model, portfolios, overrides, now(), begun_by)
    try:
        securities, refusal = await price(model, resources.securities, snapshot), None
    except UNPRICED as error:
        securities, refusal = (), build_refusal(error)
    rebalance = replace(
        rebalance,
        # The caller's options alone, because the caller does not name the ids of the rules.
        unmatched=find_unmatched_ids(model, options),
        securities=securities,
        rules=rules,
        overrides_by_portfolio=narrow_own_options(narrowed_options, {}, rules, model.portfolio_ids),
    )
    return RebalanceInput(
        settings,
        rebalance,
        snapshot,
        narrowed_options,
        correlation_id.get(),
        HoldingsRef(settings.holdings_source),
        refusal,
        must_match=must_match,
    )


async def store_completed(
    resources: Resources,
    rebalance: Rebalance,
    outcomes: Sequence[PortfolioOutcome],
    claim: IdempotencyClaim | None,
) -> Rebalance:
    """Store a rebalance with the outcomes of all its portfolios; it settles the claim."""
    counts = Counter(outcome.status for outcome in outcomes)
    count_outcomes(counts)
    rebalance = replace(
        drop_matched(rebalance, outcomes),
        status=RebalanceStatus.COMPLETED,
        counts=counts,
        finished_at=now(),
    )
    stored_rebalance = await resources.rebalances.store(rebalance, outcomes, claim)
    log_event(
        Action.REBALANCE_STORED,
        stored_rebalance.rebalance_id,
        model_id=stored_rebalance.model_id,
        counts={status.value: count for status, count in counts.items()},
    )
    return stored_rebalance


async def date_model(resources: Resources, rebalance: Rebalance) -> None:
    """Date the model of a stored rebalance, because an unstored one must leave no date."""
    # The error is ignored, because a model may be deleted while its portfolios are rebalanced.
    with suppress(NotFoundError):
        await resources.models.record_rebalance_date(rebalance.model_id, rebalance.started_at)


def drop_matched(rebalance: Rebalance, outcomes: Sequence[PortfolioOutcome]) -> Rebalance:
    """Drop the unmatched ids that one of the portfolios holds."""
    if not rebalance.unmatched:
        return rebalance
    return drop_held(rebalance, list_other_holdings(outcomes))


def drop_held(rebalance: Rebalance, held_ids: Iterable[str]) -> Rebalance:
    """Drop the unmatched ids among these holdings."""
    held_ids = frozenset(held_ids)
    unmatched = tuple(
        security_id for security_id in rebalance.unmatched if security_id not in held_ids
    )
    return replace(rebalance, unmatched=unmatched)
