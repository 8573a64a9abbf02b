"""Call context: correlation id and deadline of the caller."""

import math
import pickle

from serve_app.call_context import CallContext, correlation_id, remaining_s, set_deadline


def test_a_call_outside_of_any_request_has_neither_an_id_nor_a_deadline():
    assert CallContext.capture() == CallContext("", None)


def test_the_context_of_a_call_survives_the_way_to_another_process():
    token = correlation_id.set("nightly")
    with set_deadline(5.0):
        sent = CallContext.capture()
    correlation_id.reset(token)

    arrived = pickle.loads(pickle.dumps(sent))

    with arrived.activate():
        assert correlation_id.get() == "nightly"
        assert 4 < remaining_s() <= 5


def test_a_context_ends_with_its_block():
    with CallContext("nightly", 5.0).activate():
        pass

    assert correlation_id.get() == ""
    assert math.isinf(remaining_s())
