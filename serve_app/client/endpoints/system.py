"""Health of the service, and its state for operators."""

from serve_app.client.call import Call, answer_as, get
from serve_app.client.responses.system import Health, System


def live() -> Call[Health]:
    """Check that the process answers."""
    return Call("GET", "/health/live", answer_as(Health), repeatable=True)


def ready() -> Call[Health]:
    """Check that every part answers; raise ProblemError at once if a part fails."""
    return Call("GET", "/health/ready", answer_as(Health))


def system() -> Call[System]:
    """Read state, version and settings of the service, without the values of secrets."""
    return get(System, "system")
