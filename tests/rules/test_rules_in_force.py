"""Rules in force: over HTTP, in direct rebalances, dry runs, runs, proposals and orders."""

from typing import Any

import httpx
import pytest

from tests.support.fakes import A, B, P, Q
from tests.support.flaky_order_service import OrderDesk
from tests.support.pre_trade_rules import A_TENTH, RULES, add, rebalance
from tests.support.run_streams import wait_until_over
from tests.support.submissions import read_code, read_counts

pytestmark = pytest.mark.mongo

NEVER: dict[str, Any] = {
    "name": "no A",
    "kind": "RESTRICTED",
    "severity": "BLOCK",
    "as_option": True,
    "security_ids": [A],
    "side": "BUY",
}
OF_THE_MARKET: dict[str, Any] = {
    "name": "a tenth of the volume",
    "kind": "ORDER_SHARE_MOST",
    "severity": "BLOCK",
    "part": "0.1",
}


def results(element: dict[str, Any]) -> list[tuple[str, str]]:
    return [(rule["name"], rule["result"]) for rule in element["rules"]]


class TestRoutes:
    async def test_a_rule_is_made_read_changed_and_deleted_by_version_with_its_entries(
        self, client: httpx.AsyncClient
    ) -> None:
        made = await add(client, A_TENTH)
        path = f"/api/v1/rule/{made['rule_id']}"
        read = await client.get(path)
        unchanged = await client.get(path, headers={"If-None-Match": '"1"'})
        other = {**A_TENTH, "kind": "TURNOVER_MOST", "security_ids": None, "part": "0.2"}
        changed = await client.put(path, json={**other, "version": 1})
        stale = await client.put(path, json={**A_TENTH, "version": 1}, headers={"If-Match": '"1"'})
        deleted = await client.delete(path, params={"version": 2})
        entries = await client.get("/api/v1/audit", params={"object_id": made["rule_id"]})

        assert read.json() == made
        assert (read.headers["etag"], unchanged.status_code) == ('"1"', 304)
        assert (changed.json()["security_ids"], changed.json()["version"]) == (None, 2)
        assert (stale.status_code, read_code(stale)) == (412, "precondition-failed")
        assert deleted.status_code == 204
        assert (await client.get(path)).status_code == 404
        actions = [entry["action"] for entry in reversed(entries.json())]
        assert actions == ["rule.create", "rule.edit", "rule.delete"]
        assert entries.json()[1]["diff"]["part"] == "0.2"

    async def test_rules_are_listed_by_name_and_a_name_is_taken_once(
        self, client: httpx.AsyncClient
    ) -> None:
        await add(client, NEVER)
        await add(client, A_TENTH)

        again = await client.post(RULES, json=A_TENTH)
        listed = await client.get(RULES)

        assert (again.status_code, read_code(again)) == (409, "name-taken")
        assert [rule["name"] for rule in listed.json()] == [A_TENTH["name"], NEVER["name"]]

    async def test_there_are_at_most_50_rules(self, client: httpx.AsyncClient) -> None:
        for number in range(50):
            await add(client, A_TENTH, name=f"rule {number}")

        answer = await client.post(RULES, json=A_TENTH)

        assert (answer.status_code, "at most 50 rules" in answer.text) == (422, True)

    @pytest.mark.parametrize(
        ("changes", "pointer"),
        [
            ({"part": None}, "/part"),
            ({"side": "BUY"}, "/side"),
            ({"part": "1.1"}, "/part"),
            ({"models": ["zz"]}, "/models/0"),
            ({"kind": "ORDER_SHARE_MOST", "security_ids": None, "volumes": {A: 1}}, "/volumes"),
        ],
    )
    async def test_a_rule_that_does_not_add_up_is_refused_by_name(
        self, client: httpx.AsyncClient, changes: dict[str, Any], pointer: str
    ) -> None:
        answer = await client.post(RULES, json={**A_TENTH, **changes})

        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)


class TestRebalances:
    async def test_an_answer_without_rules_has_no_member_of_rules(
        self, client: httpx.AsyncClient, model: dict[str, Any]
    ) -> None:
        elements = await rebalance(client, model)
        of_rebalance = f"/api/v1/rebalance/{elements[0]['rebalance_id']}"
        in_brief = (await client.get(f"{of_rebalance}/outcomes")).json()

        for element in [*elements, *in_brief]:
            assert "rules" not in element

    async def test_each_plan_has_the_results_of_the_rules_as_they_were_when_it_was_made(
        self, client: httpx.AsyncClient, model: dict[str, Any]
    ) -> None:
        rule = await add(client, A_TENTH)
        elements = await rebalance(client, model)
        changed = {**A_TENTH, "part": "1", "version": 1}
        await client.put(f"/api/v1/rule/{rule['rule_id']}", json=changed)

        of_rebalance = f"/api/v1/rebalance/{elements[0]['rebalance_id']}"
        stored = (await client.get(of_rebalance)).json()["portfolios"]
        in_brief = (await client.get(f"{of_rebalance}/outcomes")).json()
        whole = (await client.get(f"{of_rebalance}/portfolio/{P}")).json()

        assert [element["rules"] for element in in_brief] == [
            element["rules"] for element in elements
        ]
        assert whole["rules"] == in_brief[0]["rules"]
        for element, portfolio in zip(elements, stored, strict=True):
            (result,), (kept,) = element["rules"], portfolio["rules"]
            assert (result["rule_id"], result["version"]) == (rule["rule_id"], 1)
            assert (result["result"], result["limit"]) == ("BLOCK", "0.1")
            assert float(result["left"]) < 0 < float(result["value"])
            assert kept["value"] == pytest.approx(float(result["value"]))
            assert (kept["result"], kept["version"]) == ("BLOCK", 1)

    async def test_a_dry_run_and_a_single_portfolio_are_checked_too(
        self, client: httpx.AsyncClient, model: dict[str, Any]
    ) -> None:
        await add(client, A_TENTH, portfolios=[P])

        of_p, of_q = await rebalance(client, model, dry_run=True)
        one = await client.post(f"/api/v1/portfolio/{P}/rebalance")
        other = await client.post(f"/api/v1/portfolio/{Q}/rebalance", params={"dry_run": True})

        assert results(of_p) == [(A_TENTH["name"], "BLOCK")]
        assert of_q["rules"] == []
        assert "rules" not in other.json()
        assert results(one.json()) == [(A_TENTH["name"], "BLOCK")]

    async def test_a_rule_of_another_model_does_not_hold(
        self, client: httpx.AsyncClient, model: dict[str, Any]
    ) -> None:
        await add(client, A_TENTH, models=["0" * 24])

        assert all("rules" not in element for element in await rebalance(client, model))

    async def test_a_plan_complies_with_a_rule_that_is_an_option(
        self, client: httpx.AsyncClient, model: dict[str, Any]
    ) -> None:
        await add(client, A_TENTH, as_option=True, part="0.44")

        for element in await rebalance(client, model, {"turnover_cap": "90%"}):
            assert results(element) == [(A_TENTH["name"], "PASS")]
            assert float(element["rules"][0]["left"]) >= 0

    async def test_orders_are_compared_with_the_volumes_in_the_options_of_the_rebalance(
        self, client: httpx.AsyncClient, model: dict[str, Any]
    ) -> None:
        await add(client, OF_THE_MARKET)
        ample, scarce = {A: 10**9, B: 10**9}, {A: 10**9, B: "0.5"}

        found = [
            (await rebalance(client, model, body, dry_run=True))[0]["rules"][0]
            for body in ({"volumes": ample}, {"volumes": scarce}, {"volumes": {A: 1}}, None)
        ]

        assert [result["result"] for result in found] == ["PASS", "BLOCK", "BLOCK", "BLOCK"]
        assert [result["left"] is None for result in found] == [False, False, True, True]
        assert float(found[1]["left"]) < 0
        assert [result.get("without_volume") for result in found] == [None, None, [B], [A, B]]

    async def test_a_portfolio_of_a_run_may_have_volumes_of_its_own_and_both_are_kept(
        self, client: httpx.AsyncClient, model: dict[str, Any]
    ) -> None:
        await add(client, OF_THE_MARKET, severity="WARN")
        body = {
            "models": [model["model_id"]],
            "options": {"volumes": {A: 10**9, B: 10**9}},
            "options_by_portfolio": {Q: {"volumes": {A: 10**9}}},
        }

        begun = (await client.post("/api/v1/runs", json=body)).json()
        await wait_until_over(client, begun["run_id"])

        run = (await client.get(f"/api/v1/runs/{begun['run_id']}")).json()
        of_rebalance = f"/api/v1/rebalance/{run['rebalances'][0]}"
        stored = (await client.get(of_rebalance)).json()["portfolios"]
        one = (await client.get(f"{of_rebalance}/portfolio/{P}")).json()
        found = {element["portfolio_id"]: element["rules"][0] for element in stored}
        assert (found[P]["result"], found[Q]["result"]) == ("PASS", "WARN")
        assert (found[Q]["value"], found[Q]["without_volume"]) == (None, [B])
        assert one["options"]["volumes"] == {A: "1000000000", B: "1000000000"}

    @pytest.mark.parametrize("more", [{}, {"cost_rate": "0.001"}], ids=["free", "with costs"])
    @pytest.mark.parametrize(
        ("given", "rule"),
        [
            ({"turnover_cap": "90%"}, {"kind": "TURNOVER_MOST", "amount": 200}),
            ({"turnover_cap": 50_000}, {"kind": "TURNOVER_MOST", "part": "0.05"}),
            ({"cash_floor": 1}, {"kind": "CASH_LEAST", "part": "0.5"}),
            ({"cash_floor": "1%"}, {"kind": "CASH_LEAST", "amount": 300}),
            ({"maximum_value": "40%"}, {"kind": "TRADE_MOST", "amount": "99.99"}),
            ({"maximum_value": 50_000}, {"kind": "TRADE_MOST", "part": "0.01"}),
            ({"volumes": {A: 30}, "volume_share": 1}, {"kind": "ORDER_SHARE_MOST", "part": "0.1"}),
        ],
    )
    async def test_a_plan_complies_with_a_rule_in_another_unit_than_the_option(
        self, client: httpx.AsyncClient, model: dict[str, Any], given: Any, rule: Any, more: Any
    ) -> None:
        await add(client, {"name": "limit", "severity": "BLOCK", "as_option": True, **rule})

        for element in await rebalance(client, model, {**given, **more, "bands": "YIELD"}):
            assert results(element) == [("limit", "PASS")]

    @pytest.mark.parametrize(
        "rule",
        [
            NEVER,
            {**A_TENTH, "as_option": True},
            {
                "name": "none",
                "kind": "TRADE_MOST",
                "severity": "BLOCK",
                "as_option": True,
                "amount": 0,
            },
            {**OF_THE_MARKET, "as_option": True},
            {
                "name": "cash",
                "kind": "CASH_LEAST",
                "severity": "WARN",
                "as_option": True,
                "part": "0.9",
            },
        ],
        ids=["do_not_buy", "groups", "maximum_value", "volume_share", "cash_floor"],
    )
    @pytest.mark.usefixtures("model")
    async def test_a_refusal_names_the_rule_that_excludes_every_plan(
        self, client: httpx.AsyncClient, rule: dict[str, Any]
    ) -> None:
        made = await add(client, rule)
        path = f"/api/v1/portfolio/{Q}/rebalance"

        answer = await client.post(path, json={"bands": "HARD"})

        assert (answer.status_code, read_code(answer)) == (422, "infeasible")
        assert f"Rules in force: {rule['name']}." in answer.json()["detail"]
        named = {"rule_id": made["rule_id"], "name": rule["name"], "version": 1}
        assert answer.json()["rules"] == [named]

    @pytest.mark.parametrize("options", [None, {"fewest_trades": True}], ids=["arrays", "objects"])
    async def test_rules_hold_in_runs_of_a_book(
        self, client: httpx.AsyncClient, model: dict[str, Any], options: Any
    ) -> None:
        await add(client, A_TENTH, as_option=True, part="0.44")
        await add(client, A_TENTH, name="of P", part="0.3", portfolios=[P])
        body = {"models": [model["model_id"]], **({"options": options} if options else {})}

        begun = (await client.post("/api/v1/runs", json=body)).json()
        await wait_until_over(client, begun["run_id"])

        run = (await client.get(f"/api/v1/runs/{begun['run_id']}")).json()
        stored = (await client.get(f"/api/v1/rebalance/{run['rebalances'][0]}")).json()
        found = {element["portfolio_id"]: results(element) for element in stored["portfolios"]}
        assert found == {
            P: [(A_TENTH["name"], "PASS"), ("of P", "BLOCK")],
            Q: [(A_TENTH["name"], "PASS")],
        }


class TestOrders:
    async def test_orders_of_portfolios_that_break_a_rule_are_not_sent(
        self, client: httpx.AsyncClient, model: dict[str, Any], desk: OrderDesk
    ) -> None:
        await add(client, A_TENTH, portfolios=[P])
        await add(client, A_TENTH, name="warning", severity="WARN")
        rebalance_id = (await rebalance(client, model))[0]["rebalance_id"]

        answers = [await client.post(f"/api/v1/rebalance/{rebalance_id}/orders") for _ in range(2)]

        assert [answer.status_code for answer in answers] == [207, 207]
        assert read_counts(answers[1]) == {"PENDING": 2, "SENT": 2}
        assert {portfolio for portfolio, _ in await desk.read_keys()} == {Q}
        messages = {order["message"] for order in answers[1].json()["orders"]}
        assert messages == {None, "not sent: the plan breaks a rule of severity BLOCK"}
