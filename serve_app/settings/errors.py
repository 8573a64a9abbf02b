"""Error of an invalid setting."""


class SettingsError(ValueError):
    """Invalid setting; its one line names the setting and says what it may be.

    ``value`` is None if it could reveal a secret.
    """

    def __init__(self, variable: str, value: str | None, rule: str) -> None:
        super().__init__(variable, value, rule)
        self.variable = variable
        self.value = value
        self.rule = rule

    def __str__(self) -> str:
        shown = "" if self.value is None else f" is {self.value}"
        return f"{self.variable}{shown}: {self.rule}"
