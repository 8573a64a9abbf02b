"""Random problems, each given to the engine and to an independent solver, and the differences.

    python tests/engine_checks/check_engine.py [--problems 10000] [--seed 1] [--processes 1]
                                               [--methods MILP,refused]

Small problems are enumerated in whole numbers; larger ones go to scipy.optimize.milp with a binary
variable for each share count (judge.py). Every plan is also held against every rule and every
option, in whole numbers. The exit code is 1 if anything differs, and the number of each such
problem is printed.
"""

import argparse
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat

from rich.console import Console
from rich.progress import track
from rich.table import Table

from optimization.engine import rebalance
from tests.optimization.support.generated_problems import Problem, hard, problem_of
from tests.optimization.support.judge import judged, of, violations


def verdict(problem: Problem, time_limit_s: float, methods: str) -> tuple[str, str, str]:
    """Return kind, method, and comparison of the engine's answer, for the given methods alone."""
    try:
        answer = rebalance(problem.model, problem.portfolio, problem.options)
    except Exception as error:  # noqa: BLE001 - because every error is a finding
        return problem.kind, "none", f"error: {error!r}"
    certificate = answer.certificate
    method = "refused" if certificate is None else str(certificate.method)
    if methods and method not in methods.split(","):
        return problem.kind, method, "not asked"
    if certificate is not None and (broken := violations(of(problem, answer), answer)):
        return problem.kind, method, f"violation: {'; '.join(broken)}"
    return problem.kind, method, judged(problem, answer, time_limit_s)


def verdicts(
    seed: int, numbers: range, time_limit_s: float, methods: str
) -> list[tuple[str, str, str]]:
    """Judge the answers to several problems."""
    # Hard bands, because the judge knows no others.
    problems = [hard(problem_of(seed, number)) for number in numbers]
    return [verdict(problem, time_limit_s, methods) for problem in problems]


def main() -> None:
    """Check and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--problems", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--methods", default="", help="put no other answers to the judge")
    parser.add_argument("--time-limit-s", type=float, default=20.0, help="of the other solver")
    arguments = parser.parse_args()
    chunks = [
        range(first, min(first + 100, arguments.problems))
        for first in range(0, arguments.problems, 100)
    ]
    begin = time.perf_counter()
    with ProcessPoolExecutor(arguments.processes) as pool:
        limit = repeat(arguments.time_limit_s)
        parts = pool.map(verdicts, repeat(arguments.seed), chunks, limit, repeat(arguments.methods))
        found = [verdict for part in track(parts, total=len(chunks)) for verdict in part]
    found = [verdict for verdict in found if verdict[2] != "not asked"]
    seconds = time.perf_counter() - begin
    wrong = report(found, f"{len(found):,} problems, seed {arguments.seed}, {seconds:.0f} s")
    sys.exit(1 if wrong else 0)


def report(found: list[tuple[str, str, str]], title: str) -> int:
    """Print the table by kind and method, and count the wrong answers."""
    columns = ("agreed", "violation", "difference", "error", "undecided", "disproved")
    table = Table("problems", "method", *columns, title=title)
    counts = Counter((kind, method, said.split(":")[0]) for kind, method, said in found)
    for kind, method in sorted({(kind, method) for kind, method, _ in counts}):
        table.add_row(kind, method, *(f"{counts[kind, method, column]:,}" for column in columns))
    totals = Counter(said.split(":")[0] for _, _, said in found)
    table.add_section()
    table.add_row("all", "", *(f"{totals[column]:,}" for column in columns))
    Console(width=120).print(table)
    print("disproved: an exactly verified plan is better than what the other solver called optimal")
    for at, (kind, method, said) in enumerate(found):
        if said != "agreed":
            print(f"problem {at} ({kind}, {method}): {said}")
    return sum(totals[kind] for kind in ("violation", "difference", "error"))


if __name__ == "__main__":
    main()
