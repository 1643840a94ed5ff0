"""The entry point: one group of commands, one line for a user's mistake."""

from __future__ import annotations

import importlib
import logging
import sys
from typing import Any

import click

from schemas.errors import SpendstreamError, UserError

COMMANDS = {
    "up": "streams.cli.up:up",
    "demo": "streams.cli.demo:demo",
    "meter": "streams.cli.stages:meter",
    "sink": "streams.cli.stages:sink",
    "guard": "streams.cli.stages:guard",
    "web": "streams.cli.stages:web",
    "embedded-clickhouse": "streams.cli.stages:embedded_clickhouse",
    "replay": "streams.cli.replay:replay",
    "import": "streams.cli.imports:import_",
    "sql": "streams.cli.sql:sql",
    "reconcile": "streams.cli.reconcile:reconcile",
    "reprice": "streams.cli.reprice:reprice",
    "invoice": "streams.cli.invoice:invoice",
    "dlq": "streams.cli.dlq:dlq",
    "migrate": "streams.cli.migrate:migrate",
    "doctor": "streams.cli.doctor:doctor",
    "prices": "streams.cli.prices:prices",
    "budgets": "streams.cli.budgets:budgets",
    "alerts": "streams.cli.alerts:alerts",
    "report": "streams.cli.report:report",
    "whatif": "streams.cli.whatif:whatif",
    "agreements": "streams.cli.agreements:agreements",
    "explain": "streams.cli.explain:explain",
    "export": "streams.cli.export:export",
    "close": "streams.cli.close:close",
    "tokens": "streams.cli.tokens:tokens",
    "routing": "streams.cli.routing:routing",
}
HIDDEN = {"embedded-clickhouse"}


class LazyGroup(click.Group):
    """Imports a command when it is used: `--help` must not wait for Kafka and polars."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order of the table."""
        return [name for name in COMMANDS if name not in HIDDEN]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command with this name."""
        if cmd_name not in COMMANDS:
            return None
        module, attribute = COMMANDS[cmd_name].split(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="spendstream-server", prog_name="spendstream")
def cli() -> None:
    """A streaming meter for LLM spend.

    Try it with `spendstream demo`. Settings are environment variables SPENDSTREAM_*; commands
    find the stack that `spendstream up` runs from the same folder by themselves.
    """


def main(arguments: list[str] | None = None) -> Any:
    """Run a command. Exit code 0: done; 1: it failed or the answer is no; 2: a user's mistake."""
    # What a client library has to say about a neighbour that is away is said once, by us.
    for library in ("aiokafka", "clickhouse_connect"):
        logging.getLogger(library).addHandler(logging.NullHandler())
    try:
        sys.exit(cli.main(arguments, prog_name="spendstream", standalone_mode=False) or 0)
    except click.Abort:
        sys.exit(130)
    except click.exceptions.Exit as done:
        sys.exit(done.exit_code)
    except click.UsageError as error:
        hint = f" (see {error.ctx.command_path} --help)" if error.ctx else ""
        _say(f"{error.format_message()}{hint}")
        sys.exit(2)
    except click.ClickException as error:
        _say(error.format_message())
        sys.exit(2)
    except UserError as error:
        _say(str(error))
        sys.exit(2)
    except SpendstreamError as error:
        _say(str(error))
        sys.exit(1)


def _say(message: str) -> None:
    # click spreads the choices of a missing option over lines.
    click.echo(f"spendstream: {' '.join(message.split())}", err=True)
