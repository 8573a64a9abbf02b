"""`ordergen`: the service from a terminal.

A command imports its modules when it runs, because otherwise `--help` would wait for them. The
commands are in commands/, one module a noun:

    service.py    serve, demo, stop, check-config
    model.py      models: show, create, edit, try, ...; by serve_app.client, as all below
    query.py      rebalance, show, drift, export
    trade.py      trades: those of a rebalance, to review
    optimize.py   optimize: rebalance what files give whole, here or at a service
    template.py   template: example files for optimize
    order.py      hand-over, orders
    proposal.py   proposals list, show, propose, approve, reject, hold, release, ...
    rule.py       rules list, show, create, replace, delete
    login.py      login, logout: at the identity provider of a service
    key.py        keys create, list, rotate, revoke
    run.py        runs list, begin, show, follow, cancel
    audit.py      audit list, verify, export
    book.py       book scan, show, histogram
    portfolio.py  portfolios find, last
    rebalance.py  rebalances outcomes, outcome, totals, causes, delete
    doctor.py     doctor: check this machine and name remedies
    system.py     system: the state and the settings of a running service
    replay.py     replay: solve a stored rebalance again

Those that call a service share their options in service_command.py. The exit codes are in
exit_codes.py.
"""

import typer

from serve_app.cli.commands import (
    audit,
    book,
    doctor,
    key,
    login,
    model,
    optimize,
    order,
    portfolio,
    proposal,
    query,
    rebalance,
    replay,
    rule,
    run,
    service,
    system,
    template,
    trade,
)

EPILOG = (
    "Exit codes: 0 done; 1 refused, nothing rebalanced, a check failed or a difference found; "
    "2 a wrong argument, id, file or setting; 3 the service does not answer in time; "
    "130 interrupted."
)

cli = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    epilog=EPILOG,
    help="Keep investment models and rebalance the portfolios that follow them.",
)
groups = (
    service,
    query,
    optimize,
    template,
    trade,
    order,
    login,
)
for part in (*groups, doctor, system, replay):
    cli.add_typer(part.commands)
for group in (
    model,
    run,
    book,
    portfolio,
    rebalance,
    proposal,
    rule,
    key,
    audit,
):
    cli.add_typer(group.commands)
