"""Errors of requests and of a portfolio's data, which no lower layer knows.

Every class passes all its arguments to ``super().__init__`` so that it survives pickling between processes.
"""

from collections.abc import Mapping

from optimization.errors import RuleError, shown


class PreconditionFailedError(Exception):
    """The If-Match of a request names another version than the request changes."""

    def __init__(self, if_match: str, version: int) -> None:
        super().__init__(if_match, version)
        self.if_match = if_match
        self.version = version

    def __str__(self) -> str:
        if self.if_match.startswith("W/"):
            return f"a weak ETag never matches If-Match; version {self.version} is stored"
        return f"If-Match names another version than {self.version}"


class PreconditionRequiredError(Exception):
    """This service wants an If-Match with every change, and the request has none."""

    def __str__(self) -> str:
        return "a change needs If-Match with the ETag of what was read"


class NotAcceptableError(Exception):
    """A caller wants none of the media types that a route offers."""

    def __init__(self, accept: str, offered: tuple[str, ...]) -> None:
        super().__init__(accept, offered)
        self.accept = accept
        self.offered = offered

    def __str__(self) -> str:
        return f"the answer can be {', '.join(self.offered)}"


class UnsupportedMediaTypeError(Exception):
    """The body of a request has a media type or a coding that is not taken."""

    def __init__(self, header: str, value: str, accepted: tuple[str, ...]) -> None:
        super().__init__(header, value, accepted)
        self.header = header
        self.value = value
        self.accepted = accepted

    def __str__(self) -> str:
        return f"{self.header} is {shown(self.value)}: it can be {', '.join(self.accepted)}, or left out"


class BodyCodingError(Exception):
    """A body that its Content-Encoding says to be gzip is not."""

    def __str__(self) -> str:
        return "the body is not one whole gzip stream, as Content-Encoding says"


class DeadlineExceededError(Exception):
    """The work took longer than the caller waits."""

    def __init__(self, header: str, seconds: float) -> None:
        super().__init__(header, seconds)
        self.header = header
        self.seconds = seconds

    def __str__(self) -> str:
        return f"it took longer than the {self.seconds:g} s of {self.header}"


class TooManyStreamsError(Exception):
    """So many streams of events are open that there is no room for another."""

    def __init__(self, most: int) -> None:
        super().__init__(most)
        self.most = most

    def __str__(self) -> str:
        return f"{self.most} streams of events are open"


class NotReadyError(Exception):
    """Parts that the service needs are not well, or not asked for a while."""

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
    """Prices or holdings of a portfolio that break a rule; nothing of the request does."""

    def __init__(self, field: tuple[str | int, ...], value: object, rule: str) -> None:
        super().__init__(field, value, rule)
        self.field = field
        self.value = value
        self.rule = rule

    def __str__(self) -> str:
        return str(RuleError(self.field, self.value, self.rule))


class TooManyRowsError(Exception):
    """A list that does not fit into a sheet."""

    def __init__(self, most_rows: int) -> None:
        super().__init__(most_rows)
        self.most_rows = most_rows

    def __str__(self) -> str:
        return f"a sheet holds {self.most_rows - 1} transactions and there are more"
