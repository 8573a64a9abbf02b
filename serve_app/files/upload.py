"""Upload to POST /optimize: a form of files, a table or a workbook, or JSON."""

from collections.abc import AsyncGenerator
from typing import Final

from starlette.datastructures import FormData, Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from serve_app.api.media_types import FORM, PARQUET, XLSX
from serve_app.api.schemas.optimize import MAX_PORTFOLIOS
from serve_app.api.schemas.options import RebalanceOptionsBody
from serve_app.files.faults import Place, refuse
from serve_app.files.readers import is_json, read_tables
from serve_app.files.request import (
    OPTIONS,
    GivenRequest,
    build_request,
    parse_json_options,
    parse_request,
)
from serve_app.files.roles import ROLES
from serve_app.files.table import Table

MAX_PARTS: Final = 100
MAX_INFLATED_BYTES: Final = 100_000_000
BODY_NAMES: Final = {XLSX: "body.xlsx", PARQUET: "body.parquet"}
NOT_A_FILE: Final = "send each table as a file, and options as JSON under the name options"


async def read_upload(data: bytes, content_type: str) -> GivenRequest:
    """Read a body by its media type; raise FilesRefusedError."""
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type == FORM:
        request = await _read_form(data, content_type)
    elif is_json(data) and media_type not in BODY_NAMES:
        request = parse_request("body", data)
    else:
        request = build_request(_read_tables(BODY_NAMES.get(media_type, "body.csv"), data))
    count = len(request.body.portfolios)
    if count > MAX_PORTFOLIOS:
        rule = f"a request has at most {MAX_PORTFOLIOS:,} portfolios"
        raise refuse(Place("body"), rule, f"{count:,}")
    return request


async def _read_form(data: bytes, content_type: str) -> GivenRequest:
    async def stream() -> AsyncGenerator[bytes, None]:
        yield data

    headers = Headers({"content-type": content_type})
    parser = MultiPartParser(headers, stream(), max_files=MAX_PARTS, max_fields=MAX_PARTS)
    try:
        form = await parser.parse()
    except (MultiPartException, KeyError) as error:
        raise refuse(Place("body"), f"the form cannot be read: {error}") from error
    try:
        return build_request(*await _read_parts(form))
    finally:
        await form.close()


async def _read_parts(form: FormData) -> tuple[list[Table], RebalanceOptionsBody | None]:
    tables: list[Table] = []
    options: RebalanceOptionsBody | None = None
    for name, part in form.multi_items():
        text = await part.read() if isinstance(part, UploadFile) else part.encode()
        if name == OPTIONS and (is_json(text) or not isinstance(part, UploadFile)):
            options = parse_json_options(OPTIONS, text)
        elif isinstance(part, UploadFile):
            role = name if name in ROLES else None
            tables += _read_tables(part.filename or name, text, role)
        else:
            raise refuse(Place(name), NOT_A_FILE)
    if not tables:
        raise refuse(Place("body"), NOT_A_FILE)
    return tables, options


def _read_tables(file: str, data: bytes, role: str | None = None) -> list[Table]:
    return read_tables(file, data, role, MAX_INFLATED_BYTES)
