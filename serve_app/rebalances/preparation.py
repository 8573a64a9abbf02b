"""Preparation of a direct rebalance: its options, its prices, and what is to be stored."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import TypeAlias

from optimization import Model, OptionOverrides, PricedTarget, RebalanceOptions
from serve_app.call_context import correlation_id, principal
from serve_app.chunks.fetch import UNPRICED, price_model
from serve_app.chunks.work import Work, find_unmatched_ids
from serve_app.problems.error_table import refusal_of
from serve_app.resources import Resources
from serve_app.rules.options import general_rules, narrow_options, narrow_own_options
from serve_app.settings import Settings
from serve_app.upstream.prices import PriceSnapshot
from serve_app.upstream.securities import Securities
from storage.mongo.decimal_codec import now
from storage.rebalance import new_rebalance
from storage.rule import Rule, rules_that_may_concern
from storage.run import HoldingsRef

PriceModel: TypeAlias = Callable[
    [Model, Securities, PriceSnapshot], Awaitable[tuple[PricedTarget, ...]]
]


async def prepare_work(
    settings: Settings,
    resources: Resources,
    rebalance_id: str,
    model: Model,
    portfolios: int,
    options: RebalanceOptions,
    stored_rules: Awaitable[Sequence[Rule]],
    *,
    must_match: RebalanceOptions | None = None,
    price: PriceModel = price_model,
) -> Work:
    """Take one price snapshot for a rebalance of the model, and price the model at it.

    Of the stored rules it takes those that may concern the model and its portfolios.
    The securities that the restrictions of ``must_match`` name must exist.
    """
    # Beside the prices, because a rebalance of one portfolio takes hardly longer than one of them.
    snapshot, stored = await asyncio.gather(resources.prices.read_snapshot(), stored_rules)
    rules = rules_that_may_concern(stored, str(model.model_id), model.portfolio_ids)
    narrowed = narrow_options(options, general_rules(rules))
    given = OptionOverrides.from_options(narrowed)
    begun_by = principal.get() or None
    rebalance = new_rebalance(rebalance_id, model, portfolios, given, now(), begun_by)
    refusal = None
    try:
        securities = await price(model, resources.securities, snapshot)
    except UNPRICED as error:
        securities, refusal = (), refusal_of(error)
    rebalance = replace(
        rebalance,
        # Of the caller's options alone, because the caller does not name the ids of the rules.
        unmatched=find_unmatched_ids(model, options),
        securities=securities,
        rules=rules,
        overrides_by_portfolio=narrow_own_options(narrowed, {}, rules, model.portfolio_ids),
    )
    holdings = HoldingsRef(settings.holdings_source)
    of = settings, rebalance, snapshot, narrowed, correlation_id.get(), holdings, refusal
    return Work(*of, must_match=must_match)
