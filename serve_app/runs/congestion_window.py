"""Congestion window: the load of a run, adapted to what database and upstreams bear."""


class CongestionWindow:
    """Limit on concurrent tasks by additive increase and multiplicative decrease.

    A whole window of successes adds one task, a failure halves the window. By this rule of TCP's
    congestion control (Chiu and Jain, 1989) users of one service converge to a fair share without
    knowing of each other.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._size = float(most)

    @property
    def size(self) -> int:
        """Number of tasks that may run at a time."""
        return int(self._size)

    def widen(self) -> None:
        """Record a success: a whole window of successes makes room for one more task."""
        self._size = min(float(self._most), self._size + 1 / self._size)

    def narrow(self) -> None:
        """Record a refused or late call: halve the window."""
        self._size = max(1.0, self._size / 2)
