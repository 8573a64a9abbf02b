"""Media types that several routes and the limits of bodies share."""

from typing import Final

JSON: Final = "application/json"
CSV: Final = "text/csv"
XLSX: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
PARQUET: Final = "application/vnd.apache.parquet"
FORM: Final = "multipart/form-data"
UPLOADS: Final = (FORM, CSV, XLSX, PARQUET)
"""Bodies of POST /optimize beside JSON."""
