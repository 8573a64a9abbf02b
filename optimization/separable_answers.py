"""Separable answers: portfolios of a block whose separable optimum keeps every row, as outcomes."""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from optimization.domain.certificate import Certificate, Method, Proof
from optimization.exact.binding_rows import BindingRows
from optimization.exact.restrictions import keeps_outside
from optimization.exact.scaled_integers import parts_to_decimal, to_decimal
from optimization.explain.binding_constraints import find_binding_rows
from optimization.search import Answer, make_answer
from optimization.solvers.cash_constrained import Plan
from optimization.solvers.relaxation import SeparableRelaxation
from optimization.time_budget import TimeBudget


@dataclass(frozen=True, slots=True, eq=False)
class SeparableAnswers:
    """Answers of the portfolios of a block whose separable optimum keeps every row."""

    relaxed: SeparableRelaxation
    lots: list[list[int]]  # of every row
    drifts: list[int]  # of every row, units / denominator
    cash_after: list[int]  # of every row, units
    is_kept: list[bool] | None  # whether restrictions keep a row outside a band for good
    binding: BindingRows

    @classmethod
    def of(cls, relaxed: SeparableRelaxation, fast: NDArray[np.bool_]) -> Self:
        """Compute what the answers of the ``fast`` rows need, for all of them at once."""
        block, separable, options = relaxed.block, relaxed.separable, relaxed.options
        bound = np.flatnonzero(fast & separable.clipped)
        binding = BindingRows.none()
        if len(bound):
            rows = bound.tolist()
            some = block.select_rows(rows), relaxed.bands.select_rows(rows), separable.lots[rows]
            found = find_binding_rows(*some, relaxed.assembled.securities, options)
            binding = replace(found, rows=bound[found.rows])
        kept = keeps_outside(block, separable.lots).tolist() if options.restricts else None
        cash_after = (block.market_value - separable.invested).tolist()
        lots: list[list[int]] = separable.lots.tolist()
        return cls(relaxed, lots, relaxed.drifts, cash_after, kept, binding)

    def of_row(self, row: int) -> Answer:
        """Answer one portfolio."""
        relaxed, block = self.relaxed, self.relaxed.block
        drift = parts_to_decimal(self.drifts[row], block.denominator, block.decimals)
        binding = self.binding.of_row(row)
        certificate = Certificate(Proof.OPTIMAL, Method.SEPARABLE, drift, drift, binding)
        if self.is_kept and self.is_kept[row]:
            plan = Plan(relaxed.separable.lots[row], certificate)
            return make_answer(relaxed, row, relaxed.coupled_problem(row), plan, TimeBudget())
        cash_after = to_decimal(self.cash_after[row], block.decimals)
        return relaxed.assembled.make_plan(row, self.lots[row], cash_after, certificate)
