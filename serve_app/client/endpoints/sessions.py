"""Who is signed in."""

from serve_app.client.call import Call, answer_as
from serve_app.client.responses.sessions import SessionState


def read_session() -> Call[SessionState]:
    """Read as whom the service knows the caller, with which scopes, and how one signs in."""
    return Call("GET", "/session", answer_as(SessionState), repeatable=True)
