"""Decimal <-> exact integers, and the guard that keeps int64 from overflowing."""

from decimal import Context, Inexact, InvalidOperation, Overflow

# Sums and products of amounts, prices and shares never reach 120 digits; a result that would have to
# be rounded raises Inexact instead, except in divide() and quantize(), which round on purpose.
EXACT = Context(prec=120, traps=[InvalidOperation, Overflow])
STRICT = Context(prec=120, traps=[InvalidOperation, Overflow, Inexact])
