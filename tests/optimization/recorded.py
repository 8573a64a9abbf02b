"""Recorded answers: digests of the engine's answers to random problems.

    python -m tests.optimization.recorded                  records every answer anew
    python -m tests.optimization.recorded plain 17         prints one problem and its answer

Besides the kinds of generated_problems.py there is a book: many portfolios of one model, answered
together.

The engine gives one problem one answer, to the last digit, on every machine, so a digest of the
complete answer is a specification. It detects that an answer changed, not which one is right; that
answers are right is tested by test_generated.py and tests/engine_checks/check_engine.py. Record
anew only for an intended change of answers (another choice among equal plans, another sentence,
another version of HiGHS), and let check_engine pass first.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from optimization.domain.model import Model
from optimization.domain.numbers import Percent
from optimization.domain.options import RebalanceOptions
from optimization.domain.outcome import PortfolioOutcome
from optimization.domain.portfolio import Portfolio, PricedTarget, price_targets
from optimization.engine import Answer, rebalance, rebalance_all
from optimization.errors import OptimizationError
from tests.optimization.support.generated_problems import (
    KINDS,
    OTHER_KINDS,
    Problem,
    Random,
    parts,
)
from tests.optimization.support.random_problems import random_problem, security_id

FILE = Path(__file__).with_name("recorded.json")
SEED = 11
LENGTH = 8  # hexadecimal digits of a digest
SLOW_S = (
    0.12  # an answer that takes longer is not recorded: its time limit could come near elsewhere
)
A_LINE = 10

COUNTS = {
    "plain": 250,
    "tight": 300,
    "round_numbers": 300,
    "tiny_units": 300,
    "with_options": 450,
    "large": 120,
    "large_in_tiny_units": 25,
    "large_with_options": 40,
    "with_trade_sizes": 250,
}
BOOK, BOOK_SIZE = "book", 720  # more whole holdings than one block of the engine takes
FLOOR = RebalanceOptions(cash_floor=Percent(Decimal(5)))
NAMED: dict[str, Callable[[Random], Problem]] = {
    kind.__name__: kind for kind in (*KINDS, *OTHER_KINDS)
}

Solve = Callable[[Model, Portfolio, RebalanceOptions], PortfolioOutcome]
Digests = dict[str, list[str | None]]  # by kind; None where the answer is not recorded


def problem(kind: str, number: int) -> Problem:
    """Draw the problem of a kind and number, always the same."""
    return NAMED[kind](np.random.default_rng([SEED, number]))


def book() -> tuple[tuple[PricedTarget, ...], list[Portfolio], RebalanceOptions]:
    """Portfolios of one model at one snapshot, whole and fractional, some with other holdings."""
    rng = np.random.default_rng(SEED)
    model, first = random_problem(rng, 6, 20_000, drift=0.03)
    prices = {**first.prices, security_id(6): Decimal("31.07")}
    return price_targets(model, prices), [_account(rng, i, prices) for i in range(BOOK_SIZE)], FLOOR


def _account(rng: Random, number: int, prices: dict[str, Decimal]) -> Portfolio:
    digits = int(rng.choice([0, 0, 0, 0, 2]))
    held = {s: parts(rng, 0, 50 * 10**digits, digits) for s in prices if rng.random() < 0.7}
    return Portfolio(f"{number:024d}", parts(rng, 0, 3_000_000, 2), held, prices)


def together(
    securities: tuple[PricedTarget, ...], portfolios: Sequence[Portfolio], options: RebalanceOptions
) -> list[str]:
    """Digests of the answers to these portfolios in one call."""
    return [short(said(answer)) for answer in rebalance_all(securities, portfolios, options)]


def text(answer: PortfolioOutcome) -> str:
    """Write an answer as text, without the seconds it took."""
    said = answer.certificate
    why = answer.refusal
    outside = [[o.security_id, o.side, f"{o.outside}", *o.held_by] for o in answer.outside_band]
    return json.dumps(
        ({"outside_band": outside} if outside else {})
        | {
            "status": answer.status,
            "market_value": f"{answer.market_value}",
            "before": [f"{quantity}" for quantity in answer.before],
            "after": [f"{quantity}" for quantity in answer.after],
            "others": [security.security_id for security in answer.others],
            "cash": [f"{answer.cash_before}", f"{answer.cash_after}", f"{answer.cost}"],
            "certificate": said
            and [said.proof, said.method, f"{said.objective}", f"{said.lower_bound}"],
            "binding": said
            and [[binding.constraint, f"{binding.slack}"] for binding in said.binding],
            "refusal": why and [why.code, why.detail, why.members],
        },
        sort_keys=True,
    )


def answered(kind: str, number: int, solve: Solve = rebalance) -> str:
    """Answer a problem, as text; an error by its representation."""
    asked = problem(kind, number)
    try:
        return said(solve(asked.model, asked.portfolio, asked.options))
    except OptimizationError as error:
        return repr(error)


def digest(kind: str, number: int, solve: Solve = rebalance) -> str:
    """Digest of the answer to a problem."""
    return short(answered(kind, number, solve))


def short(answer: str) -> str:
    """Digest of the text of an answer."""
    return sha256(answer.encode()).hexdigest()[:LENGTH]


def said(answer: Answer | OptimizationError) -> str:
    """Text of an answer, or of an error."""
    return text(answer) if isinstance(answer, PortfolioOutcome) else repr(answer)


def recorded() -> Digests:
    """Read the recorded digests."""
    return json.loads(FILE.read_text())


def differences(kind: str, digests: list[str | None]) -> Iterator[str]:
    """Yield the problems whose answers differ from the recorded ones, with the answers."""
    for number, known in enumerate(digests):
        if known is not None and digest(kind, number) != known:
            yield f"{kind} {number} is answered otherwise than recorded: {answered(kind, number)}"


def record() -> None:
    """Write the file; a problem is left out for good if its first answer was slow."""
    before = recorded() if FILE.exists() else {}
    digests: Digests = {}
    for kind, count in COUNTS.items():
        digest(kind, 0)  # programs are compiled at their first use
        known = before.get(kind, [])
        digests[kind] = [digest(kind, i) if text else None for i, text in enumerate(known)]
        digests[kind] += [_quick(kind, number) for number in range(len(known), count)]
    digests[BOOK] = [*together(*book())]
    FILE.write_text(_lines(digests))


def _quick(kind: str, number: int) -> str | None:
    begin = time.perf_counter()
    found = digest(kind, number)
    return found if time.perf_counter() - begin < SLOW_S else None


def _lines(digests: Digests) -> str:
    blocks: list[str] = []
    for kind, of_kind in digests.items():
        said = [json.dumps(digest) for digest in of_kind]
        lines = [", ".join(said[at : at + A_LINE]) for at in range(0, len(said), A_LINE)]
        blocks.append(f'  "{kind}": [\n    ' + ",\n    ".join(lines) + "\n  ]")
    return "{\n" + ",\n".join(blocks) + "\n}\n"


def show(kind: str, number: int) -> None:
    """Print one problem and its answer."""
    answer: dict[str, Any] = json.loads(answered(kind, number))
    sys.stdout.write(f"{problem(kind, number)}\n{json.dumps(answer, indent=2)}\n")


if __name__ == "__main__":
    show(sys.argv[1], int(sys.argv[2])) if sys.argv[1:] else record()
