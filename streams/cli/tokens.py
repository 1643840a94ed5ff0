"""`spendstream tokens`: make tokens for who writes over HTTP or reads the page; check the file."""

from __future__ import annotations

from pathlib import Path

import click

from schemas.errors import UserError
from streams.web.tokens import (
    ACKNOWLEDGE,
    PAGE,
    SCOPES,
    WRITING,
    Token,
    Tokens,
    entry,
    new_token,
    read_tokens,
)
from streams.yaml_file import YamlFile


@click.group()
def tokens() -> None:
    """Make tokens for who writes over HTTP or reads the page, and check the file. Example:

    spendstream tokens new --name ci --team search
    """


@tokens.command()
@click.option("--name", required=True, help="What logs and answers call it.")
@click.option(
    "--team",
    "teams",
    multiple=True,
    metavar="TEAM",
    help="A team that it may write for, or a pattern such as 'ads-*'; may be repeated. Needed for "
    "what writes: events, outcomes, traces, metrics.",
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
@click.option(
    "--sees-department",
    "departments",
    multiple=True,
    metavar="NAME",
    help="Whose spend the page shows to its holder; may be repeated. [default: that of its teams, "
    "everybody's without any]",
)
@click.option(
    "--sees-team", "seen_teams", multiple=True, metavar="NAME", help="The same for a team."
)
def new(
    name: str,
    teams: tuple[str, ...],
    scopes: tuple[str, ...],
    departments: tuple[str, ...],
    seen_teams: tuple[str, ...],
) -> None:
    """Print a new token, once, and the lines for the tokens file. Examples:

    \b
        spendstream tokens new --name ci --team search
        spendstream tokens new --name cfo --scope page --scope acknowledge
        spendstream tokens new --name ada --scope page --sees-department risk

    The token goes to standard error, the lines to standard output: `>> tokens.yaml` appends them.
    """
    if not teams and (writing := sorted(WRITING.intersection(scopes))):
        raise UserError(
            f"--team: the scope {writing[0]} needs one; write for example --team search"
        )
    secret = new_token()
    lines = entry(name, secret, teams, scopes, {"departments": departments, "teams": seen_teams})
    # What could not be read again is told here.
    YamlFile(f"tokens:\n{lines}\n".encode(), "new token", shape="").validated(Tokens)
    click.echo(f"the token, shown only now: {secret}", err=True)
    click.echo("below the line `tokens:` of the file goes:", err=True)
    click.echo(lines)


@tokens.command()
@click.argument("file", type=click.Path(path_type=Path))
def check(file: Path) -> None:
    """Say what each token of a file may do. Exit code 2: the file has a mistake. Example:

    spendstream tokens check tokens.yaml
    """
    for token in read_tokens(file).tokens:
        click.echo(f"{token.name}: {'; '.join(_may(token))}")


def _may(token: Token) -> list[str]:
    sent = [scope for scope in token.scopes if scope not in (PAGE, ACKNOWLEDGE)]
    parts = []
    if sent:
        whose = f" for {', '.join(token.teams)}" if token.teams else ""
        parts.append(f"may send {', '.join(sent)}{whose}")
    if given := token.fields():
        defaults = ", ".join(f"{name} {value}" for name, value in given.items())
        parts.append(f"sets where left out: {defaults}")
    if PAGE in token.scopes:
        parts.append(f"sees {_seen(token)} on the page")
    if ACKNOWLEDGE in token.scopes:
        parts.append("may acknowledge alerts")
    return parts


def _seen(token: Token) -> str:
    if token.sees_all:
        return "everything"
    if token.sees is None:
        return f"team {', '.join(token.teams)}"
    kinds = (("department", token.sees.departments), ("team", token.sees.teams))
    return " and ".join(f"{kind} {', '.join(names)}" for kind, names in kinds if names)
