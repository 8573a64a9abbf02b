"""Request for a rebalance: from tables, from options as JSON, or from a JSON body as a whole."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from json import JSONDecodeError
from typing import Any, Final

from pydantic import ValidationError

from optimization import Model
from optimization.errors import OptionsConflictError, RuleError, UnmatchedIdsError, format_value
from serve_app.api.schemas.optimize import (
    BodyRefusedError,
    GivenModel,
    GivenPortfolio,
    GivenPosition,
    OptimizeBody,
    convert_model,
    convert_options,
    parse_body,
)
from serve_app.api.schemas.options import RebalanceOptionsBody
from serve_app.files.columns import Currencies
from serve_app.files.faults import Faults, FilesRefusedError, Place, refuse
from serve_app.files.holdings_table import Accounts, read_holdings
from serve_app.files.model_table import ModelTargets, read_model
from serve_app.files.options_table import PortfolioOptions, read_options
from serve_app.files.price_table import read_prices
from serve_app.files.roles import assign_roles
from serve_app.files.table import Table
from serve_app.json_text import AmbiguousTextError, decode, json_errors
from serve_app.ports.optimize import GivenOptions
from serve_app.problems.pointers import format_pointer, json_pointer

OPTIONS: Final = "options"
NO_CASH: Final = "no cash is given: counted as 0"


@dataclass(frozen=True, slots=True)
class GivenRequest:
    """Checked input of a rebalance; ``without_cash`` are portfolios without cash in the files."""

    body: OptimizeBody
    model: Model
    options: GivenOptions
    without_cash: tuple[str, ...] = ()

    @property
    def notes(self) -> dict[str, str]:
        """Assumptions about single portfolios, by portfolio id."""
        return dict.fromkeys(self.without_cash, NO_CASH)

    @property
    def summary(self) -> str:
        """One line about all assumptions, in ASCII for a header; empty without assumptions."""
        count, total = len(self.without_cash), len(self.body.portfolios)
        whole = f"{count:,} of {total:,} portfolios: counted as 0"
        return f"no cash is given for {whole}" if count else ""


def parse_request(file: str, text: bytes) -> GivenRequest:
    """Read the JSON of POST /optimize; raise FilesRefusedError."""
    try:
        return _check_request(parse_body(text), Place(file), Place(file))
    except BodyRefusedError as error:
        raise _refuse_places(Place(file), error.errors) from error


def with_options(request: GivenRequest, options: RebalanceOptionsBody | None) -> GivenRequest:
    """Add options to a request; raise FilesRefusedError if the request has options already."""
    if options is None:
        return request
    if request.body.options is not None:
        raise refuse(Place(OPTIONS), "the JSON file has options, too: give them once")
    body = request.body.model_copy(update={"options": options})
    return _check_request(body, Place(OPTIONS), Place(OPTIONS), without_cash=request.without_cash)


def build_request(
    tables: Sequence[Table], options: RebalanceOptionsBody | None = None
) -> GivenRequest:
    """Read holdings, prices and model from tables; raise FilesRefusedError with every fault."""
    roles = assign_roles(tables)
    faults = Faults()
    currencies = Currencies(faults)
    model = read_model(roles.model[0], faults, currencies)
    prices = read_prices(roles.prices, faults, currencies)
    known = prices.places.keys() | model.bands.keys()
    accounts = read_holdings(roles.holdings, known.__contains__, faults, currencies)
    own = read_options(roles.options, accounts, options, faults, currencies)
    faults.require_none()
    if not accounts:
        raise refuse(roles.holdings[0].header_row_place, "the table has no portfolio")
    body = OptimizeBody.model_construct(
        model=GivenModel.model_construct(name="given", positions=_build_positions(model)),
        prices=prices.values,
        portfolios=_build_portfolios(accounts, own),
        options=options,
    )
    without_cash = tuple(
        portfolio_id for portfolio_id, account in accounts.items() if account.cash is None
    )
    return _check_request(body, model.place, Place(OPTIONS), own, without_cash)


def parse_json_options(file: str, text: bytes) -> RebalanceOptionsBody:
    """Read options; raise FilesRefusedError with the place of each fault."""
    try:
        return RebalanceOptionsBody.model_validate(decode(text))
    except (JSONDecodeError, AmbiguousTextError) as error:
        raise _refuse_places(Place(file), json_errors(error)) from error
    except ValidationError as error:
        errors = error.errors(include_url=False, include_context=False, include_input=False)
        entries = [{**entry, "loc": ("body", *entry["loc"])} for entry in errors]
        raise _refuse_places(Place(file), entries) from error


def _build_positions(model: ModelTargets) -> list[GivenPosition]:
    return [
        GivenPosition.model_construct(
            security_id=security, target=weight, low_drift=band.low, high_drift=band.high
        )
        for security, (weight, band) in model.bands.items()
    ]


def _build_portfolios(
    accounts: Accounts, own: Mapping[str, PortfolioOptions]
) -> list[GivenPortfolio]:
    return [
        GivenPortfolio.model_construct(
            portfolio_id=portfolio_id,
            cash=account.cash or Decimal(0),
            holdings=account.holdings,
            options=own[portfolio_id].body if portfolio_id in own else None,
        )
        for portfolio_id, account in accounts.items()
    ]


def _check_request(
    body: OptimizeBody,
    model_place: Place,
    options_place: Place,
    own: Mapping[str, PortfolioOptions] | None = None,
    without_cash: tuple[str, ...] = (),
) -> GivenRequest:
    """Check model and options against each other; raise FilesRefusedError."""
    try:
        return GivenRequest(body, convert_model(body), convert_options(body), without_cash)
    except RuleError as error:
        at = model_place if error.field[:1] == ("model",) else options_place
        raise refuse(
            at, f"{format_pointer(error.field)}: {error.rule}", format_value(error.value)
        ) from error
    except UnmatchedIdsError as error:
        faults = Faults()
        for path, security_id in error.places:
            at = _find_option_place(body, path, options_place, own or {})
            faults.add(at, security_id, "it is in no portfolio and not in the model")
        raise FilesRefusedError(faults.entries, faults.omitted) from error
    except OptionsConflictError as error:
        raise refuse(options_place, str(error)) from error


def _find_option_place(
    body: OptimizeBody,
    path: Sequence[str | int],
    options_place: Place,
    own: Mapping[str, PortfolioOptions],
) -> Place:
    """Return the cell of an option of one portfolio; for other options, their JSON pointer."""
    if own and path[0] == "portfolios":
        _, index, _, name, *_ = path
        return own[body.portfolios[int(index)].portfolio_id].places[str(name)]
    return Place(options_place.file, column=json_pointer([str(step) for step in path]))


def _refuse_places(place: Place, entries: Sequence[Mapping[str, Any]]) -> FilesRefusedError:
    """Build the refusal of violations, which come in the form of pydantic."""
    faults = Faults()
    for entry in entries:
        _, *path = entry["loc"]
        if entry["type"] == "json_invalid":
            rule = f"invalid JSON: {entry['ctx']['error']} at character {path[0]}"
            faults.add(place, None, rule)
            continue
        rule = "unknown field" if entry["type"] == "extra_forbidden" else str(entry["msg"])
        pointer = json_pointer([str(step) for step in path if step != "[key]"])
        faults.add(Place(place.file, column=pointer), None, rule)
    return FilesRefusedError(faults.entries, faults.omitted)
