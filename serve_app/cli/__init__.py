"""`ordergen`: the service from a terminal.

A command imports its modules when it runs, because otherwise `--help` would wait for them.

    service_commands.py  serve, demo, stop, check-config
    model_commands.py    models: show, create, edit, try, ...; by serve_app.client, as all below
    query_commands.py    rebalance, show, drift, export
    trade_command.py     trades: those of a rebalance, to review
    optimize_command.py  optimize: rebalance what files give whole, here or at a service
    template_command.py  template: example files for optimize
    order_commands.py    hand-over, orders
    proposal_commands.py proposals list, show, propose, approve, reject, hold, release, ...
    rule_commands.py     rules list, show, create, replace, delete
    login_commands.py    login, logout: at the identity provider of a service
    key_commands.py      keys create, list, rotate, revoke
    run_commands.py      runs list, begin, show, follow, cancel
    audit_commands.py    audit list, verify, export
    book_commands.py     book scan, show, histogram
    portfolio_commands.py portfolios find, last
    rebalance_commands.py rebalances outcomes, outcome, totals, causes, delete
    doctor_command.py    doctor: check this machine and name remedies
    system_command.py    system: the state and the settings of a running service
    replay_command.py    replay: solve a stored rebalance again

The options that all of them share are in service_command.py, the exit codes in exit_codes.py.
"""

import typer

from serve_app.cli import (
    audit_commands,
    book_commands,
    doctor_command,
    key_commands,
    login_commands,
    model_commands,
    optimize_command,
    order_commands,
    portfolio_commands,
    proposal_commands,
    query_commands,
    rebalance_commands,
    replay_command,
    rule_commands,
    run_commands,
    service_commands,
    system_command,
    template_command,
    trade_command,
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
    service_commands,
    query_commands,
    optimize_command,
    template_command,
    trade_command,
    order_commands,
    login_commands,
)
for part in (*groups, doctor_command, system_command, replay_command):
    cli.add_typer(part.commands)
for group in (
    model_commands,
    run_commands,
    book_commands,
    portfolio_commands,
    rebalance_commands,
    proposal_commands,
    rule_commands,
    key_commands,
    audit_commands,
):
    cli.add_typer(group.commands)
