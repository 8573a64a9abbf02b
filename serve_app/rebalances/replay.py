"""Replay: solve a stored rebalance again and compare the outcomes.

Every outcome holds its complete input, so both answers must agree.
"""

from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from optimization import (
    EXACT,
    NO_OVERRIDES,
    Answer,
    Portfolio,
    PortfolioOutcome,
    Proof,
    RebalanceOptions,
    Status,
    rebalance_all,
)
from optimization.errors import NoSolutionInTimeError
from storage.rebalances.rebalance import Rebalance
from storage.rebalances.rebalance_store import RebalanceStore

OUTCOME_BATCH_SIZE = 200  # outcomes in memory
AGREE, DIFFER = "agree", "differ"
WITHOUT_INPUT, BY_TIME = "failed, without input", "ended by time"


@dataclass(frozen=True, slots=True)
class Comparison:
    """A portfolio solved again, and by field name the stored and the new values that differ."""

    portfolio_id: str
    verdict: str
    differences: Mapping[str, tuple[object, object]]


async def replay_rebalance(
    rebalance: Rebalance, rebalances: RebalanceStore, time_limit_s: float
) -> AsyncIterator[Comparison]:
    """Compare every stored outcome with the engine's present answer, one page at a time."""
    options = rebalance.options.apply_to(RebalanceOptions(time_limit_s=time_limit_s))
    for offset in range(0, rebalance.number_of_portfolios, OUTCOME_BATCH_SIZE):
        page = await rebalances.list_outcomes(rebalance, offset, OUTCOME_BATCH_SIZE)
        for comparison in _compare_page(rebalance, page, options):
            yield comparison


def format_counts(verdicts: Counter[str]) -> str:
    """Format the number of portfolios by verdict, in one line."""
    order = (AGREE, DIFFER, WITHOUT_INPUT, BY_TIME)
    return ", ".join(f"{verdicts[verdict]:,} {verdict}" for verdict in order if verdicts[verdict])


def _compare_page(
    rebalance: Rebalance, page: Sequence[PortfolioOutcome], options: RebalanceOptions
) -> Iterator[Comparison]:
    # A search that ran out of time is not repeated, because its result depends on the machine.
    solvable = [
        outcome
        for outcome in page
        if outcome.cash_before is not None and not _is_ended_by_time(outcome)
    ]
    answers = _solve_again(rebalance, solvable, options)
    for outcome in page:
        if outcome.cash_before is None:
            yield Comparison(outcome.portfolio_id, WITHOUT_INPUT, {})
        elif _is_ended_by_time(outcome):
            yield Comparison(outcome.portfolio_id, BY_TIME, {})
        else:
            yield _compare(outcome, answers[outcome.portfolio_id])


def _solve_again(
    rebalance: Rebalance, outcomes: Sequence[PortfolioOutcome], options: RebalanceOptions
) -> Mapping[str, Answer]:
    """Solve the stored inputs again; return the answers by portfolio id."""
    own = rebalance.overrides_by_portfolio
    alike: dict[RebalanceOptions, list[PortfolioOutcome]] = defaultdict(list)
    for outcome in outcomes:
        portfolio_options = own.get(outcome.portfolio_id, NO_OVERRIDES).apply_to(options)
        alike[portfolio_options].append(outcome)
    answers: dict[str, Answer] = {}
    for portfolio_options, group in alike.items():
        portfolios = _rebuild_portfolios(rebalance, group, portfolio_options.cash_flow)
        ids = [portfolio.portfolio_id for portfolio in portfolios]
        answers.update(
            zip(
                ids, rebalance_all(rebalance.securities, portfolios, portfolio_options), strict=True
            )
        )
    return answers


def _rebuild_portfolios(
    rebalance: Rebalance, outcomes: Sequence[PortfolioOutcome], cash_flow: Decimal
) -> list[Portfolio]:
    """Rebuild the portfolios as they were before; a rebalance has one price for each security."""
    columns = [(*rebalance.securities, *outcome.others) for outcome in outcomes]
    prices = {security.security_id: security.price for row in columns for security in row}
    portfolios: list[Portfolio] = []
    for outcome, row in zip(outcomes, columns, strict=True):
        ids = [security.security_id for security in row]
        holdings = dict(zip(ids, map(Decimal, outcome.before), strict=True))
        assert outcome.cash_before is not None
        cash = EXACT.subtract(outcome.cash_before, cash_flow)
        portfolios.append(Portfolio(outcome.portfolio_id, cash, holdings, prices))
    return portfolios


def _compare(outcome: PortfolioOutcome, answer: Answer) -> Comparison:
    if isinstance(answer, NoSolutionInTimeError) or _is_ended_by_time(answer):
        return Comparison(outcome.portfolio_id, BY_TIME, {})
    new = _select_comparable_fields(answer)
    differences = {
        name: (value, new[name])
        for name, value in _select_comparable_fields(outcome).items()
        if value != new[name]
    }
    return Comparison(outcome.portfolio_id, DIFFER if differences else AGREE, differences)


def _select_comparable_fields(answer: Answer) -> dict[str, object]:
    """Select the fields of an answer that must agree, by name."""
    if not isinstance(answer, PortfolioOutcome):
        names = ("holdings", "cash", "objective", "lower_bound")
        return {"status": f"{Status.FAILED}: {answer}", **dict.fromkeys(names)}
    proof = answer.certificate
    return {
        "status": answer.status,
        "holdings": answer.after,
        "cash": answer.cash_after,
        "objective": proof and proof.objective,
        "lower_bound": proof and proof.lower_bound,
    }


def _is_ended_by_time(answer: Answer) -> bool:
    proof = answer.certificate if isinstance(answer, PortfolioOutcome) else None
    return proof is not None and proof.proof is Proof.FEASIBLE_TIME_LIMIT
