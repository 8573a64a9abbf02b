"""OptionOverrides: options of a request, a model or a portfolio in place of others, by name."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final

from optimization.domain.options import DEFAULTS, RebalanceOptions
from optimization.errors import RESTRICTIONS


@dataclass(frozen=True, slots=True)
class OptionOverrides:
    """Fields of RebalanceOptions by name; options that they apply to keep every other field.

    The values are checked only where they apply, because a value may conflict with another one.

    >>> OptionOverrides({"maximum_trades": 5}).apply_to(RebalanceOptions()).maximum_trades
    5
    """

    values: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @staticmethod
    def from_options(options: RebalanceOptions) -> "OptionOverrides":
        """Collect the options that are no defaults, without the time limit of the service.

        >>> OptionOverrides.from_options(RebalanceOptions(fewest_trades=True, time_limit_s=9))
        OptionOverrides(values={'fewest_trades': True})
        """
        values = {each.name: getattr(options, each.name) for each in fields(options)}
        return OptionOverrides(
            {
                name: value
                for name, value in values.items()
                if value != getattr(DEFAULTS, name) and name != "time_limit_s"
            }
        )

    def apply_to(self, options: RebalanceOptions) -> RebalanceOptions:
        """Return the options with these values in place.

        Raises RuleError for a value, and OptionsConflictError for values that exclude each other.
        """
        return replace(options, **self.values)

    def override_by(self, others: "OptionOverrides") -> "OptionOverrides":
        """Return these overrides with the values of the others in place."""
        return OptionOverrides({**self.values, **others.values})

    @property
    def restrictions(self) -> RebalanceOptions:
        """The options that name securities, alone.

        >>> given = OptionOverrides({"fewest_trades": True, "frozen": frozenset({"VTI"})})
        >>> given.restrictions.find_unmatched(())
        ((('frozen',), 'VTI'),)
        """
        named = {name: value for name, value in self.values.items() if name in RESTRICTIONS}
        return RebalanceOptions(**named)


NO_OVERRIDES: Final = OptionOverrides()
OverridesByPortfolio = Mapping[str, OptionOverrides]
"""Options of single portfolios, by portfolio id, in place of those of all."""
