"""Errors of requests and of a portfolio's data that no lower layer raises.

Every class passes all its arguments to ``super().__init__``, otherwise it could not be unpickled in
another process.
"""

from collections.abc import Mapping

from optimization.errors import RuleError, format_value


class PreconditionFailedError(Exception):
    """A change whose If-Match names another version than the stored one."""

    def __init__(self, if_match: str, version: int) -> None:
        super().__init__(if_match, version)
        self.if_match = if_match
        self.version = version

    def __str__(self) -> str:
        if self.if_match.startswith("W/"):
            return f"a weak ETag never matches If-Match; version {self.version} is stored"
        return f"If-Match does not match version {self.version}, which is stored"


class PreconditionRequiredError(Exception):
    """A change without If-Match, which this service requires."""

    def __str__(self) -> str:
        return "a change requires If-Match with the ETag of the last read"


class NotAcceptableError(Exception):
    """The caller accepts none of the media types that the route offers."""

    def __init__(self, accept: str, offered: tuple[str, ...]) -> None:
        super().__init__(accept, offered)
        self.accept = accept
        self.offered = offered

    def __str__(self) -> str:
        return f"the answer is available as {', '.join(self.offered)}"


class HostNotAllowedError(Exception):
    """A request by a host name that is not the service's."""

    def __init__(self, host: str) -> None:
        super().__init__(host)
        self.host = host

    def __str__(self) -> str:
        return f"Host is {format_value(self.host)}, which is no name of this service"


class SessionInsecureError(Exception):
    """A sign-in whose cookie would travel in the clear."""

    def __init__(self, host: str) -> None:
        super().__init__(host)
        self.host = host

    def __str__(self) -> str:
        return f"a session at {format_value(self.host)} needs https: set PUBLIC_URL"


class ForeignSiteError(Exception):
    """A change that a page of another site made a browser send."""

    def __init__(self, origin: str | None, site: str | None) -> None:
        super().__init__(origin, site)
        self.origin = origin
        self.site = site

    def __str__(self) -> str:
        header = "Origin" if self.origin is not None else "Sec-Fetch-Site"
        value = self.site if self.origin is None else self.origin
        return f"{header} is {format_value(value)}: a page of another site sent this request"


class UnsupportedMediaTypeError(Exception):
    """The request body has an unsupported media type or coding."""

    def __init__(self, header: str, value: str, accepted: tuple[str, ...]) -> None:
        super().__init__(header, value, accepted)
        self.header = header
        self.value = value
        self.accepted = accepted

    def __str__(self) -> str:
        accepted = ", ".join(self.accepted)
        return (
            f"{self.header} is {format_value(self.value)}: send {accepted}, or leave the header out"
        )


class BodyCodingError(Exception):
    """The body is not gzip, although Content-Encoding says so."""

    def __str__(self) -> str:
        return "the body is not one complete gzip stream, although Content-Encoding is gzip"


class DeadlineExceededError(Exception):
    """The request exceeded the time that its caller allows."""

    def __init__(self, header: str, seconds: float) -> None:
        super().__init__(header, seconds)
        self.header = header
        self.seconds = seconds

    def __str__(self) -> str:
        return f"the request took longer than the {self.seconds:g} s of {self.header}"


class TooManyStreamsError(Exception):
    """The limit of open event streams is reached."""

    def __init__(self, most: int) -> None:
        super().__init__(most)
        self.most = most

    def __str__(self) -> str:
        return f"{self.most} event streams are already open"


class NotReadyError(Exception):
    """Required parts are failing, or their circuit breakers are open."""

    def __init__(
        self, failing: tuple[str, ...], checks: Mapping[str, str], breakers: Mapping[str, str]
    ) -> None:
        super().__init__(failing, checks, breakers)
        self.failing = failing
        self.checks = checks
        self.breakers = breakers

    def __str__(self) -> str:
        return f"not ready: {', '.join(self.failing)}"


class PortfolioDataError(Exception):
    """Prices or holdings of a portfolio break a rule; the request itself is valid."""

    def __init__(self, field: tuple[str | int, ...], value: object, rule: str) -> None:
        super().__init__(field, value, rule)
        self.field = field
        self.value = value
        self.rule = rule

    def __str__(self) -> str:
        return str(RuleError(self.field, self.value, self.rule))


class TooManyRowsError(Exception):
    """A list that does not fit into a sheet."""

    def __init__(self, max_rows: int) -> None:
        super().__init__(max_rows)
        self.max_rows = max_rows

    def __str__(self) -> str:
        return f"a sheet holds {self.max_rows - 1} transactions and there are more"
