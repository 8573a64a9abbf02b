"""Readers of the tables that the service writes."""

from typing import Any

import pyarrow as pa
from pyarrow import ipc, parquet

from serve_app.api.exports.arrow_tables import ARROW_STREAM, PARQUET

TABLES = [PARQUET, ARROW_STREAM]


def read_table(media_type: str, body: bytes) -> Any:
    """Read a table of pyarrow."""
    source = pa.BufferReader(body)
    if media_type == PARQUET:
        return parquet.read_table(source)
    return ipc.open_stream(source).read_all()
