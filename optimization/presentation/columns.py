"""Columns of outcomes for a data frame: positions, trades, or one line for each portfolio."""

from collections.abc import Callable, Iterator
from decimal import Decimal
from fractions import Fraction
from typing import Final

from optimization.domain.outcome import PortfolioOutcome
from optimization.errors import FrameError
from optimization.presentation.answers import (
    Answer,
    ManyAnswers,
    Position,
    find_reason,
    find_status,
    list_answers,
    list_positions,
)

Cell = str | int | float | None
Columns = dict[str, list[Cell]]

TEXT: Final = frozenset({"portfolio", "security", "side", "status", "proof", "reason"})
"""Columns of text; the others are numbers."""

# Floats, because data frames have no column type for Decimal and treat it as any object.
_POSITIONS: Final[dict[str, Callable[[Position], Cell]]] = {
    "security": lambda position: position.security.security_id,
    "quantity_before": lambda position: _to_number(position.before),
    "quantity_after": lambda position: _to_number(position.after),
    "traded": lambda position: _to_number(position.traded),
    "price": lambda position: float(position.security.price),
    "amount": lambda position: float(position.amount),
    "weight_before": lambda position: float(position.weight_before),
    "target": lambda position: float(position.security.weight),
    "low_drift": lambda position: float(position.security.band.low),
    "high_drift": lambda position: float(position.security.band.high),
    "weight_after": lambda position: float(position.weight_after),
}
_TRADES: Final[dict[str, Callable[[Position], Cell]]] = {
    "security": _POSITIONS["security"],
    "side": lambda position: position.side,
    "quantity": lambda position: _to_number(abs(position.traded)),
    "price": _POSITIONS["price"],
    "amount": lambda position: float(abs(position.amount)),
    "weight_before": _POSITIONS["weight_before"],
    "target": _POSITIONS["target"],
    "weight_after": _POSITIONS["weight_after"],
}


def make_columns(shown: PortfolioOutcome | ManyAnswers, table: str) -> Columns:
    """Make the columns of a table: ``"positions"``, ``"trades"`` or ``"outcomes"``.

    A portfolio without a plan has no position and no trade; the outcomes name its reason.

    >>> from optimization import Model, Portfolio, rebalance
    >>> answer = rebalance(Model({"VTI": 1}, band=1), Portfolio("ira", 100, {}, {"VTI": 30}))
    >>> make_columns(answer, "trades")["quantity"], make_columns(answer, "outcomes")["status"]
    ([3], ['REBALANCED'])
    """
    answers = list_answers(shown)
    match table:
        case "positions":
            return _make_position_columns(_POSITIONS, answers, traded_alone=False)
        case "trades":
            return _make_position_columns(_TRADES, answers, traded_alone=True)
        case "outcomes":
            return _make_outcome_columns(answers)
        case _:
            raise FrameError(f"no table {table!r}: use 'positions', 'trades' or 'outcomes'")


def _make_position_columns(
    cells: dict[str, Callable[[Position], Cell]],
    answers: list[tuple[str, Answer]],
    *,
    traded_alone: bool,
) -> Columns:
    rows = [
        (portfolio_id, position)
        for portfolio_id, answer in answers
        for position in _list_planned_positions(answer)
        if position.traded or not traded_alone
    ]
    columns: Columns = {"portfolio": [portfolio_id for portfolio_id, _ in rows]}
    return columns | {
        name: [cell_of(position) for _, position in rows] for name, cell_of in cells.items()
    }


def _list_planned_positions(answer: Answer) -> Iterator[Position]:
    if isinstance(answer, PortfolioOutcome) and answer.refusal is None:
        yield from list_positions(answer)


def _make_outcome_columns(answers: list[tuple[str, Answer]]) -> Columns:
    rows = [_make_outcome_cells(portfolio_id, answer) for portfolio_id, answer in answers]
    # Names from an empty row, because a frame without rows has columns too.
    names = _make_outcome_cells("", FrameError(""))
    return {name: [row[name] for row in rows] for name in names}


def _make_outcome_cells(portfolio_id: str, answer: Answer) -> dict[str, Cell]:
    outcome = answer if isinstance(answer, PortfolioOutcome) else None
    certificate = outcome.certificate if outcome else None
    return {
        "portfolio": portfolio_id,
        "status": find_status(answer),
        "market_value": _to_float(outcome.market_value) if outcome else None,
        "cash_before": _to_float(outcome.cash_before) if outcome else None,
        "cash_after": _to_float(outcome.cash_after) if outcome else None,
        "trades": len(outcome.transactions) if outcome else 0,
        "turnover": _to_float(outcome.turnover) if outcome else None,
        "cost": _to_float(outcome.cost) if outcome else None,
        "drift": _to_float(certificate.objective) if certificate else None,
        "lower_bound": _to_float(certificate.lower_bound) if certificate else None,
        "proof": str(certificate.proof) if certificate else "",
        "reason": find_reason(answer),
    }


def _to_float(value: Decimal | None) -> float | None:
    return None if value is None else float(value)


def _to_number(value: int | Decimal | Fraction) -> int | float:
    return int(value) if value == int(value) else float(value)
