"""Names of response headers, those exposed to scripts of other origins, and list values."""

from collections.abc import Iterable
from typing import Final
from urllib.parse import quote

CORRELATION_ID = "X-Correlation-ID"
REQUEST_ID = "X-Request-ID"
IGNORED_FIELDS: Final = "Ignored-Fields"
UNMATCHED_IDS: Final = "Unmatched-Ids"
EXPOSED: Final = (
    CORRELATION_ID,
    REQUEST_ID,
    "Allow",
    "Content-Disposition",
    "ETag",
    "Idempotent-Replayed",
    IGNORED_FIELDS,
    "Link",
    "Location",
    "Preference-Applied",
    "Retry-After",
    UNMATCHED_IDS,
    "X-Rebalance-Status",
    "X-Total-Count",
)
"""Headers of answers that scripts of other origins may read."""

MAX_LIST_BYTES: Final = 4_000  # because a proxy refuses an answer with more than 16 kB of headers


def header_list(items: Iterable[str], safe: str = "/") -> str:
    """Join percent-encoded items with commas, as many as fit into 4,000 bytes.

    >>> header_list(["VTI", "A, B", "株"])
    'VTI, A%2C%20B, %E6%A0%AA'
    """
    texts: list[str] = []
    budget = MAX_LIST_BYTES
    for item in items:
        text = quote(item, safe=safe)
        budget -= len(text) + len(", ")
        if budget < 0:
            break
        texts.append(text)
    return ", ".join(texts)
