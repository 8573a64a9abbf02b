"""Limits of a principal to models or portfolios, by the ids in the path of a request.

A rebalance is within the limits if its model and all its portfolios are, a run if it names nothing
else. A path without such an id is refused: its route has to check the limits itself, and says so.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final, Protocol

from serve_app.auth.errors import OutsideLimitsError
from serve_app.auth.principals import MODELS, PORTFOLIOS, Principal
from serve_app.ports.proposals import Proposals
from serve_app.ports.runs import StoredRuns
from serve_app.ports.stored_rebalances import StoredRebalances


class LimitedObjects(StoredRebalances, StoredRuns, Proposals, Protocol):
    """Store calls that find the model and the portfolios of an object in a path."""


async def require_path_within(
    caller: Principal, params: Mapping[str, str], store: LimitedObjects
) -> None:
    """Raise OutsideLimitsError unless the ids of a path are within the limits of the caller."""
    if caller.models is not None:
        await _require(caller, params, store, MODELS, _MODEL_CHECKS)
    if caller.portfolios is not None:
        await _require(caller, params, store, PORTFOLIOS, _PORTFOLIO_CHECKS)


Check = Callable[[Principal, str, LimitedObjects], Awaitable[None]]


async def _require(
    caller: Principal,
    params: Mapping[str, str],
    store: LimitedObjects,
    limit: str,
    checks: Mapping[str, Check],
) -> None:
    for name, check in checks.items():
        if name in params:
            await check(caller, params[name], store)
            return
    raise OutsideLimitsError(caller.name, limit, "the operation may concern others")


async def _check_model(caller: Principal, model_id: str, _: LimitedObjects) -> None:
    caller.require_models([model_id])


async def _check_portfolio(caller: Principal, portfolio_id: str, _: LimitedObjects) -> None:
    caller.require_portfolios([portfolio_id])


async def _check_rebalance_model(
    caller: Principal, rebalance_id: str, store: LimitedObjects
) -> None:
    rebalance = await store.read_rebalance(rebalance_id)
    caller.require_models([rebalance.model_id])


async def _check_rebalance_portfolios(
    caller: Principal, rebalance_id: str, store: LimitedObjects
) -> None:
    assert caller.portfolios is not None
    rebalance = await store.read_rebalance(rebalance_id)
    # The numbers are compared before the outcomes are read, because a rebalance may have 100,000
    # portfolios.
    if rebalance.number_of_portfolios > len(caller.portfolios):
        raise OutsideLimitsError(caller.name, PORTFOLIOS, "the rebalance has others")
    outcomes = await store.list_outcomes(rebalance)
    if len(outcomes) < rebalance.number_of_portfolios:
        raise OutsideLimitsError(caller.name, PORTFOLIOS, "the rebalance is in progress")
    caller.require_portfolios(outcome.portfolio_id for outcome in outcomes)


async def _check_proposal_model(caller: Principal, proposal_id: str, store: LimitedObjects) -> None:
    caller.require_models([(await store.read_proposal(proposal_id)).model_id])


async def _check_proposal_portfolios(
    caller: Principal, proposal_id: str, store: LimitedObjects
) -> None:
    proposal = await store.read_proposal(proposal_id)
    await _check_rebalance_portfolios(caller, proposal.rebalance_id, store)


async def _check_run_models(caller: Principal, run_id: str, store: LimitedObjects) -> None:
    caller.require_models((await store.read_run(run_id)).selection.model_ids)


async def _check_run_portfolios(caller: Principal, run_id: str, store: LimitedObjects) -> None:
    caller.require_portfolios((await store.read_run(run_id)).selection.portfolio_ids)


# The first parameter that a path has decides, so a portfolio of a rebalance comes before the whole.
_MODEL_CHECKS: Final[Mapping[str, Check]] = {
    "model_id": _check_model,
    "rebalance_id": _check_rebalance_model,
    "run_id": _check_run_models,
    "proposal_id": _check_proposal_model,
}
_PORTFOLIO_CHECKS: Final[Mapping[str, Check]] = {
    "portfolio_id": _check_portfolio,
    "rebalance_id": _check_rebalance_portfolios,
    "run_id": _check_run_portfolios,
    "proposal_id": _check_proposal_portfolios,
}
