"""Window: how much is under way at a time, by what database and upstreams bear."""


class CongestionWindow:
    """One more for every success, half as many after a failure: additive increase, multiplicative decrease.

    The rule of TCP's congestion control (Chiu and Jain, 1989): whoever shares a service with others by
    it comes to a fair share without knowing of them.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._size = float(most)

    @property
    def size(self) -> int:
        """So many may be under way."""
        return int(self._size)

    def widen(self) -> None:
        """Something went well: a whole window of successes makes room for one more."""
        self._size = min(float(self._most), self._size + 1 / self._size)

    def narrow(self) -> None:
        """Something was refused or came too late."""
        self._size = max(1.0, self._size / 2)
