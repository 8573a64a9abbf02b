"""Rebalances that happen once, although a replica may die before it returns their outcomes."""

from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias, TypeVar

import stamina

from optimization import OptionOverrides, PortfolioOutcome
from serve_app.ports.errors import ReplicaLostError
from serve_app.ports.rebalances import (
    OutcomeElements,
    Outcomes,
    RebalanceModel,
    RebalancePortfolio,
    Rebalancing,
    RemoteElements,
)
from storage.idempotency_store import IdempotencyClaim
from storage.rebalances.rebalance import Rebalance, new_rebalance_id

MAX_ATTEMPTS: Final = 3

RebalanceAnswer: TypeAlias = tuple[Rebalance, tuple[PortfolioOutcome, ...] | OutcomeElements]
AnswerT = TypeVar("AnswerT", bound=RebalanceAnswer)


class _NothingStoredError(ReplicaLostError):
    """The replica died and nothing is stored under the id: another attempt repeats no work."""


_repeat = stamina.AsyncRetryingCaller(
    attempts=MAX_ATTEMPTS, timeout=None, wait_initial=0.0, wait_jitter=0.0
).on(_NothingStoredError)


async def rebalance_model(
    optimizer: Rebalancing,
    model_id: str,
    overrides: OptionOverrides,
    claim: IdempotencyClaim | None = None,
) -> RebalanceAnswer:
    """Rebalance every portfolio that follows a model."""

    async def rebalance(rebalance_id: str) -> RebalanceAnswer:
        command = RebalanceModel(rebalance_id, model_id, overrides, claim)
        stored_rebalance, outcomes = await optimizer.rebalance_model(command)
        # The text is read here, because a lost text is replaced by the stored outcomes.
        if isinstance(outcomes, RemoteElements):
            return stored_rebalance, await outcomes.read()
        return stored_rebalance, outcomes

    return await _repeat(_attempt, optimizer, rebalance)


async def rebalance_portfolio(
    optimizer: Rebalancing,
    portfolio_id: str,
    model_id: str | None,
    overrides: OptionOverrides,
    claim: IdempotencyClaim | None = None,
) -> tuple[Rebalance, PortfolioOutcome]:
    """Rebalance one portfolio to the named model, or to the newest that it follows."""

    async def rebalance(rebalance_id: str) -> Outcomes:
        command = RebalancePortfolio(rebalance_id, portfolio_id, model_id, overrides, claim)
        stored_rebalance, outcome = await optimizer.rebalance_portfolio(command)
        return stored_rebalance, (outcome,)

    stored_rebalance, (outcome,) = await _repeat(_attempt, optimizer, rebalance)
    return stored_rebalance, outcome


async def _attempt(
    optimizer: Rebalancing, rebalance: Callable[[str], Awaitable[AnswerT]]
) -> AnswerT | Outcomes:
    """Rebalance under a new id; after a lost replica return the outcomes stored under that id."""
    rebalance_id = new_rebalance_id()
    try:
        return await rebalance(rebalance_id)
    except ReplicaLostError as error:
        completed = await optimizer.read_completed(rebalance_id)
        if completed is None:
            raise _NothingStoredError(error.deployment) from error
        return completed
