"""CallContext: correlation id and remaining time of a call, as they travel to another process."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

from serve_app.deadline import sendable_s, within
from serve_app.observability.correlation import correlation_id


@dataclass(frozen=True, slots=True)
class CallContext:
    """Correlation id of a call, and the seconds until its caller stops waiting; None for no limit.

    The limit is a number of seconds, not a point in time, because clocks of machines differ.
    """

    correlation_id: str = ""
    within_s: float | None = None

    @staticmethod
    def capture() -> "CallContext":
        """Return the context of the call that runs here."""
        return CallContext(correlation_id.get(), sendable_s())

    @contextmanager
    def entered(self) -> Generator[None]:
        """Run the block in this context."""
        token = correlation_id.set(self.correlation_id)
        try:
            with within(self.within_s):
                yield
        finally:
            correlation_id.reset(token)
