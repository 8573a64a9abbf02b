"""Progress of a start: finished steps as lines, and the current step."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

Say = Callable[[str], None]
Step = Callable[[str], AbstractContextManager[object]]
"""Shows a step for as long as its block runs."""


def show_nothing(_: str) -> AbstractContextManager[object]:
    """Show nothing during a step."""
    return nullcontext()
