"""Twenty keys without a database: who a key belongs to is in its name, ``sk-<team>-<user>``."""

from __future__ import annotations

from fastapi import HTTPException, Request
from litellm.proxy._types import UserAPIKeyAuth


async def user_api_key_auth(request: Request, api_key: str) -> UserAPIKeyAuth:
    kind, _, rest = api_key.partition("-")
    team, _, user = rest.rpartition("-u-")
    if kind != "sk" or not team:
        raise HTTPException(status_code=401, detail="no such key")
    return UserAPIKeyAuth(
        api_key=api_key,
        key_alias=f"key-{user}",
        team_id=f"id-of-{team}",
        team_alias=team,
        user_id=f"u-{user}",
    )
