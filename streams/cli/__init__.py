"""The command line `spendstream`."""

from streams.cli.main import main

__all__ = ["main"]
