"""Rules of models that differ from GlobeCo's, in force for every request."""

from starlette.types import ASGIApp, Receive, Scope, Send

from optimization import ModelRules
from serve_app.api.schemas.rules_in_force import use_rules


class UnderRules:
    """Puts rules in force for the requests of an application."""

    def __init__(self, app: ASGIApp, rules: ModelRules) -> None:
        self.app = app
        self.rules = rules

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with use_rules(self.rules):
            await self.app(scope, receive, send)
