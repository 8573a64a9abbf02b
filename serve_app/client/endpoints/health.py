"""Health of the service."""

from serve_app.client.call import (
    Call,
    answer_as,
)
from serve_app.client.models import (
    Health,
)


def live() -> Call[Health]:
    """Check that the process answers."""
    return Call("GET", "/health/live", answer_as(Health), repeatable=True)


def ready() -> Call[Health]:
    """Check that every part answers; a part that does not is a ProblemError at once."""
    return Call("GET", "/health/ready", answer_as(Health))
