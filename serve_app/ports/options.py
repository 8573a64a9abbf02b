"""OptionOverrides: options of a request by name, in place of those of a model."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from optimization import RebalanceOptions


@dataclass(frozen=True, slots=True)
class OptionOverrides:
    """Fields of RebalanceOptions by name; any other field keeps the value of the model."""

    values: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def over(self, options: RebalanceOptions) -> RebalanceOptions:
        """Return the options with these values in place.

        Raise RuleError for a value and OptionsConflictError for values that exclude each other.
        """
        return replace(options, **self.values)


NO_OVERRIDES: Final = OptionOverrides()
OverridesByPortfolio = Mapping[str, OptionOverrides]
"""Options of single portfolios, by portfolio id, in place of those of all."""
