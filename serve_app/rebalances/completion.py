"""Completion of a direct rebalance: counts, storage, and the date of the model."""

from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace

from optimization import PortfolioOutcome
from serve_app.chunks.unmatched_ids import list_other_holdings
from serve_app.observability.events import log_event
from serve_app.observability.metrics import count_outcomes
from serve_app.resources import Resources
from storage.audit_trail import Action
from storage.errors import NotFoundError
from storage.idempotency_store import IdempotencyClaim
from storage.mongo.decimal_codec import now
from storage.rebalance import Rebalance, RebalanceStatus


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
    stored = await resources.rebalances.store(rebalance, outcomes, claim)
    log_event(
        Action.REBALANCE_STORED,
        stored.rebalance_id,
        model_id=stored.model_id,
        counts={status.value: count for status, count in counts.items()},
    )
    return stored


async def date_model(resources: Resources, rebalance: Rebalance) -> None:
    """Date the model of a stored rebalance, because an unstored one must leave no date."""
    # Ignored, because a model may be deleted while its portfolios are rebalanced.
    with suppress(NotFoundError):
        await resources.models.record_rebalance_date(rebalance.model_id, rebalance.started_at)


def drop_matched(rebalance: Rebalance, outcomes: Sequence[PortfolioOutcome]) -> Rebalance:
    """Drop the unmatched ids that one of the portfolios holds."""
    if not rebalance.unmatched:
        return rebalance
    return drop_held(rebalance, list_other_holdings(outcomes))


def drop_held(rebalance: Rebalance, held: Iterable[str]) -> Rebalance:
    """Drop the unmatched ids among these holdings."""
    held = frozenset(held)
    unmatched = tuple(each for each in rebalance.unmatched if each not in held)
    return replace(rebalance, unmatched=unmatched)
