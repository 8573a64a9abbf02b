"""Stored models under MODEL_RULES=general: natural ids, fractions, caps, relative bands."""

from typing import Any

import httpx
import pytest

from serve_app.settings import Settings, read_settings
from tests.support.general_models import (
    ACCOUNT,
    BOND,
    FUND,
    HOUSEHOLD,
    SHARE,
    STOCK,
    THIRDS,
    make_general_model,
)

MODELS = "/api/v1/models"


@pytest.fixture
def settings() -> Settings:
    return read_settings({"model_rules": "general"})


@pytest.fixture
async def thirds(client: httpx.AsyncClient) -> dict[str, Any]:
    answer = await client.post(MODELS, json=make_general_model())
    assert answer.status_code == 201, answer.text
    return answer.json()


async def test_a_model_is_read_back_exactly_as_it_was_given(
    client: httpx.AsyncClient, thirds: dict[str, Any]
) -> None:
    read = (await client.get(f"/api/v1/model/{thirds['model_id']}")).json()

    assert read == thirds
    assert read["positions"] == THIRDS
    assert read["portfolios"] == [ACCOUNT, HOUSEHOLD]


async def test_three_thirds_sum_to_one_and_not_more(client: httpx.AsyncClient) -> None:
    three = [THIRDS[0] | {"security_id": each} for each in (STOCK, SHARE, FUND)]
    one_more = [*three, THIRDS[3] | {"target": "0.000000000001"}]

    whole = await client.post(MODELS, json=make_general_model(positions=three))
    over = await client.post(MODELS, json=make_general_model(name="Over", positions=one_more))

    assert whole.status_code == 201
    assert over.status_code == 422
    assert over.json()["detail"] == (
        "/positions is '1000000000001/1000000000000': the targets may sum to 1 at most"
    )


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        ({"security_id": " VTI"}, "an id has 1 to 64 printable characters"),
        ({"security_id": "A" * 65}, "an id has 1 to 64 printable characters"),
        ({"security_id": "V\u200bTI"}, "an id has 1 to 64 printable characters"),
        ({"target": "1.01"}, "less than or equal to 1"),
        ({"target": "0.1234567890123"}, "at most 12 decimals"),
        ({"target": "1/0"}, "a fraction is written as two whole numbers"),
        ({"target": "4/3"}, "a target is from 0 to 1"),
        ({"relative_drift": "0.5"}, "a band is low_drift and high_drift, or relative_drift"),
        ({"high_drift": None}, "a band is low_drift and high_drift, or relative_drift"),
        ({"drift": "0.5"}, "unknown field"),
    ],
)
async def test_a_refusal_names_field_and_rule(
    client: httpx.AsyncClient, changes: dict[str, Any], detail: str
) -> None:
    line = {each: value for each, value in (THIRDS[3] | changes).items() if value is not None}

    answer = await client.post(MODELS, json=make_general_model(positions=[THIRDS[0], line]))

    assert answer.status_code == 422
    assert "/positions/1" in answer.json()["detail"]
    assert detail in answer.json()["detail"]


async def test_a_portfolio_id_with_blanks_at_its_ends_is_refused(client: httpx.AsyncClient) -> None:
    answer = await client.post(MODELS, json=make_general_model(portfolios=["ok", "ends "]))

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/portfolios/1"


async def test_positions_are_added_changed_and_removed(
    client: httpx.AsyncClient, thirds: dict[str, Any]
) -> None:
    path = f"/api/v1/model/{thirds['model_id']}/position"
    gold = {"security_id": "Gold (oz)", "target": "1/1000", "relative_drift": "1"}
    more = gold | {"target": "2/1000"}

    added = await client.post(path, json=gold)
    changed = await client.put(path, json=more)
    differs = await client.request("DELETE", path, json=gold)
    removed = await client.request("DELETE", path, json=more)

    assert added.json()["positions"] == [*THIRDS, gold]
    assert changed.json()["positions"] == [*THIRDS, more]
    assert differs.status_code == 409
    assert (removed.json()["positions"], removed.json()["version"]) == (THIRDS, 4)


async def test_a_band_of_the_same_width_given_otherwise_is_a_change(
    client: httpx.AsyncClient, thirds: dict[str, Any]
) -> None:
    path = f"/api/v1/model/{thirds['model_id']}/position"
    absolute = {"security_id": BOND, "target": "0.2", "high_drift": "0.2", "low_drift": "0.2"}
    relative = {"security_id": BOND, "target": "0.2", "relative_drift": "1"}

    await client.put(path, json=absolute)
    answer = (await client.put(path, json=relative)).json()

    assert answer["positions"][3] == relative
    assert answer["version"] == 2


async def test_a_replacement_is_what_was_read(
    client: httpx.AsyncClient, thirds: dict[str, Any]
) -> None:
    body = thirds | {"name": "Renamed"}

    answer = await client.put(f"/api/v1/model/{thirds['model_id']}", json=body)

    assert answer.status_code == 200, answer.text
    assert answer.json() == body | {"version": 2}


async def test_portfolios_with_natural_ids_come_and_go(
    client: httpx.AsyncClient, thirds: dict[str, Any]
) -> None:
    path = f"/api/v1/model/{thirds['model_id']}/portfolio"

    added = await client.post(path, json={"portfolios": ["日本 401(k)", ACCOUNT]})
    removed = await client.request("DELETE", path, json={"portfolios": [ACCOUNT]})
    bad = await client.post(path, json={"portfolios": ["\t"]})

    assert added.json()["portfolios"] == [ACCOUNT, HOUSEHOLD, "日本 401(k)"]
    assert removed.json()["portfolios"] == [HOUSEHOLD, "日本 401(k)"]
    assert bad.status_code == 422


async def test_models_are_listed_and_sorted(
    client: httpx.AsyncClient, thirds: dict[str, Any]
) -> None:
    await client.post(MODELS, json=make_general_model(name="A first one"))

    listed = (await client.get(f"{MODELS}?sort_by=name")).json()

    assert [each["name"] for each in listed] == ["A first one", "Thirds"]
    assert listed[1] == thirds


async def test_five_thousand_positions_are_stored_and_one_more_is_refused(
    client: httpx.AsyncClient,
) -> None:
    def index(count: int) -> dict[str, Any]:
        line = {"target": "1/5001", "relative_drift": "0.5"}
        names = (f"TICKER {number}" for number in range(count))
        lines = [line | {"security_id": each} for each in names]
        return make_general_model(name=f"Index {count}", positions=lines)

    stored = await client.post(MODELS, json=index(5_000))
    refused = await client.post(MODELS, json=index(5_001))

    assert stored.status_code == 201
    read = await client.get(stored.headers["location"])
    assert read.json()["positions"] == index(5_000)["positions"]
    assert refused.status_code == 422
    assert refused.json()["detail"] == (
        "/positions is 5001: a model has at most 5,000 positions with a target"
    )


async def test_options_of_a_model_name_natural_ids(client: httpx.AsyncClient) -> None:
    options = {"lots": {STOCK: "0.01", BOND: "1000"}, "do_not_buy": [SHARE], "cash_floor": "2%"}

    model = (await client.post(MODELS, json=make_general_model(rebalance_options=options))).json()
    read = (await client.get(f"/api/v1/model/{model['model_id']}")).json()

    assert read["rebalance_options"] == model["rebalance_options"]
    assert read["rebalance_options"]["lots"] == {STOCK: "0.01", BOND: "1000"}
    assert read["rebalance_options"]["do_not_buy"] == [SHARE]


async def test_a_repeated_request_under_one_key_is_answered_alike(
    client: httpx.AsyncClient,
) -> None:
    headers = {"Idempotency-Key": "monday"}

    first = await client.post(MODELS, json=make_general_model(), headers=headers)
    again = await client.post(MODELS, json=make_general_model(), headers=headers)

    assert again.headers["idempotent-replayed"] == "true"
    assert again.json() == first.json()


async def test_ignored_fields_are_named_for_the_shape_in_force(client: httpx.AsyncClient) -> None:
    answer = await client.post(MODELS, json=make_general_model(colour="red"))

    assert answer.status_code == 201
    assert answer.headers["ignored-fields"] == "/colour"


async def test_globeco_models_are_stored_as_ever(client: httpx.AsyncClient) -> None:
    line = {"security_id": "A" * 24, "target": "0.25", "high_drift": "0.02", "low_drift": "0.010"}

    answer = await client.post(MODELS, json=make_general_model(positions=[line]))

    assert answer.json()["positions"] == [line]


async def test_the_document_shows_the_patterns_in_force(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).text

    assert "[A-Za-z0-9]{24}" not in document
    assert '"highest_sum_of_targets":"1"' in document.replace(" ", "")
