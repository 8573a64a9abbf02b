"""Tables of outcomes: the positions of one portfolio, or one line for each of many."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from optimization.domain.numbers import EXACT
from optimization.domain.outcome import PortfolioOutcome
from optimization.domain.rules import replace_invisible
from optimization.presentation.answers import (
    Answer,
    ManyAnswers,
    Position,
    find_reason,
    find_status,
    list_answers,
    list_positions,
)
from optimization.presentation.table import Table

POSITION_HEADERS: Final = (
    *("security", "side", "quantity", "price", "amount", "before", "target", "after"),
)
OUTCOME_HEADERS: Final = (
    *("portfolio", "status", "market value", "cash after", "trades", "turnover", "drift", "reason"),
)
MAX_ROWS = 60


def tabulate(shown: PortfolioOutcome | ManyAnswers) -> Table:
    """Tabulate the answers of one call."""
    answers = list_answers(shown)
    if len(answers) == 1 and isinstance(answers[0][1], PortfolioOutcome):
        return _tabulate_positions(answers[0][1])
    rows = [_make_outcome_row(portfolio_id, answer) for portfolio_id, answer in answers[:MAX_ROWS]]
    counts: dict[str, int] = {}
    for _, answer in answers:
        counts[find_status(answer)] = counts.get(find_status(answer), 0) + 1
    counted = ", ".join(f"{count:,} {status}" for status, count in counts.items())
    noun = "portfolio" if len(answers) == 1 else "portfolios"
    above = (f"{len(answers):,} {noun}: {counted}" if answers else "no portfolio",)
    return Table(
        OUTCOME_HEADERS, rows, frozenset({2, 3, 4, 5, 6}), above, _count_rest(answers, "outcomes")
    )


def _tabulate_positions(outcome: PortfolioOutcome) -> Table:
    positions = [*list_positions(outcome)]
    if len(positions) > MAX_ROWS:
        # Trades first, because the rest of the rows is cut off.
        positions = sorted(positions, key=lambda position: not position.traded)
    rows = [_make_position_row(position) for position in positions[:MAX_ROWS]]
    above = (f"{outcome.portfolio_id}: {outcome.status}", *_summarize(outcome))
    below = _count_rest(positions, "positions")
    return Table(POSITION_HEADERS, rows, frozenset({2, 3, 4, 5, 6, 7}), above, below)


def _count_rest(rows: Sequence[object], table: str) -> tuple[str, ...]:
    more = len(rows) - MAX_ROWS
    return (f'and {more:,} more: to_frame("{table}") has all',) if more > 0 else ()


def _summarize(outcome: PortfolioOutcome) -> tuple[str, ...]:
    if outcome.refusal is not None:
        return (replace_invisible(outcome.refusal.detail),)
    certificate = outcome.certificate
    drift = ""
    if certificate:
        drift = f", drift {_format_money(certificate.objective)} ({certificate.proof})"
    cash = f"cash {_format_money(outcome.cash_before)} -> {_format_money(outcome.cash_after)}"
    cost = f", cost {_format_money(outcome.cost)}" if outcome.cost else ""
    outside = [
        f"{security.security_id} ({', '.join(security.held_by)})"
        for security in outcome.outside_band
    ]
    lines = (f"market value {_format_money(outcome.market_value)}, {cash}{cost}{drift}",)
    return (*lines, f"outside its band: {', '.join(outside)}") if outside else lines


def _make_position_row(position: Position) -> tuple[str, ...]:
    security, traded = position.security, position.traded
    return (
        security.security_id,
        position.side,
        _format_shares(traded) if traded else "",
        _format_money(security.price),
        # copy_abs, because abs would round to 28 digits.
        _format_money(position.amount.copy_abs()) if traded else "",
        _format_percent(position.weight_before),
        _format_percent(security.weight),
        _format_percent(position.weight_after),
    )


def _make_outcome_row(portfolio_id: str, answer: Answer) -> tuple[str, ...]:
    reason = replace_invisible(find_reason(answer))
    if not isinstance(answer, PortfolioOutcome):
        return (portfolio_id, find_status(answer), "", "", "", "", "", reason)
    drift = answer.certificate.objective if answer.certificate else None
    return (
        portfolio_id,
        find_status(answer),
        _format_money(answer.market_value),
        _format_money(answer.cash_after),
        f"{len(answer.transactions):,}",
        _format_money(answer.turnover),
        _format_money(drift),
        reason,
    )


def _format_shares(quantity: int | Decimal) -> str:
    if isinstance(quantity, int):
        return f"{abs(quantity):,}"
    return f"{quantity.copy_abs().normalize(EXACT):,f}"


def _format_money(amount: Decimal | None) -> str:
    return "" if amount is None else f"{amount:,.2f}"


def _format_percent(weight: object) -> str:
    return f"{float(weight):.2%}"  # type: ignore[arg-type]
