"""Who may ask, and what with: the users of the embedded endpoint."""

import base64
import binascii
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field

from sinks.embedded.errors import AUTHENTICATION_FAILED, QueryError


@dataclass(frozen=True)
class User:
    """A name and password for the endpoint. All users share the data.

    A ``readonly`` user may run statements that only read (SELECT, SHOW, DESCRIBE, EXPLAIN,
    EXISTS, CHECK) and change any setting but ``readonly`` itself: ClickHouse's ``readonly=2``.
    The engine itself knows only ``default``, which is what ``currentUser()`` says to everyone.
    """

    name: str
    password: str = field(default="", repr=False)
    readonly: bool = False


DEFAULT_USERS: tuple[User, ...] = (User("default"),)


def authenticate(
    users: tuple[User, ...], headers: Mapping[str, str], params: Mapping[str, str]
) -> User:
    """The user of a request, by HTTP basic auth, X-ClickHouse-User/-Key, or user/password.

    Without any of them it is ``default`` with an empty password.

    Raises:
        QueryError: 516 if there is no such user or the password is wrong; which of the two is
            not told.
    """
    name, password = _credentials(headers, params)
    for user in users:
        if user.name == name and hmac.compare_digest(user.password.encode(), password.encode()):
            return user
    raise QueryError(
        AUTHENTICATION_FAILED,
        f"{name}: Authentication failed: password is incorrect, "
        "or there is no user with such name. (AUTHENTICATION_FAILED)",
    )


def _credentials(headers: Mapping[str, str], params: Mapping[str, str]) -> tuple[str, str]:
    authorization = headers.get("Authorization")
    if authorization is not None:
        return _basic(authorization)
    if "X-ClickHouse-User" in headers:
        return headers["X-ClickHouse-User"], headers.get("X-ClickHouse-Key", "")
    return params.get("user", "default"), params.get("password", "")


def _basic(authorization: str) -> tuple[str, str]:
    scheme, _, encoded = authorization.partition(" ")
    try:
        decoded = base64.b64decode(encoded, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        decoded = ""
    name, colon, password = decoded.partition(":")
    if scheme.lower() != "basic" or not colon:
        raise QueryError(
            AUTHENTICATION_FAILED,
            "Invalid authentication: only HTTP basic auth is known. (AUTHENTICATION_FAILED)",
        )
    return name, password
