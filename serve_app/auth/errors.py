"""Errors of callers who are not known, or who lack a right.

Every class passes all its arguments to ``super().__init__``, otherwise it could not be unpickled in
another process.
"""

from typing import Final

INVALID: Final = "the credentials are not valid"


class AuthenticationError(Exception):
    """A request without credentials, or with credentials that are not valid.

    ``detail`` never says which part of a credential is wrong, because that would help to guess it.
    ``caller`` is the owner of a credential that was valid once.
    """

    def __init__(self, detail: str, is_missing: bool = False, caller: str = "") -> None:
        super().__init__(detail, is_missing, caller)
        self.detail = detail
        self.is_missing = is_missing
        self.caller = caller

    def __str__(self) -> str:
        return self.detail


class ScopeMissingError(Exception):
    """A caller without a scope that the operation requires."""

    def __init__(self, caller: str, scopes: tuple[str, ...]) -> None:
        super().__init__(caller, scopes)
        self.caller = caller
        self.scopes = scopes

    def __str__(self) -> str:
        who = self.caller or "a caller without credentials"
        return f"{who} lacks {', '.join(self.scopes)}"


class OutsideLimitsError(Exception):
    """A caller who is limited to models or portfolios, and asks for others."""

    def __init__(self, caller: str, limit: str, detail: str) -> None:
        super().__init__(caller, limit, detail)
        self.caller = caller
        self.limit = limit
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.caller} is limited to some {self.limit}: {self.detail}"


class RightsExceededError(Exception):
    """A caller who would give a key rights that the caller itself lacks."""

    def __init__(self, caller: str, scopes: tuple[str, ...]) -> None:
        super().__init__(caller, scopes)
        self.caller = caller
        self.scopes = scopes

    def __str__(self) -> str:
        return f"{self.caller} lacks {', '.join(self.scopes)}, and cannot give what it lacks"


class RateExceededError(Exception):
    """A caller who sends more requests than the rate limit allows."""

    def __init__(self, caller: str, retry_after_s: float) -> None:
        super().__init__(caller, retry_after_s)
        self.caller = caller
        self.retry_after_s = retry_after_s

    def __str__(self) -> str:
        return f"{self.caller} sends more requests than RATE_LIMIT_PER_MINUTE allows"


class ProviderUnavailableError(Exception):
    """The identity provider does not answer, or not as OpenID Connect requires.

    The service then cannot tell whether a caller's token is valid.
    """

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail

    def __str__(self) -> str:
        return "tokens cannot be checked now, because the identity provider does not answer"


class SignInFailedError(Exception):
    """A sign-in that proves no identity: a wrong key, or an answer that does not fit the attempt.

    ``caller`` is the owner of a key that was valid once.
    """

    def __init__(self, detail: str, caller: str = "") -> None:
        super().__init__(detail, caller)
        self.detail = detail
        self.caller = caller

    def __str__(self) -> str:
        return f"nobody was signed in: {self.detail}"
