"""Fine lots: those of which a trade may have more than an integer program can count.

HiGHS takes a float for whole within 10^-9, and floats above a few millions are not that exact. Searches over such
lots do not close, and beyond 2^31 HiGHS heeds neither its time limit nor an interruption. So the lots of such a
security are no whole variables of the program. They are counted in steps of many lots, the steps may be fractions,
and the solver's answer is rounded to whole lots afterwards. The program is then a relaxation: its bound holds, the
rounded plan is verified exactly like any other, and what it may miss the optimum by (a few lots) is in its gap.
"""

from optimization.exact.scaled_integers import Integers

COUNTED_BITS = 20  # lots below 2^20 are whole variables


def lots_per_step(widest: Integers) -> Integers:
    """Lots in a step of each security: 1 where lots are counted, a power of two where they are too fine.

    ``widest`` is the most lots that the program says anything of, for each security.

    >>> import numpy as np
    >>> lots_per_step(np.array([2**20 - 1, 2**20, 10**12]))
    array([      1,       2, 1048576])
    """
    steps = widest.copy()
    steps[:] = [1 << (lots >> COUNTED_BITS).bit_length() for lots in widest.tolist()]
    return steps
