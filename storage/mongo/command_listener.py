"""Commands to the database as the driver reports them, told to whoever counts them."""

from collections.abc import Callable

from pymongo.monitoring import (
    CommandFailedEvent,
    CommandListener,
    CommandStartedEvent,
    CommandSucceededEvent,
)

CallObserver = Callable[[str, str, float], None]
"""Takes the command's name, "answered" or "failed", and the seconds it took."""


class CommandWatch(CommandListener):
    """Called by the driver in the thread, or on the event loop, that sent the command."""

    def __init__(self, told: CallObserver) -> None:
        self._told = told

    def started(self, event: CommandStartedEvent) -> None:
        """Nothing is known of it yet."""

    def succeeded(self, event: CommandSucceededEvent) -> None:
        """The database answered."""
        self._told(event.command_name, "answered", event.duration_micros / 1e6)

    def failed(self, event: CommandFailedEvent) -> None:
        """It refused, or did not answer in time."""
        self._told(event.command_name, "failed", event.duration_micros / 1e6)
