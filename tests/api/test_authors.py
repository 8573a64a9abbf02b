"""Authors: changes name the owner of the key that made them, in the audit log and in versions."""

import pytest
from fastapi import FastAPI

from serve_app.auth.permissions import Role
from serve_app.settings import Settings, read_settings
from tests.support.fakes import Stored, make_model_body
from tests.support.keys import add_key, client_with

pytestmark = pytest.mark.mongo


@pytest.fixture
def settings() -> Settings:
    return read_settings({"auth": "keys"})


async def test_the_owners_of_two_keys_are_the_authors_of_their_changes(
    app: FastAPI, stored: Stored
) -> None:
    ada = await add_key(stored, Role.MODEL_MANAGER, owner="ada")
    ben = await add_key(stored, Role.MODEL_MANAGER, Role.TRADER, owner="ben")
    async with client_with(app, ada) as client:
        model = (await client.post("/api/v1/models", json=make_model_body("Growth"))).json()
    path = f"/api/v1/model/{model['model_id']}"
    async with client_with(app, ben) as client:
        edit = {**make_model_body("Income"), "version": 1}
        assert (await client.put(path, json=edit)).status_code == 200
        assert (await client.post(f"{path}/rebalance")).status_code == 200

    async with client_with(app, await add_key(stored, Role.OPERATOR, owner="eve")) as client:
        entries = (await client.get("/api/v1/audit", params={"sort_by": "seq"})).json()
        versions = (await client.get(f"{path}/versions")).json()

    changes = [each for each in entries if each["object_type"] != "key"]
    assert [(each["action"], each["principal"]) for each in changes] == [
        ("model.create", "ada"),
        ("model.edit", "ben"),
        ("rebalance.store", "ben"),
    ]
    assert [(each["version"], each["principal"]) for each in versions] == [(2, "ben"), (1, "ada")]
