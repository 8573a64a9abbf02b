"""Own options: options of single portfolios, merged over those of the rebalance."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from optimization import OptionOverrides, RebalanceOptions
from optimization.errors import OptimizationError, OptionsConflictError, RuleError
from storage.rebalance import Rebalance

OwnOptions = Mapping[str, RebalanceOptions | OptimizationError]
"""Merged options or their error by portfolio id, for portfolios with options of their own."""
NONE_OWN: OwnOptions = MappingProxyType({})


def own_options(
    run: Rebalance, options: RebalanceOptions, portfolio_ids: Iterable[str]
) -> OwnOptions:
    """Merge the options of those portfolios that have their own over the options of all."""
    own = run.overrides_by_portfolio
    return {each: override_options(options, own[each]) for each in portfolio_ids if each in own}


def override_options(
    options: RebalanceOptions, overrides: OptionOverrides
) -> RebalanceOptions | OptimizationError:
    """Replace options by name; return the error if the result is invalid."""
    try:
        return overrides.apply_to(options)
    except (RuleError, OptionsConflictError) as error:
        return error
