"""Names of the code: no name that the glossary has replaced, and no participle alone."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("optimization", "storage", "serve_app")
GLOSSARY = ROOT / "docs/index.md"

# Retired names of classes, functions, modules and constants, and their present names.
RETIRED: Mapping[str, str] = {
    # classes
    "Assembled": "BlockWithIds",
    "AtMostOnce": "Idempotent",
    "Attempts": "ChunkAttempts",
    "Awaiting": "AsyncCaller",
    "BaseShares": "BaseFractions",
    "Blocking": "SyncCaller",
    "BookRun": "Run",
    "BookRunStatus": "RunStatus",
    "BookRuns": "RunStore",
    "Budget": "TimeBudget",
    "CashProblem": "CashMilpData",
    "Collaborators": "Ports",
    "Compared": "Comparison",
    "CompiledProgram": "ParametricMilp",
    "Configured": "ServiceSettings",
    "Desk": "CoupledProblem",
    "DeskProblem": "CoupledMilpData",
    "DeskTerms": "TextbookTerms",
    "Drive": "RunDriver",
    "Evaluated": "Evaluation",
    "FullSteps": "BoundedSubsetSum",
    "GivenText": "RawRequest",
    "HandOver": "OrderSubmission",
    "HandOvers": "OrderSubmissionStore",
    "Kind": "ProblemKind",
    "Listed": "ListedRebalance",
    "Measured": "RequestMeasurement",
    "Once": "IdempotentRequest",
    "OrderBook": "OrderStore",
    "PagedAccounting": "PagedAccountingService",
    "Parts": "AllPorts",
    "Question": "starlette.requests.Request",
    "Reachable": "LivenessPort",
    "Refusals": "ErrorResponses",
    "Securities": "SecurityService",
    "Share": "BodySlice",
    "ShareReport": "SliceReport",
    "Structure": "SparseForm",
    "Tally": "RunProgress",
    "Terms": "CouplingConstraints",
    "Tight": "CashConstrainedProblem",
    "Told": "OnSolved",
    "Weighed": "WeightCount",
    "Written": "RawResponse",
    "WrittenShare": "WrittenSlice",
    # functions
    "answers_of": "list_answers",
    "as_written": "from_written",
    "assemble": "build_block",
    "book_run": "run",
    "book_run_json": "run_json",
    "cancel_book_run": "cancel_run",
    "column_of_parts": "parts_to_column",
    "constraints_of": "state_constraints",
    "costs_of": "compute_costs",
    "denominator_of": "find_denominator",
    "desk_problem": "coupled_problem",
    "edges_of": "compute_edges",
    "field_of": "find_field",
    "gap_of": "choose_gap",
    "gathered": "fill",
    "granularity_of": "compute_granularity",
    "kept_from_nearest": "binding_constraints",
    "margin_for": "compute_margin",
    "of_row": "read_row",
    "of_units": "from_units",
    "option_of": "find_option",
    "persistently": "retry_while_unavailable",
    "promising": "candidate_sets",
    "proof_of": "classify_proof",
    "remainders_of": "list_remainders",
    "shares_of": "state_base_fractions",
    "shortfall_of": "compute_shortfall",
    "sparse_form_of": "extract_sparse_form",
    "steps_of": "list_steps",
    "turnover_of": "read_turnover",
    "values_of": "read_values",
    "violation_of": "compute_violation",
    "weight_of": "compute_weight",
    "weights_of": "read_weights",
    "worth_of": "compute_worth",
    # modules
    "asked": "arguments",
    "asking": "query",
    "assembly": "block_builder",
    "book_runs": "run_store",
    "chords": "cover_search",
    "collaborators": "dependencies",
    "compiled": "parametric",
    "desk": "coupled_problem",
    "desk_plans": "coupled",
    "desk_program": "coupled_data",
    "editing": "model_edits",
    "elsewhere": "long_bodies",
    "ending": "exit_codes",
    "full_steps": "subset_sum",
    "hand_overs": "submission_store",
    "market": "simulator",
    "optimize_share": "body_slice",
    "order_book": "order_store",
    "rebalancing": "rebalances",
    "tally": "progress",
    "terms": "constraints",
    "tight": "cash_constrained",
    "wire": "schemas",
    # constants
    "HAIR": "FEASIBILITY_MARGIN",
    "NOISE": "FLOAT_NOISE",
    "REPAIRS": "MAX_TIGHTENINGS",
    "VAST": "MIN_LOTS_WITHOUT_SUBMIP",
}

PARTICIPLE = re.compile(
    r"\w+ed|\w+ing|begun|bought|built|chosen|done|drawn|found|given|held|kept|known|left|made|said"
    r"|seen|sent|shown|sold|taken|told|written"
)
# Adjectives and nouns, and the methods by which the driver calls a listener of commands.
NO_PARTICIPLES = {"embed", "heading", "ping", "string", "unsigned"}
OF_THE_DRIVER = {"failed", "started", "succeeded"}

WITH_PREPOSITION = re.compile(r"of|\w+_(of|from|for)")


def test_no_function_is_named_by_a_participle_alone() -> None:
    faults = [
        f"{place} {node.name}"
        for place, node in functions()
        if PARTICIPLE.fullmatch(node.name.strip("_"))
        and "_" not in node.name.strip("_")
        and not any("property" in ast.unparse(decorator) for decorator in node.decorator_list)
        and node.name.strip("_") not in NO_PARTICIPLES | OF_THE_DRIVER
    ]

    assert faults == []


def test_no_function_is_a_noun_with_a_preposition() -> None:
    faults = [
        f"{place} {node.name}"
        for place, node in functions()
        if WITH_PREPOSITION.fullmatch(node.name.strip("_"))
    ]

    assert faults == []


def test_no_loop_is_over_each_or_one() -> None:
    faults = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in sources()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Name)
        and isinstance(node.ctx, ast.Store)
        and node.id in {"each", "one"}
    ]

    assert faults == []


def test_no_class_function_module_or_constant_has_a_retired_name() -> None:
    places_by_name = {name: places for name, places in names().items() if name in RETIRED}

    assert {f"{name} -> {RETIRED[name]}": places for name, places in places_by_name.items()} == {}


def test_the_glossary_names_none_of_the_retired() -> None:
    rows = re.findall(r"^\| [^|]+ \| ([^|]*) \| ", GLOSSARY.read_text(), re.MULTILINE)
    glossary_names = {name for row in rows for name in re.findall(r"`(\w+)`", row)}

    assert len(glossary_names) > 15
    assert glossary_names.isdisjoint(RETIRED)


def sources() -> Iterator[Path]:
    """List the modules of the packages."""
    for package in PACKAGES:
        yield from sorted((ROOT / package).rglob("*.py"))


def functions() -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """List the functions and methods of the packages with their places."""
    for path in sources():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield f"{path.relative_to(ROOT)}:{node.lineno}", node


def names() -> Mapping[str, list[str]]:
    """List where each class, function, module and constant of the packages is defined."""
    places_by_name: defaultdict[str, list[str]] = defaultdict(list)
    for path in sources():
        place = str(path.relative_to(ROOT))
        steps = path.relative_to(ROOT).with_suffix("").parts
        for name in (steps[-1], *names_of(ast.parse(path.read_text()))):
            places_by_name[name].append(place)
        if steps[-1] == "__init__":
            places_by_name[steps[-2]].append(place)
    return places_by_name


def names_of(tree: ast.Module) -> Iterator[str]:
    """List the names of classes, functions and methods, and the names that a module assigns."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else []
        targets = [node.target] if isinstance(node, ast.AnnAssign) else targets
        for target in targets:
            yield from (part.id for part in ast.walk(target) if isinstance(part, ast.Name))
