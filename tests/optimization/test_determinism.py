"""Answers of a book under two hash seeds, cut into blocks of any size."""

import os
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

from optimization import rebalance_all, rebalance_block
from tests.optimization.recorded import FLOOR, book
from tests.optimization.support.columns import block_of, complete_text

ROOT = Path(__file__).parents[2]
SIZES = 180, 53, 7
TIME_LIMIT_S = 120


def digests() -> list[str]:
    """Digests of the answers of a part of a book: in blocks of several sizes, and as objects."""
    securities, portfolios, _ = book()
    portfolios, found = portfolios[: SIZES[0]], list[str]()
    block = block_of(securities, portfolios)
    for size in SIZES:
        parts = [block.select(slice(at, at + size)) for at in range(0, len(block), size)]
        blocks = [rebalance_block(securities, part, FLOOR) for part in parts]
        answers = [answer for outcome in blocks for answer in outcome.outcomes()]
        found.append(sha256("\n".join(map(complete_text, answers)).encode()).hexdigest())
    answers = rebalance_all(securities, [*reversed(portfolios)], FLOOR)
    text = "\n".join(complete_text(answer) for answer in reversed(answers))
    return [*found, sha256(text.encode()).hexdigest()]


def test_answers_depend_neither_on_the_hash_seed_nor_on_the_size_of_blocks():
    code = f"from {__name__} import digests; print(*digests())"
    found: list[str] = []
    for seed in ("1", "2"):
        run = subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=TIME_LIMIT_S,
            check=True,
        )
        *blocks, objects = run.stdout.split()
        assert len(set(blocks)) == 1
        found += [blocks[0], objects]
    assert found[:2] == found[2:]
