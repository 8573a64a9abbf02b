"""Exact decimal arithmetic: the context of every sum and product, and the digits of a value."""

from decimal import Context, Decimal, InvalidOperation, Overflow

# Sums and products of amounts, prices and shares stay far below 120 digits.
EXACT = Context(prec=120, traps=[InvalidOperation, Overflow])


def decimals_of(value: Decimal) -> int:
    """Digits after the point that a value needs.

    >>> decimals_of(Decimal("12.340")), decimals_of(Decimal("1E+3"))
    (2, 0)
    """
    exponent = value.as_tuple().exponent
    if not isinstance(exponent, int) or exponent >= 0:
        return 0
    exponent = value.normalize(EXACT).as_tuple().exponent
    return max(0, -int(exponent))
