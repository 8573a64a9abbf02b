"""ETag, If-Match and If-None-Match: optimistic locking of changes, and cached reads.

An ETag is the version, and behind a dot what changes the representation but not the version: a
rebalance gives its model another date, and compression another text. If-Match looks at the version
alone, so that a rebalance refuses no change.
"""

import re
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import Depends, Header
from starlette.responses import Response

from optimization import Model
from serve_app.api.dependencies import ServiceSettings
from serve_app.problems.errors import PreconditionFailedError, PreconditionRequiredError
from storage.errors import StaleVersionError
from storage.models.model_store import Versions
from storage.proposals.proposal import Proposal
from storage.rebalances.rebalance import Rebalance, RebalanceStatus
from storage.rules.rule import Rule

VERSION = re.compile(r'"?([0-9]{1,10})(?:\..*)?"?')

QUOTE = '"'
GZIP = ".gzip"

IfMatchHeader = Annotated[
    str | None,
    Header(description="ETag of the version to change; any other version is answered with 412"),
]
IfNoneMatch = Annotated[str | None, Header(description="ETag of the caller's copy")]
NOT_MODIFIED: Final[dict[int | str, dict[str, Any]]] = {
    304: {"description": "The caller's copy is current"}
}


@dataclass(frozen=True, slots=True)
class Precondition:
    """The versions that If-Match allows to change; every version without the header."""

    if_match: str | None

    @property
    def versions(self) -> Versions:
        """Versions that may be changed; None for all."""
        if self.if_match is None:
            return None
        tags = [tag.strip() for tag in self.if_match.split(",")]
        if "*" in tags:
            return None
        # A weak ETag never matches, because If-Match compares strongly (RFC 9110, 13.1.1).
        return frozenset(filter(None, map(_version, tags)))

    def require(self, version: int) -> None:
        """Raise unless this version may be changed."""
        if self.versions is not None and version not in self.versions:
            raise PreconditionFailedError(str(self.if_match), version)


async def read_precondition(
    settings: ServiceSettings, if_match: IfMatchHeader = None
) -> AsyncGenerator[Precondition]:
    """Read the If-Match of a request; a version that turns out stale fails it, too."""
    if if_match is None and settings.require_if_match:
        raise PreconditionRequiredError
    precondition = Precondition(if_match)
    try:
        yield precondition
    except StaleVersionError as error:
        if precondition.versions is None:
            raise
        raise PreconditionFailedError(str(if_match), error.actual) from error


IfMatch = Annotated[Precondition, Depends(read_precondition, scope="function")]


def model_etag(model: Model) -> str:
    """Make the ETag of a model from its version and the date of its last rebalance."""
    rebalance_date = model.last_rebalance_date
    suffix = f".{round(rebalance_date.timestamp() * 1000):x}" if rebalance_date else ""
    return f'"{model.version}{suffix}"'


def rebalance_etag(rebalance: Rebalance) -> str:
    """Make the ETag of a stored rebalance; weak while portfolios are added."""
    weak = "W/" if rebalance.status is RebalanceStatus.RUNNING else ""
    return f'{weak}"{rebalance.version}.{rebalance.status.lower()}"'


def rule_etag(rule: Rule) -> str:
    """Make the ETag of a rule from its version."""
    return f'"{rule.version}"'


def proposal_etag(proposal: Proposal) -> str:
    """Make the ETag of a proposal from its version."""
    return f'"{proposal.version}"'


def not_modified(etag: str, if_none_match: str | None) -> Response | None:
    """Answer 304 to a caller whose copy is current, compressed or not; None for another copy."""
    tags = [tag.strip().removeprefix("W/") for tag in (if_none_match or "").split(",")]
    for candidate in (etag, compressed_etag(etag)):
        if candidate in tags or "*" in tags:
            return Response(status_code=304, headers={"ETag": candidate})
    return None


def compressed_etag(etag: str) -> str:
    """Make the ETag of the gzip coding, which RFC 9110, 8.8.3 wants distinct.

    >>> compressed_etag('"3.18a"')
    '"3.18a.gzip"'
    """
    return f'{etag.removesuffix(QUOTE)}{GZIP}"'


def _version(tag: str) -> int | None:
    number = VERSION.fullmatch(tag)
    return int(number[1]) if number else None
