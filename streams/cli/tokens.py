"""`spendstream tokens`: make tokens for producers that write over HTTP, and check the file."""

from __future__ import annotations

from pathlib import Path

import click

from streams.web.tokens import SCOPES, Tokens, entry, new_token, read_tokens, sha256


@click.group()
def tokens() -> None:
    """Make tokens for producers that write over HTTP, and check the file of them. Example:

    spendstream tokens new --name ci --team search
    """


@tokens.command()
@click.option("--name", required=True, help="What logs and answers call it.")
@click.option(
    "--team",
    "teams",
    multiple=True,
    required=True,
    metavar="TEAM",
    help="A team that it may write for, or a pattern such as 'ads-*'; may be repeated.",
)
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice(SCOPES),
    default=("events",),
    show_default=True,
    help="What it may be used for; may be repeated.",
)
def new(name: str, teams: tuple[str, ...], scopes: tuple[str, ...]) -> None:
    """Print a new token, once, and the lines for the tokens file. Example:

        spendstream tokens new --name ci --team search

    The token goes to standard error, the lines to standard output: `>> tokens.yaml` appends them.
    """
    secret = new_token()
    # What could not be read again is told here.
    Tokens.model_validate(
        {"tokens": [{"name": name, "sha256": sha256(secret), "teams": teams, "scopes": scopes}]}
    )
    click.echo(f"the token, shown only now: {secret}", err=True)
    click.echo("below the line `tokens:` of the file goes:", err=True)
    click.echo(entry(name, secret, teams, scopes))


@tokens.command()
@click.argument("file", type=click.Path(path_type=Path))
def check(file: Path) -> None:
    """Say what each token of a file may do. Exit code 2: the file has a mistake. Example:

    spendstream tokens check tokens.yaml
    """
    for token in read_tokens(file).tokens:
        given = token.fields()
        defaults = ", ".join(f"{name} {value}" for name, value in given.items())
        click.echo(
            f"{token.name}: may send {', '.join(token.scopes)} for {', '.join(token.teams)}"
            + (f"; sets where left out: {defaults}" if defaults else "")
        )
