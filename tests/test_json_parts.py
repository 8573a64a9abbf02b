"""Cuts of a JSON text: they have the elements of the whole, and are valid only if the whole is."""

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from serve_app.json_parts import ArrayElements, find_elements

TEXTS = st.text(alphabet='a"\\[]{},: é\n', max_size=6)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)
OBJECTS = st.dictionaries(TEXTS, VALUES, max_size=3)
OTHERS = st.dictionaries(TEXTS, OBJECTS | TEXTS | st.integers(), max_size=2)


def parse(text: bytes) -> Any:
    """Parse a text whose objects keep the order and the repetition of their names."""
    return json.loads(text, object_pairs_hook=list)


@given(
    head=OTHERS,
    elements=st.lists(OBJECTS, min_size=1, max_size=5),
    tail=OTHERS,
    at=st.integers(0, 5),
    is_ascii=st.booleans(),
    indent=st.sampled_from([None, 0, 1]),
)
def test_cuts_have_the_elements_of_the_whole_and_everything_around_them(
    *,
    head: dict[str, Any],
    elements: list[Any],
    tail: dict[str, Any],
    at: int,
    is_ascii: bool,
    indent: int | None,
) -> None:
    whole = {**head, "of": elements, **{name: tail[name] for name in tail if name != "of"}}
    text = json.dumps(whole, ensure_ascii=is_ascii, indent=indent).encode()

    array = find_elements(text)

    assert array is not None
    assert len(array) == len(elements)
    at = min(at, len(elements))
    for first, end in ((0, at), (at, len(elements))):
        if first < end:
            cut = array.cut(first, end)
            assert cut is not None
            assert json.loads(cut) == {**whole, "of": elements[first:end]}


def cuts_of(array: ArrayElements) -> list[Any]:
    """Parse each element in a cut of its own; raises ValueError for an invalid one."""
    cuts = [array.cut(place, place + 1) for place in range(len(array))]
    if None in cuts:
        raise ValueError
    return [parse(cut) for cut in cuts if cut is not None]


@given(
    text=st.lists(
        st.sampled_from(['{"a":[', "{}", '{"b":"', '"}', ",", "]}", "]", "}", "[", '"', "\\", "1"])
        | TEXTS,
        max_size=9,
    ).map("".join)
)
@example(text='{"a":[{},,{}]}')
@example(text='{"a":[{}{}]}')
@example(text='{"a":[{},1,{}]}')
@example(text='{"a":[{}],"b":1}}')
@example(text='{"a":[{"\\\\":"\\""},{}]}')
def test_a_whole_is_valid_if_all_its_cuts_are(text: str) -> None:
    array = find_elements(text.encode())
    if array is None:
        return
    try:
        cuts = cuts_of(array)
    except ValueError:
        return
    name, _ = cuts[0][0]
    whole = dict(parse(text.encode()))
    assert whole[name] == [element for cut in cuts for element in dict(cut)[name]]


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"{}",
        b'{"a": []}',
        b'{"a": [1]}',
        b'{"a": [{}], "b": []}',
        b'{"a": [{}',
        b"\xff",
    ],
)
def test_a_text_without_one_array_of_objects_has_no_elements(text: bytes) -> None:
    assert find_elements(text) is None
