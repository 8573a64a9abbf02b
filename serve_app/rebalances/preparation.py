"""Preparation of a direct rebalance: its options, its prices, and what is to be stored."""

from dataclasses import replace

from optimization import Model, OptionOverrides
from serve_app.call_context import correlation_id
from serve_app.chunks.fetch import UNPRICED, price_model
from serve_app.chunks.work import Work, find_unmatched_ids, options_for
from serve_app.problems.error_table import refusal_of
from serve_app.resources import Resources
from serve_app.settings import Settings
from storage.mongo.decimal_codec import now
from storage.rebalance import new_rebalance
from storage.run import HoldingsRef


async def prepare_work(
    settings: Settings,
    resources: Resources,
    rebalance_id: str,
    model: Model,
    portfolios: int,
    overrides: OptionOverrides,
    *,
    alone: bool,
) -> Work:
    """Take one price snapshot for a rebalance of the model, and price the model at it.

    ``alone`` says that the overrides are meant for a single portfolio: the securities that they
    name must exist.
    """
    options = options_for(model, overrides, settings)
    snapshot = await resources.prices.read_snapshot()
    given = OptionOverrides.from_options(options)
    rebalance = new_rebalance(rebalance_id, model, portfolios, given, now())
    rebalance = replace(rebalance, unmatched=find_unmatched_ids(model, options))
    holdings = HoldingsRef(settings.holdings_source)
    # Only the caller's restrictions must match, because those of the model are meant for all its
    # portfolios together and not for each.
    named = overrides.restrictions if alone else None
    work = Work(settings, rebalance, snapshot, options, correlation_id.get(), holdings)
    return await _at_prices(replace(work, must_match=named), model, resources)


async def _at_prices(work: Work, model: Model, resources: Resources) -> Work:
    """Add the prices of the model to the work, or the refusal if it has none."""
    try:
        securities = await price_model(model, resources.securities, work.snapshot)
    except UNPRICED as error:
        return replace(work, refusal=refusal_of(error))
    return replace(work, rebalance=replace(work.rebalance, securities=securities))
