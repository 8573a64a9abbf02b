"""Listings of an upstream: pages of rows with an id and a text each."""

from typing import Final

from serve_app.upstream.exact_values import read_objects, read_text
from serve_app.upstream.http_client import Client

PAGE_SIZE: Final = 1000


async def read_listing(
    client: Client, path: str, rows_name: str, fields: tuple[str, str], max_pages: int
) -> tuple[dict[str, str], bool]:
    """Read the first ``max_pages`` pages: texts by id, and whether the list is complete.

    ``fields`` name the id and the text of a row.
    """
    id_field, text_field = fields
    text_by_id: dict[str, str] = {}
    for page in range(max_pages):
        params = {"limit": PAGE_SIZE, "offset": page * PAGE_SIZE}
        answer = await client.get_json(path, params)
        with client.translate_read_errors(f"a page of {rows_name}"):
            rows = read_objects(answer[rows_name])
            text_by_id.update(
                {read_text(row[id_field]): read_text(row[text_field]) for row in rows}
            )
            has_next = answer["pagination"]["hasNext"] is True
        if not (has_next and rows):
            return text_by_id, True
    return text_by_id, False
