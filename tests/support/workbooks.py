"""Reader of the cells of a workbook's XML, with every digit of a number."""

from datetime import date, timedelta
from decimal import Decimal
from io import BytesIO
from xml.etree import ElementTree as ET
from zipfile import ZipFile

SPACE = {"x": "http://schemas.openxmlformats.org/spreadsheetml/2006/main"}
DAY_0 = date(1899, 12, 30)
DAYS = "H"


def read_rows(content: bytes) -> list[list[str | Decimal]]:
    """Return the rows of the first sheet; its last column holds days."""
    with ZipFile(BytesIO(content)) as archive:
        sheet = ET.fromstring(archive.read("xl/worksheets/sheet1.xml"))
    return [
        [_value(cell) for cell in row.iterfind("x:c", SPACE)]
        for row in sheet.iterfind("x:sheetData/x:row", SPACE)
    ]


def _value(cell: ET.Element) -> str | Decimal:
    if cell.get("t") == "inlineStr":
        return "".join(cell.itertext())
    number = Decimal("".join(cell.itertext()))
    if (cell.get("r") or "").startswith(DAYS):
        return (DAY_0 + timedelta(days=int(number))).isoformat()
    return number
