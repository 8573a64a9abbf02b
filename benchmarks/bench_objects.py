"""The object path of the engine beside the same path at another revision of this repository.

    python benchmarks/bench_objects.py [--against 0e06b63] [--sizes 10 50 200] [--turns 9]

Portfolio objects go into rebalance_all, and outcome objects come out. *unread*: nothing is read
from them; *as JSON*: drifts, trades, turnover, amounts and certificate of each as a JSON text;
*as text*: the repr of each. *plain*: whole holdings of the model; *others*: each portfolio also
holds three securities outside the model; *mixed*: a tenth has such holdings, a twentieth fractions
of a share. Both revisions get the same portfolios, made anew for each turn, in processes of their
own that take turns. Times are processor times of one process: the best of the turns.
"""

import argparse
import importlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path
from typing import Any, Self

import numpy as np
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parents[1]
COUNT = 250  # portfolios of one call
BOOKS = {"plain": (0.0, 0.0), "others": (1.0, 0.0), "mixed": (0.1, 0.05)}
READINGS = ("unread", "as JSON", "as text")


class Engine:
    """The names that this benchmark needs, in either layout of the package."""

    def __init__(self) -> None:
        old = (Path("optimization") / "result.py").exists()
        domain = "optimization" if old else "optimization.domain"
        priced = "optimization.result" if old else "optimization.domain.portfolio"
        self.target: Any = getattr(
            importlib.import_module(priced), "Security" if old else "PricedTarget"
        )
        self.band: Any = importlib.import_module(f"{domain}.model").DriftBand
        self.portfolio: Any = importlib.import_module(f"{domain}.portfolio").Portfolio
        self.rebalance_all: Any = importlib.import_module("optimization.engine").rebalance_all


def model(engine: Engine, rng: np.random.Generator, size: int) -> tuple[Any, ...]:
    """A model of ``size`` securities whose targets sum to 0.95, at one price snapshot."""
    steps = 190 if size <= 190 else 1_900
    weights = 1 + rng.multinomial(steps - size, rng.dirichlet(np.full(size, 4.0)))
    prices = np.clip(rng.lognormal(np.log(80), 0.8, size), 2, 4000)
    band = engine.band(Decimal("0.02"), Decimal("0.02"))
    step = Decimal("0.95") / steps
    return tuple(
        engine.target(f"{at:024d}", Decimal(f"{price:.2f}"), int(weight) * step, band)
        for at, (price, weight) in enumerate(zip(prices, weights, strict=True))
    )


def book(
    engine: Engine, rng: np.random.Generator, securities: Sequence[Any], kind: str
) -> list[Any]:
    """Accounts of 0.5 to 5 million, up to a fifth away from their targets."""
    with_others, with_fractions = BOOKS[kind]
    outside = {f"OTHER{at:02}".ljust(24, "X"): Decimal(at) for at in range(1, 41)}
    prices = {security.security_id: security.price for security in securities} | outside
    portfolios: list[Any] = []
    for at in range(COUNT):
        worth = float(rng.uniform(0.5e6, 5e6))
        away = rng.uniform(0.8, 1.2, len(securities))
        holdings = {
            security.security_id: Decimal(
                int(worth * float(security.weight) / float(security.price) * factor)
            )
            for security, factor in zip(securities, away, strict=True)
        }
        if rng.random() < with_others:
            ids = rng.choice(list(outside), 3, replace=False)
            holdings |= {str(security_id): Decimal(int(rng.integers(1, 90))) for security_id in ids}
        if rng.random() < with_fractions:
            holdings = {
                security_id: shares + Decimal("0.25") for security_id, shares in holdings.items()
            }
        invested = sum(
            (shares * prices[security_id] for security_id, shares in holdings.items()), Decimal(0)
        )
        portfolios.append(
            engine.portfolio(f"{at:024d}", Decimal(f"{worth:.2f}") - invested, holdings, prices)
        )
    return portfolios


def write(outcome: Any) -> str:
    """Write an outcome as JSON."""
    certificate = outcome.certificate
    return json.dumps(
        {
            "portfolio": outcome.portfolio_id,
            "status": outcome.status,
            "amounts": [
                str(value)
                for value in (
                    outcome.market_value,
                    outcome.cash_before,
                    outcome.cash_after,
                    outcome.turnover,
                    certificate.objective,
                    certificate.gap,
                )
            ],
            "transactions": [
                (transaction.side, transaction.security_id, str(transaction.quantity))
                for transaction in outcome.transactions
            ],
            "drifts": [
                (
                    drift.security.security_id,
                    str(drift.original_quantity),
                    str(drift.adjusted_quantity),
                    str(drift.security.weight),
                    str(drift.actual),
                )
                for drift in outcome.drifts
            ],
            "binding": [(limit.constraint, str(limit.slack)) for limit in certificate.binding],
        }
    )


def read(outcomes: Sequence[Any], reading: str) -> None:
    """Read the outcomes in the form of this name."""
    readers: dict[str, Callable[[Any], object]] = {"as JSON": write, "as text": repr}
    if reading in readers:
        for outcome in outcomes:
            readers[reading](outcome)


def serve_turns(size: int, seed: int) -> None:
    """Take a turn for each line of standard input, and print the microseconds for a portfolio."""
    engine = Engine()
    securities = model(engine, np.random.default_rng([seed, size]), size)
    for line in sys.stdin:
        kind, reading = json.loads(line)
        portfolios = book(engine, np.random.default_rng([seed, size, 1]), securities, kind)
        begin = time.process_time()
        read(engine.rebalance_all(securities, portfolios), reading)
        print(1e6 * (time.process_time() - begin) / COUNT, flush=True)


class Contender:
    """A process that takes turns on one revision."""

    def __init__(self, tree: Path, arguments: Sequence[str]) -> None:
        command = [sys.executable, str(Path(__file__).resolve()), "--turns", "0", *arguments]
        self._process = subprocess.Popen(
            command,
            cwd=tree,
            env={"PYTHONPATH": str(tree), "PYTHONHASHSEED": "0"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def take_turn(self, kind: str, reading: str) -> float:
        """Measure the microseconds of a turn for a portfolio."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([kind, reading]) + "\n")
        self._process.stdin.flush()
        return float(self._process.stdout.readline())


def check_out(revision: str, stack: ExitStack) -> Path:
    """Check out the revision in a folder of its own until the stack is closed."""
    tree = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "tree"
    git = ["git", "-C", str(ROOT), "worktree"]
    subprocess.run([*git, "add", "--detach", str(tree), revision], check=True, capture_output=True)
    stack.callback(subprocess.run, [*git, "remove", "--force", str(tree)], check=True)
    return tree


def main() -> None:
    """Measure both revisions, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--against", default="0e06b63")
    parser.add_argument("--sizes", type=int, nargs="+", default=[10, 50, 200])
    parser.add_argument("--turns", type=int, default=9)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    if not arguments.turns:
        serve_turns(arguments.sizes[0], arguments.seed)
        return
    title = f"rebalance_all: us of a processor for a portfolio, here and at {arguments.against}"
    table = Table("N", "book", "result", "here, us", "there, us", "there / here", title=title)
    with ExitStack() as stack:
        trees = ROOT, check_out(arguments.against, stack)
        for size in arguments.sizes:
            own = ["--sizes", str(size), "--seed", str(arguments.seed)]
            with Contender(trees[0], own) as here, Contender(trees[1], own) as there:
                for kind in BOOKS:
                    for reading in READINGS:
                        pairs = [
                            (here.take_turn(kind, reading), there.take_turn(kind, reading))
                            for _ in range(arguments.turns)
                        ]
                        ours, theirs = (min(times) for times in zip(*pairs, strict=True))
                        cells = f"{ours:.1f}", f"{theirs:.1f}", f"{theirs / ours:.2f}"
                        table.add_row(str(size), kind, reading, *cells)
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
