"""Pages of a list: offset and limit, the order, and the links to the other pages."""

from collections.abc import Awaitable, Callable
from typing import Annotated
from urllib.parse import urlencode

from fastapi import Query, Request
from fastapi.exceptions import RequestValidationError

from serve_app.api.schemas.fields import WHOLE
from storage.mongo.sorting import ASCENDING, DESCENDING, Sort

MAX_MODELS_PER_PAGE = 1000
MAX_SORT_BY_LENGTH = 200  # characters, because the Link of a page repeats them up to four times
MAX_RUNS_PER_PAGE = 100
MAX_PORTFOLIOS_PER_PAGE = 1000

Offset = Annotated[int, Query(ge=0, lt=2**31, description="number of items to skip"), WHOLE]
Runs = Annotated[int, Query(ge=1, le=MAX_RUNS_PER_PAGE, description="most items to return"), WHOLE]
Models = Annotated[
    int,
    Query(
        ge=1,
        le=MAX_MODELS_PER_PAGE,
        description="most items to return; the Link header leads to the next page",
    ),
    WHOLE,
]
Portfolios = Annotated[
    int, Query(ge=1, le=MAX_PORTFOLIOS_PER_PAGE, description="most items to return"), WHOLE
]


def page_headers(request: Request, offset: int, limit: int, total: int) -> dict[str, str]:
    """Make X-Total-Count, and the Link (RFC 8288) to the first, previous, next and last page."""
    last = max(0, (total - 1) // limit * limit)
    pages = {"first": 0, "prev": max(0, offset - limit), "next": offset + limit, "last": last}
    if offset == 0:
        del pages["prev"]
    if offset + limit >= total:
        del pages["next"]
    others = [
        (name, value)
        for name, value in request.query_params.multi_items()
        if name not in {"offset", "limit"}
    ]
    queries = {
        rel: urlencode([*others, ("offset", at), ("limit", limit)]) for rel, at in pages.items()
    }
    links = (f'<{request.url.path}?{query}>; rel="{rel}"' for rel, query in queries.items())
    return {"Link": ", ".join(links), "X-Total-Count": str(total)}


def order_by(*fields: str) -> Callable[[str], Awaitable[Sort]]:
    """Make the dependency that reads ``sort_by``, a comma-separated list of these fields."""
    description = f"comma-separated list of {', '.join(fields)}, each with an optional + or -"

    name = f" *[+-]?({'|'.join(fields)}) *"
    pattern = f"^({name}(,{name})*)?$"  # documentation, because the error names the fields

    async def order(
        sort_by: Annotated[
            str,
            Query(
                description=description,
                max_length=MAX_SORT_BY_LENGTH,
                json_schema_extra={"pattern": pattern},
            ),
        ] = "",
    ) -> Sort:
        # strip() also removes an unencoded +, which arrives as a blank; no sign is ascending
        parts = [part.strip() for part in sort_by.split(",") if part.strip()]
        sort = tuple(
            (part.removeprefix("-").removeprefix("+"), DESCENDING if part[0] == "-" else ASCENDING)
            for part in parts
        )
        unknown = [name for name, _ in sort if name not in fields]
        if unknown:
            message = f"the fields are {', '.join(fields)}"
            place = ("query", "sort_by")
            raise RequestValidationError([{"type": "value", "loc": place, "msg": message}])
        return sort

    return order
