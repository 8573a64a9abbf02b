"""Errors of the optimization package.

OptimizationError
├── RuleError (also ValueError)      a value breaks a rule of a model, a portfolio or the options
├── PricesMissingError               securities without a price above 0
├── EmptyModelError                  a model without a target: rebalancing it would sell everything
├── UnmatchedIdsError                a restriction names securities that no portfolio or model has
├── OptionsConflictError             options that contradict each other, detected before solving
├── NoSolutionInTimeError            the time budget ended without a plan; not infeasibility
├── SolverInterruptedError           the budget was interrupted: the caller no longer waits
├── ColumnsError (also ValueError)   columns of a table are missing or ambiguous
├── FrameError (also ValueError)     a data frame cannot be read or made; names the remedy
├── CertificationError               no solution method gave a plan that passes exact verification
└── EditError                        a model cannot be changed in this way
    ├── TargetExistsError            the security already has a target
    ├── TargetUnknownError           the security has no target
    └── TargetDiffersError           the target is not the one that was to be removed

Infeasibility is an answer, not an error: see domain.outcome.Refusal.
Every class passes all its arguments to ``super().__init__``, because pickling between processes
restores an exception from them.
"""

import re
from collections.abc import Mapping
from decimal import Decimal

MAX_TEXT_LENGTH = 60
# Listed because str.isprintable accepts them although they are invisible: joiners, fillers,
# variation selectors.
INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164"
    "\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
RESTRICTIONS = frozenset({"do_not_buy", "do_not_sell", "frozen", "lots", "groups"})
UNMATCHED_RULE = "which is in no portfolio of the call and not in the model"


class OptimizationError(Exception):
    """Base of all errors of the package.

    >>> issubclass(NoSolutionInTimeError, OptimizationError)
    True
    """


class RuleError(OptimizationError, ValueError):
    """A value breaks a rule.

    ``field`` is the path of the value inside the rejected object, such as ``("targets", 3,
    "weight")``; ``rule`` states the rule.

    >>> field, rule = ("targets", 3, "weight"), "a target is a multiple of 0.005"
    >>> print(RuleError(field, Decimal("0.003"), rule))
    targets.3.weight is 0.003: a target is a multiple of 0.005
    """

    def __init__(self, field: tuple[str | int, ...], value: object, rule: str) -> None:
        super().__init__(field, value, rule)
        self.field = field
        self.value = value
        self.rule = rule

    def __str__(self) -> str:
        path = ".".join(str(step) for step in self.field)
        return f"{path} is {format_value(self.value)}: {self.rule}"


class PricesMissingError(OptimizationError):
    """Held or targeted securities have no price above 0.

    >>> print(PricesMissingError(("BND", "VTI")))
    no price above 0 for BND, VTI
    """

    def __init__(self, security_ids: tuple[str, ...]) -> None:
        super().__init__(security_ids)
        self.security_ids = security_ids

    def __str__(self) -> str:
        return f"no price above 0 for {', '.join(self.security_ids)}"


class EmptyModelError(OptimizationError):
    """A model has no target, and the options do not ask to sell everything.

    >>> print(EmptyModelError())
    the model has no target above 0: to sell everything, set liquidate: true
    """

    def __str__(self) -> str:
        return "the model has no target above 0: to sell everything, set liquidate: true"


class UnmatchedIdsError(OptimizationError):
    """Restrictions name securities that are in no portfolio of the call and not in the model.

    ``places`` pairs the path of each restriction with the id that it names. The engine refuses such
    ids, because a misspelt id would otherwise restrict nothing, silently.

    >>> print(UnmatchedIdsError(((("do_not_sell",), "VIT"),)))
    do_not_sell names VIT, which is in no portfolio of the call and not in the model
    """

    def __init__(self, places: tuple[tuple[tuple[str | int, ...], str], ...]) -> None:
        super().__init__(places)
        self.places = places

    def __str__(self) -> str:
        (path, security_id), *more = self.places
        name = next((step for step in path if step in RESTRICTIONS), "a restriction")
        others = f" (and {len(more)} more)" if more else ""
        return f"{name} names {security_id}{others}, {UNMATCHED_RULE}"


class ColumnsError(OptimizationError, ValueError):
    """Columns of a table are missing or ambiguous.

    ``ambiguous`` maps a field to the headers that can be it, ``missing`` to its usual names.

    >>> print(ColumnsError({"price": ("Last", "Close")}, {}))
    'Last' and 'Close' can both be the price: name the one that is meant 'price'
    """

    def __init__(
        self, ambiguous: Mapping[str, tuple[str, ...]], missing: Mapping[str, tuple[str, ...]]
    ) -> None:
        super().__init__(ambiguous, missing)
        self.ambiguous = ambiguous
        self.missing = missing

    @property
    def rules(self) -> tuple[str, ...]:
        """Sentences about the fields that are ambiguous or missing, one each."""
        several = (
            f"{' and '.join(repr(header) for header in headers)} can "
            f"{'both' if len(headers) == 2 else 'all'} be the {field}: "
            f"name the one that is meant '{field}'"
            for field, headers in self.ambiguous.items()
        )
        none = (
            f"no column is the {field} ({', '.join((field, *names[:3]))}, ...)"
            for field, names in self.missing.items()
        )
        return (*several, *none)

    def __str__(self) -> str:
        return "; ".join(self.rules)


class OptionsConflictError(OptimizationError):
    """Options of one request exclude each other.

    >>> from optimization.domain.options import RebalanceOptions
    >>> RebalanceOptions(cash_floor=Decimal(10), cash_ceiling=Decimal(5))
    Traceback (most recent call last):
    optimization.errors.OptionsConflictError: the cash floor is above the cash ceiling
    """

    def __init__(self, detail: str, options: tuple[str, ...]) -> None:
        super().__init__(detail, options)
        self.detail = detail
        self.options = options

    def __str__(self) -> str:
        return self.detail


class NoSolutionInTimeError(OptimizationError):
    """The time limit passed before the solver found a plan.

    >>> print(NoSolutionInTimeError("P" * 24, 2.5))
    no plan was found for portfolio PPPPPPPPPPPPPPPPPPPPPPPP within 2.5 s; one may exist
    """

    def __init__(self, portfolio_id: str, time_limit_s: float) -> None:
        super().__init__(portfolio_id, time_limit_s)
        self.portfolio_id = portfolio_id
        self.time_limit_s = time_limit_s

    def __str__(self) -> str:
        return (
            f"no plan was found for portfolio {self.portfolio_id} within {self.time_limit_s:g} s; "
            "one may exist"
        )


class SolverInterruptedError(OptimizationError):
    """The caller no longer waits for the result; the engine discards it.

    >>> print(SolverInterruptedError())
    the solver was interrupted
    """

    def __str__(self) -> str:
        return "the solver was interrupted"


class FrameError(OptimizationError, ValueError):
    """A data frame cannot be read or made; the message names the place and the remedy.

    >>> print(FrameError("row 3 of holdings, quantity is nan: a quantity is a finite number"))
    row 3 of holdings, quantity is nan: a quantity is a finite number
    """


class CertificationError(OptimizationError):
    """No solution method gave a plan that passes exact verification; no plan is returned.

    >>> print(CertificationError("P" * 24, ("turnover_cap",)))
    no verified plan for portfolio PPPPPPPPPPPPPPPPPPPPPPPP: turnover_cap
    """

    def __init__(self, portfolio_id: str, violations: tuple[str, ...]) -> None:
        super().__init__(portfolio_id, violations)
        self.portfolio_id = portfolio_id
        self.violations = violations

    def __str__(self) -> str:
        return f"no verified plan for portfolio {self.portfolio_id}: {'; '.join(self.violations)}"


class EditError(OptimizationError):
    """Base of the errors of a change of a model.

    >>> print(TargetExistsError("VTI"))
    security VTI is already in the model
    """

    def __init__(self, security_id: str) -> None:
        super().__init__(security_id)
        self.security_id = security_id


class TargetExistsError(EditError):
    """The security already has a target."""

    def __str__(self) -> str:
        return f"security {self.security_id} is already in the model"


class TargetUnknownError(EditError):
    """The security has no target."""

    def __str__(self) -> str:
        return f"security {self.security_id} is not in the model"


class TargetDiffersError(EditError):
    """The stored target has other values."""

    def __str__(self) -> str:
        return f"security {self.security_id} is in the model with other values"


def format_value(value: object) -> str:
    """Shorten a value for an error message; decimals without exponent."""
    text = f"{value:f}" if isinstance(value, Decimal) else repr(value)
    text = INVISIBLE.sub(lambda match: ascii(match[0])[1:-1], text)
    return shorten(text)


def shorten(text: str, max_length: int = MAX_TEXT_LENGTH) -> str:
    """Cut a long text for a message, with three dots for what is left out.

    >>> shorten("9" * 100, 10)
    '9999999...'
    """
    return text if len(text) <= max_length else f"{text[: max_length - 3]}..."
