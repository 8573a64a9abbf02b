"""Load on a running service, for locust: what a portal and an operations team send in a day.

    make load URL=http://127.0.0.1:8088 USERS=20 DURATION_S=60

Each user sends one request a second (less if answers take longer), so that USERS is the rate that
is asked for. The models of the service are used as they are; rebalances are stored, orders are
never sent. The report stands in .cache/load. The exit code is 1 if a request failed, or if the
99th percentile of all is above P99_MS.
"""

import os
import random
import sys
from typing import Any

from locust import FastHttpUser, constant_throughput, events, task
from locust.env import Environment

FEW_PORTFOLIOS = 50  # a rebalance of more is work for a run
MODELS = 100
TIMEOUT_S = 30.0
P99_MS = float(os.environ.get("P99_MS", "2000"))
TOKEN = os.environ.get("ORDERGEN_TOKEN", "")


class Desk(FastHttpUser):
    """A user who mostly looks, and rebalances now and then."""

    wait_time = constant_throughput(1)
    connection_timeout = network_timeout = TIMEOUT_S

    def on_start(self) -> None:
        """List the models; the load ends if no model has a portfolio."""
        self.headers = {"Authorization": f"Bearer {TOKEN}"} if TOKEN else {}
        answer = self.client.get(f"/api/v1/models?limit={MODELS}", headers=self.headers)
        self.models = [model for model in answer.json() or () if model.get("portfolios")]
        if not self.models:
            sys.stderr.write("no model with a portfolio: `make demo` has some\n")
            self.environment.process_exit_code = 2
            self.environment.runner.quit()

    def call(self, method: str, path: str, name: str, **more: Any) -> None:
        """Send a request, and report it under its route."""
        self.client.request(method, f"/api/v1{path}", name=name, headers=self.headers, **more)

    def choose_portfolio(self) -> str:
        """Choose a portfolio of any model."""
        return random.choice(random.choice(self.models)["portfolios"])

    @task(8)
    def read_model(self) -> None:
        model = random.choice(self.models)["model_id"]
        self.call("GET", f"/model/{model}", "GET /model/{model_id}")

    @task(4)
    def list_rebalances(self) -> None:
        self.call("GET", "/rebalances/summary?limit=20", "GET /rebalances/summary")

    @task(4)
    def measure_drift(self) -> None:
        path = f"/portfolio/{self.choose_portfolio()}/drift"
        self.call("GET", path, "GET /portfolio/{portfolio_id}/drift")

    @task(6)
    def rebalance_portfolio(self) -> None:
        path = f"/portfolio/{self.choose_portfolio()}/rebalance"
        self.call("POST", path, "POST /portfolio/{portfolio_id}/rebalance", json={})

    @task(1)
    def rebalance_model(self) -> None:
        small = [model for model in self.models if len(model["portfolios"]) <= FEW_PORTFOLIOS]
        if small:
            path = f"/model/{random.choice(small)['model_id']}/rebalance"
            self.call("POST", path, "POST /model/{model_id}/rebalance", json={})


@events.quitting.add_listener
def judge(environment: Environment, **_: Any) -> None:
    """End with 1 if the slowest of a hundred requests took too long; a failure is 1 anyway."""
    slowest = environment.stats.total.get_response_time_percentile(0.99)
    if environment.process_exit_code is None and slowest > P99_MS:
        sys.stderr.write(f"the 99th percentile is {slowest:.0f} ms, above {P99_MS:.0f} ms\n")
        environment.process_exit_code = 1
