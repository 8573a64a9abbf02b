from decimal import Decimal

import pytest
from bson import decode, encode
from bson.codec_options import CodecOptions
from bson.decimal128 import Decimal128
from hypothesis import given
from hypothesis import strategies as st

from storage.mongo.decimal_codec import TYPE_REGISTRY, decode_decimal, encode_decimal

OPTIONS: CodecOptions[dict[str, object]] = CodecOptions(type_registry=TYPE_REGISTRY)


@given(st.decimals(allow_nan=False))
def test_every_decimal_comes_back_equal(value: Decimal) -> None:
    document = decode(encode({"amount": value}, codec_options=OPTIONS), codec_options=OPTIONS)
    amount = document["amount"]
    assert isinstance(amount, Decimal | str)
    assert decode_decimal(amount) == value


@given(
    st.integers(-(10**34) + 1, 10**34 - 1),
    st.integers(-6176, 6111),
)
def test_what_34_digits_hold_is_stored_as_the_driver_stores_it(digits: int, exponent: int) -> None:
    value = Decimal(f"{digits}E{exponent}")
    assert encode_decimal(value) == Decimal128(value)
    document = decode(encode({"amount": value}, codec_options=OPTIONS), codec_options=OPTIONS)
    assert str(document["amount"]) == str(value)


@pytest.mark.parametrize(
    "text", ["1E+6144", "1E+7000", "1E-7000", "0E-7000", "-0.00", "0." + "3" * 35]
)
def test_decimals_at_the_edge_come_back_equal(text: str) -> None:
    document = encode({"amount": Decimal(text)}, codec_options=OPTIONS)
    amount = decode(document, codec_options=OPTIONS)["amount"]
    assert decode_decimal(amount) == Decimal(text)  # type: ignore[arg-type]
