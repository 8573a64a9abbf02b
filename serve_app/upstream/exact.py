"""exact: a JSON value as an exact, finite Decimal."""

from decimal import Decimal


def exact(value: str | int | Decimal) -> Decimal:
    """A decimal that came as a JSON string or number; anything else is a ValueError or TypeError.

    >>> exact("3356336"), exact(Decimal("101.23"))
    (Decimal('3356336'), Decimal('101.23'))
    """
    if isinstance(value, float):
        raise TypeError(value)  # it has lost its digits already
    number = Decimal(value)
    if not number.is_finite():
        raise ValueError(value)
    return number
