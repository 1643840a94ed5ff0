"""`spendstream prices`: the price book, from all sides."""

from __future__ import annotations

import importlib

import click

COMMANDS = ("show", "history", "diff", "check")


class PricesGroup(click.Group):
    """Imports a command when it is used: one that reads a file must not wait for ClickHouse's."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order of their use."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command with this name."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"streams.cli.prices_{cmd_name}")
        command: click.Command = getattr(module, cmd_name)
        return command


@click.group(cls=PricesGroup)
def prices() -> None:
    """Look into the price book: docs/prices.md. Example:

    spendstream prices show openai/gpt-4o
    """
