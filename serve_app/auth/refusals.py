"""Record of refused rights: who asked for what without the right to it, in the audit log."""

import logging
from typing import Final, Protocol

from serve_app.auth.errors import (
    OutsideLimitsError,
    RateExceededError,
    RightsExceededError,
    ScopeMissingError,
)
from serve_app.auth.rate_limits import RateLimiter
from storage.errors import StorageUnavailableError
from storage.proposal_errors import FourEyesError, NotProposerError

REFUSALS: Final = (
    FourEyesError,
    NotProposerError,
    OutsideLimitsError,
    RightsExceededError,
    ScopeMissingError,
)
RECORDS_PER_MINUTE: Final = 60  # of one principal, because anybody with a key could fill the log
MAX_TEXT: Final = 500

logger = logging.getLogger(__name__)


class RefusalLog(Protocol):
    """Store of refusals."""

    async def record_refusal(self, operation: str, path: str, reason: str) -> None:
        """Add the refusal of a right to the audit log, with the principal of the call."""
        ...


class RefusalRecorder:
    """Records refusals in the audit log, at most 60 a minute of one principal."""

    def __init__(self, log: RefusalLog) -> None:
        self._log = log
        self._limiter = RateLimiter(RECORDS_PER_MINUTE)

    async def record(self, principal: str, operation: str, path: str, error: Exception) -> None:
        """Record a refusal; what cannot be recorded is logged, and the refusal stands all the same.

        ``operation`` is the method with the template of the route.
        """
        try:
            self._limiter.take(principal)
            reason = str(error)[:MAX_TEXT]
            await self._log.record_refusal(operation, path[:MAX_TEXT], reason)
        except RateExceededError:
            logger.warning("%s is refused too often to record each refusal", principal)
        except StorageUnavailableError:
            logger.warning("the refusal of %s to %s was not recorded", operation, principal)
