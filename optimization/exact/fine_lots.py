"""Fine lots: lots so small that a trade may have more of them than an integer program can count.

HiGHS accepts a float as whole within 10^-9, and floats above a few millions are not that exact.
Searches over such lots do not close, and beyond 2^31 HiGHS ignores its time limit and interruption.
Therefore fine lots are no integer variables. The program counts them in steps of many lots, admits
fractional steps, and the answer is rounded to whole lots. The program is then a relaxation: its
bound holds, the rounded plan is verified exactly, and the rounding error (a few lots) is in the
gap.
"""

from optimization.exact.scaled_integers import Integers

COUNTED_BITS = 20  # lots below 2^20 are whole variables


def lots_per_step(widest: Integers) -> Integers:
    """Lots in a step of each security: 1 if lots are counted, a power of two if they are too fine.

    ``widest`` is the largest number of lots in any row of the program, per security.

    >>> import numpy as np
    >>> lots_per_step(np.array([2**20 - 1, 2**20, 10**12]))
    array([      1,       2, 1048576])
    """
    steps = widest.copy()
    steps[:] = [1 << (lots >> COUNTED_BITS).bit_length() for lots in widest.tolist()]
    return steps
