"""Random problems, each put to the engine and to an independent answer; counts what differs.

    python benchmarks/check_engine.py [--problems 10000] [--seed 1] [--processes 1]

Small problems are enumerated in whole numbers; larger ones go to scipy.optimize.milp on |.|, within its
tolerance. Every plan is also held against every rule and every option, in fractions. Ends with 1 where
anything differs, and prints the seed of each such problem.
"""

import argparse
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from fractions import Fraction
from itertools import repeat

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from optimization.certificate import Method
from optimization.engine import rebalance
from optimization.errors import OptimizationError
from optimization.result import Rebalance, Status
from tests.optimization.generated import KINDS, Problem
from tests.optimization.judge import Best, UndecidedError, best, violations

CENT = Fraction(1, 100)
SHARES = {
    "plain": 18,
    "tight": 18,
    "round_numbers": 12,
    "with_options": 28,
    "large": 18,
}  # others 6
LIST = 20


def problem_of(seed: int, number: int) -> Problem:
    """The same problem for the same seed and number, whoever asks."""
    rng = np.random.default_rng([seed, number])
    weights = [SHARES.get(kind.__name__, 6) for kind in KINDS]
    kind = KINDS[int(rng.choice(len(KINDS), p=np.array(weights) / sum(weights)))]
    return kind(rng)


def verdict(problem: Problem) -> tuple[str, str, str]:
    """Kind, method, and how the engine's answer compares."""
    try:
        answer = rebalance(problem.model, problem.portfolio, problem.options)
    except OptimizationError as error:
        return problem.kind, "none", f"error: {error}"
    method = "refused" if answer.certificate is None else str(answer.certificate.method)
    if answer.status is not Status.INFEASIBLE and (broken := violations(problem, answer)):
        return problem.kind, method, f"violation: {'; '.join(broken)}"
    try:
        return problem.kind, method, compared(answer, best(problem))
    except UndecidedError:
        return problem.kind, method, "undecided"


def compared(answer: Rebalance, independent: Best) -> str:
    """The engine's objective against the independent one."""
    if answer.certificate is None:
        return "agreed" if independent.objective is None else "difference: refused, a plan exists"
    objective = Fraction(answer.certificate.objective)
    if independent.objective is None:
        # A verified plan disproves an infeasibility that floats claim.
        return "difference: a plan, none exists" if independent.exact else "disproved"
    gap = objective - independent.objective
    allowed = CENT if answer.certificate.method is Method.MILP else Fraction(0)
    tolerance = Fraction(0) if independent.exact else CENT
    if gap > allowed + tolerance or (independent.exact and gap < 0):
        return f"difference: {float(gap):.6f}"
    return "disproved" if gap < -tolerance else "agreed"


def verdicts(seed: int, numbers: range) -> list[tuple[str, str, str]]:
    """Those of several problems."""
    return [verdict(problem_of(seed, number)) for number in numbers]


def main() -> None:
    """Check and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--problems", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=1)
    arguments = parser.parse_args()
    chunks = [
        range(first, min(first + 100, arguments.problems))
        for first in range(0, arguments.problems, 100)
    ]
    begin = time.perf_counter()
    with ProcessPoolExecutor(arguments.processes) as pool:
        parts = pool.map(verdicts, repeat(arguments.seed), chunks)
        found = [one for part in track(parts, total=len(chunks)) for one in part]
    seconds = time.perf_counter() - begin
    wrong = report(found, f"{len(found):,} problems, seed {arguments.seed}, {seconds:.0f} s")
    sys.exit(1 if wrong else 0)


def report(found: list[tuple[str, str, str]], title: str) -> int:
    """The table by kind and method; how many answers are wrong."""
    columns = ("agreed", "violation", "difference", "error", "undecided", "disproved")
    table = Table("problems", "method", *columns, title=title)
    counts = Counter((kind, method, said.split(":")[0]) for kind, method, said in found)
    for kind, method in sorted({(kind, method) for kind, method, _ in counts}):
        table.add_row(kind, method, *(f"{counts[kind, method, one]:,}" for one in columns))
    totals = Counter(said.split(":")[0] for _, _, said in found)
    table.add_section()
    table.add_row("all", "", *(f"{totals[one]:,}" for one in columns))
    Console(width=120).print(table)
    print("disproved: an exactly verified plan is better than what the other solver called optimal")
    wrong = [(at, *one) for at, one in enumerate(found) if one[2].split(":")[0] in columns[1:4]]
    for at, kind, method, said in wrong[:LIST]:
        print(f"problem {at} ({kind}, {method}): {said}")
    return len(wrong)


if __name__ == "__main__":
    main()
