"""Listener that passes the commands which the driver reports on to a callback."""

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
    """Listener that the driver calls in the thread, or on the event loop, of the command."""

    def __init__(self, observer: CallObserver) -> None:
        self._observer = observer

    def started(self, event: CommandStartedEvent) -> None:
        """Do nothing, because the duration is known only at the end."""

    def succeeded(self, event: CommandSucceededEvent) -> None:
        """Report a command that the database answered."""
        self._observer(event.command_name, "answered", event.duration_micros / 1e6)

    def failed(self, event: CommandFailedEvent) -> None:
        """Report a command that was refused or timed out."""
        self._observer(event.command_name, "failed", event.duration_micros / 1e6)
