"""The alerting file: which channels there are, who is told of what, and when.

Secrets do not stand in it: it names the environment variables that hold them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import time, timedelta
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self, get_args

from pydantic import BeforeValidator, Field, TypeAdapter, ValidationError, model_validator

from schemas.alerts import Rule, Severity
from schemas.errors import UserError
from streams.alerts.policy import Digest, Policy, QuietHours, Renotify, Route
from streams.budgets.fields import Names, Scope, Zone
from streams.file_model import FileModel, known_or_nearest, mistake, wrong
from streams.yaml_file import YamlFile

_SHAPE = "a mapping with `channels:` and `routes:` was expected; see examples/alerting.yaml"
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
LONGEST = timedelta(days=31)


def _duration(value: Any) -> Any:
    if isinstance(value, timedelta):
        return value
    found = re.fullmatch(r"(\d{1,6}) ?([smhd])", str(value))
    length = timedelta(seconds=int(found[1]) * _UNITS[found[2]]) if found else timedelta()
    if not timedelta() < length <= LONGEST:
        raise wrong(value, "write seconds, minutes, hours or days, such as 90s, 10m, 4h or 1d")
    return length


def duration(text: str, what: str) -> timedelta:
    """A duration as it is written here: `90m`, `4h`. Raises UserError that names ``what``."""
    try:
        return TypeAdapter(Duration).validate_python(text)
    except ValidationError:
        raise UserError(
            f"{what} {text}: write seconds, minutes, hours or days, such as 90s, 10m, 4h or 1d, "
            f"at most {LONGEST.days}d"
        ) from None


def _clock(value: Any) -> Any:
    found = re.fullmatch(r"([01]\d|2[0-3]):([0-5]\d)", str(value))
    if isinstance(value, time) or found is None:
        return value if isinstance(value, time) else _refuse(value)
    return time(int(found[1]), int(found[2]))


def _refuse(value: Any) -> Any:
    raise wrong(value, 'write a time in quotes, such as "22:00"')


def _rules(value: Any) -> Any:
    known = get_args(Rule)
    for index, name in enumerate(value if isinstance(value, list | tuple) else [value]):
        if name not in known:
            raise mistake(f"{name!r} is no rule; {known_or_nearest(str(name), known)}", index)
    return value if isinstance(value, list | tuple) else [value]


def _one_severity(value: Any) -> Any:
    known = get_args(Severity)
    if value not in known:
        raise wrong(value, f"write {', '.join(known)}")
    return value


def _variable(value: Any) -> Any:
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", value):
        raise mistake("is no name of an environment variable; the secret itself stays out of here")
    return value


Duration = Annotated[timedelta, BeforeValidator(_duration)]
Clock = Annotated[time, BeforeValidator(_clock)]
Rules = Annotated[tuple[Rule, ...], BeforeValidator(_rules)]
AtLeast = Annotated[Severity, BeforeValidator(_one_severity)]
Variable = Annotated[str, BeforeValidator(_variable)]


class ChannelEntry(FileModel):
    """One channel: a Slack webhook, a Slack bot, or an HTTP receiver."""

    noun: ClassVar[str] = "a channel"

    slack_webhook_env: Variable | None = None
    slack_bot_token_env: Variable | None = None
    slack_channel: str | None = None
    webhook_env: Variable | None = None
    secret_env: Variable | None = None

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        kinds = (self.slack_webhook_env, self.slack_bot_token_env, self.webhook_env)
        if sum(kind is not None for kind in kinds) != 1:
            raise mistake(
                "needs one of slack_webhook_env, slack_bot_token_env or webhook_env, which name "
                "the environment variable that holds the address or token"
            )
        if (self.slack_bot_token_env is None) != (self.slack_channel is None):
            raise mistake("slack_bot_token_env and slack_channel belong together; write both")
        if (self.webhook_env is None) != (self.secret_env is None):
            raise mistake("webhook_env and secret_env belong together; write both")
        return self


class RouteEntry(FileModel):
    """Where the alerts go that it matches."""

    noun: ClassVar[str] = "a route"

    to: Names = Field(examples=["[ops]"])
    rules: Rules = ()
    scope: Scope = Field(default_factory=dict)
    severity: AtLeast = "info"


class QuietEntry(FileModel):
    """When nobody is told of what can wait."""

    noun: ClassVar[str] = "quiet_hours"

    start: Clock = Field(examples=['"22:00"'])
    end: Clock = Field(examples=['"07:00"'])
    timezone: Zone = "UTC"
    weekends: bool = False
    unless: AtLeast = "critical"


class DigestEntry(FileModel):
    """What is collected."""

    noun: ClassVar[str] = "digest"

    every: Duration = Field(examples=["1h"])
    severity: AtLeast = "info"


class RenotifyEntry(FileModel):
    """What is told again."""

    noun: ClassVar[str] = "renotify"

    every: Duration = Field(examples=["1d"])
    severity: AtLeast = "critical"


class Alerting(FileModel):
    """The whole file. Without routes every channel is told of everything."""

    noun: ClassVar[str] = "an alerting file"

    channels: Mapping[str, ChannelEntry] = {}
    routes: tuple[RouteEntry, ...] = ()
    quiet_hours: QuietEntry | None = None
    digest: DigestEntry | None = None
    renotify: RenotifyEntry | Literal["off"] | None = None
    cooldown: Duration | None = None
    link: str | None = None
    """Address of a page about an alert; `{alert_id}` in it is replaced."""

    @model_validator(mode="after")
    def _known_channels(self) -> Self:
        known = {*self.channels, *ENVIRONMENT_CHANNELS}
        for index, route in enumerate(self.routes):
            for name in route.to:
                if name not in known:
                    raise mistake(
                        f"{name!r} is no channel; {known_or_nearest(name, sorted(known))}",
                        *("routes", index, "to"),
                    )
        return self

    @property
    def policy(self) -> Policy:
        """What is asked before somebody is told."""
        routes = tuple(
            Route(entry.to, entry.rules, tuple(entry.scope.items()), entry.severity)
            for entry in self.routes
        )
        quiet = digest = None
        if (hours := self.quiet_hours) is not None:
            quiet = QuietHours(hours.start, hours.end, hours.timezone, hours.weekends, hours.unless)
        if self.digest is not None:
            digest = Digest(self.digest.every, self.digest.severity)
        renotify: Renotify | None = Policy().renotify
        if isinstance(self.renotify, RenotifyEntry):
            renotify = Renotify(self.renotify.every, self.renotify.severity)
        elif self.renotify == "off":
            renotify = None
        return Policy(routes, quiet, digest, renotify, self.cooldown or timedelta(0))


ENVIRONMENT_CHANNELS = ("slack", "slack-bot", "webhook")
"""Channels that settings make without a file."""


def read_alerting(path: Path) -> Alerting:
    """Read and check the file. Raises UserError: file, line, place, what would be right."""
    return YamlFile.read(path, shape=_SHAPE).validated(Alerting)
