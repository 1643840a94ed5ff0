"""Alerts by a bot token, on a real server: one message each, its history in the thread."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import traceback
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from schemas.alerts import Alert
from schemas.errors import UserError
from sinks.alert_samples import history
from sinks.channels import DeliveryDelayed, DeliveryError, DeliveryRejected
from sinks.slack_bot import SlackBot
from tests.support.slack import CHANNEL, NAME, TOKEN, Workspace, slack

OPENED, ESCALATED, ACKNOWLEDGED, RESOLVED, RESTATED = (
    alert.model_copy(update={"trend": ()})
    for alert in history("budget", datetime(2026, 11, 23, 12, tzinfo=UTC))
)
CHARTED = OPENED.model_copy(update={"trend": (Decimal(1), Decimal(2), Decimal(4))})


@pytest.fixture
async def workspace() -> AsyncIterator[Workspace]:
    async with slack() as running:
        yield running


@pytest.fixture
async def bot(workspace: Workspace) -> AsyncIterator[SlackBot]:
    bot = SlackBot("slack", TOKEN, NAME, base_url=workspace.api, timeout=2)
    yield bot
    await bot.close()


async def failure(bot: SlackBot, alert: Alert = OPENED, thread: str | None = None) -> DeliveryError:
    with pytest.raises(DeliveryError) as caught:
        await bot.send(alert, thread)
    return caught.value


async def test_an_alert_is_one_message_and_its_history_the_thread_below(
    bot: SlackBot, workspace: Workspace
) -> None:
    thread = None
    for alert in (OPENED, ESCALATED, ACKNOWLEDGED, RESOLVED, RESTATED):
        thread = await bot.send(alert, thread)
        (message,) = (one for one in workspace.messages if one.thread_ts is None)
        shown = message.head
        assert {
            "opened": "⚠️ Team",
            "escalated": "🚨 Escalated: ",
            "acknowledged": "👀 Acknowledged by maria.chan: ",
            "resolved": "✅ Resolved: ",
            "restated": "⚠️ Open again: ",
        }[alert.transition] in shown
    assert [(one.head[1:13], one.broadcast) for one in workspace.thread(message.ts)] == [
        ("🚨 Escalated:", True),
        ("👀 Acknowledg", False),
        ("✅ Resolved: ", False),
        ("⚠️ Open agai", True),
    ]
    assert message.edits == 4


async def test_a_thread_survives_a_restart(bot: SlackBot, workspace: Workspace) -> None:
    thread = await bot.send(OPENED)
    assert TOKEN not in thread
    later = SlackBot("slack", TOKEN, "#another-channel-by-now", base_url=workspace.api)
    assert await later.send(RESOLVED, thread) == thread
    await later.close()
    assert len(workspace.thread(workspace.messages[0].ts)) == 1


async def test_a_reminder_goes_into_the_thread_and_the_channel(
    bot: SlackBot, workspace: Workspace
) -> None:
    thread = await bot.send(OPENED)
    assert await bot.send(OPENED, thread, reminder=1) == thread
    parent, reminder = workspace.messages
    assert reminder.head.startswith("⏰ Still open: ")
    assert reminder.broadcast
    assert reminder.thread_ts == parent.ts
    assert parent.edits == 0
    ids = [sent["client_msg_id"] for _, sent in workspace.asked]
    assert len(set(ids)) == 2


async def test_a_digest_stands_alone(bot: SlackBot, workspace: Workspace) -> None:
    await bot.send_digest([OPENED, ESCALATED])
    (message,) = workspace.messages
    assert message.head == "📋 1 alert: 1 open, 0 resolved"
    assert message.thread_ts is None


async def test_a_message_that_somebody_deleted_is_made_anew(
    bot: SlackBot, workspace: Workspace
) -> None:
    thread = await bot.send(OPENED)
    workspace.messages.clear()
    again = await bot.send(RESOLVED, thread)
    assert again != thread or workspace.messages[0].thread_ts is None
    (message,) = workspace.messages
    assert message.head.startswith("✅ Resolved: ")


async def test_a_workspace_that_lets_nobody_edit_still_gets_the_reply(
    bot: SlackBot, workspace: Workspace, caplog: pytest.LogCaptureFixture
) -> None:
    thread = await bot.send(OPENED)
    workspace.refuse("chat.update", "edit_window_closed")
    await bot.send(RESOLVED, thread)
    assert len(workspace.thread(workspace.messages[0].ts)) == 1
    assert "shows an old state: answered edit_window_closed" in caplog.text


async def test_a_repeat_after_a_lost_answer_has_the_same_id(
    bot: SlackBot, workspace: Workspace
) -> None:
    workspace.lost_answers.add("chat.postMessage")
    assert isinstance(await failure(bot), DeliveryDelayed)
    await bot.send(OPENED)
    first, second = (sent for _, sent in workspace.asked)
    assert first["client_msg_id"] == second["client_msg_id"]
    assert first["metadata"] == {
        "event_type": "spendstream_alert",
        "event_payload": {
            "message_id": OPENED.transition_id,
            "alert_id": OPENED.alert_id,
            "rule": "budget",
        },
    }


async def test_a_reply_that_fails_is_repeated_without_a_second_one(
    bot: SlackBot, workspace: Workspace
) -> None:
    thread = await bot.send(OPENED)
    workspace.refuse("chat.postMessage", "internal_error")
    assert isinstance(await failure(bot, RESOLVED, thread), DeliveryDelayed)
    await bot.send(RESOLVED, thread)
    assert len(workspace.messages) == 2


async def test_a_message_that_slack_had_and_lost_is_sent_without_the_id(
    bot: SlackBot, workspace: Workspace
) -> None:
    workspace.refuse("chat.postMessage", "duplicate_message_not_found")
    await bot.send(OPENED)
    assert [("client_msg_id" in sent) for _, sent in workspace.asked] == [True, False]
    assert len(workspace.messages) == 1


async def test_two_bots_in_one_workspace_have_ids_of_their_own(
    bot: SlackBot, workspace: Workspace
) -> None:
    other = SlackBot("finance", TOKEN, CHANNEL, base_url=workspace.api)
    await bot.send(OPENED)
    await other.send(OPENED)
    await other.close()
    assert len({sent["client_msg_id"] for _, sent in workspace.asked}) == 2


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        ("invalid_auth", "copy the app's Bot User OAuth Token"),
        ("token_revoked", "install the app again"),
        ("not_in_channel", "write /invite"),
        ("channel_not_found", "invite the bot"),
        ("is_archived", "unarchive it"),
        ("restricted_action", "an admin restricts posting"),
        ("invalid_blocks", "report it with the alert's id"),
        ("something_new", "see https://docs.slack.dev"),
    ],
)
async def test_a_refusal_says_what_to_change(
    bot: SlackBot, workspace: Workspace, code: str, advice: str
) -> None:
    workspace.refuse("chat.postMessage", code)
    error = await failure(bot)
    assert isinstance(error, DeliveryRejected)
    assert str(error).startswith(f"answered {code}; ")
    assert advice in str(error)
    assert len(workspace.asked) == 1


async def test_a_missing_scope_is_named(bot: SlackBot, workspace: Workspace) -> None:
    workspace.refuse("chat.postMessage", "missing_scope", needed="chat:write", provided="none")
    error = await failure(bot)
    assert isinstance(error, DeliveryRejected)
    assert "lacks the scope chat:write: add it" in str(error)


async def test_a_wrong_token_is_refused_by_slack_itself(workspace: Workspace) -> None:
    bot = SlackBot("slack", "xoxb-another", NAME, base_url=workspace.api)
    assert "invalid_auth" in str(await failure(bot))
    await bot.close()


@pytest.mark.parametrize("code", ["ratelimited", "internal_error", "service_unavailable"])
async def test_what_slack_may_do_later_is_a_delay(
    bot: SlackBot, workspace: Workspace, code: str
) -> None:
    workspace.refuse("chat.postMessage", code)
    error = await failure(bot)
    assert isinstance(error, DeliveryDelayed)
    assert str(error) == f"answered {code}"


async def test_a_rate_limit_says_how_long(bot: SlackBot, workspace: Workspace) -> None:
    limited = {"ok": False, "error": "ratelimited"}
    workspace.answer("chat.postMessage", limited, 429, Retry_After="30")
    error = await failure(bot)
    assert isinstance(error, DeliveryDelayed)
    assert error.retry_after == 30.0
    assert len(workspace.asked) == 1


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("<h1>Bad gateway</h1>", 502),
        ({"ok": False, "error": "fatal_error"}, 503),
        ("welcome to the hotel", 200),
        ("", 200),
        ({"ok": True}, 200),
    ],
)
async def test_what_is_no_answer_of_slack_is_a_delay(
    bot: SlackBot, workspace: Workspace, body: str | dict[str, object], status: int
) -> None:
    workspace.answer("chat.postMessage", body, status)
    assert isinstance(await failure(bot), DeliveryDelayed)


async def test_a_redirect_is_refused_and_not_followed(bot: SlackBot, workspace: Workspace) -> None:
    workspace.answer("chat.postMessage", "", 302, Location=f"{workspace.api}login")
    error = await failure(bot)
    assert isinstance(error, DeliveryRejected)
    assert "a redirect" in str(error)
    assert len(workspace.asked) == 1


async def test_a_workspace_that_is_not_there_is_a_delay() -> None:
    bot = SlackBot("slack", TOKEN, NAME, base_url="http://127.0.0.1:1/api/")
    assert "could not be reached" in str(await failure(bot))
    await bot.close()


@pytest.mark.slow
async def test_a_chart_of_the_trend_goes_into_the_thread(
    bot: SlackBot, workspace: Workspace
) -> None:
    await bot.send(CHARTED)
    (share,) = workspace.shares
    assert share.content.startswith(b"\x89PNG")
    assert share.thread_ts == workspace.messages[0].ts
    assert share.alt_text == "from HK$1.00 to HK$4.00, limit HK$15,000"


@pytest.mark.parametrize("method", ["files.getUploadURLExternal", "upload"])
async def test_an_alert_without_its_chart_is_delivered(
    bot: SlackBot,
    workspace: Workspace,
    method: str,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def drawn(_: Alert) -> bytes:  # for real it takes seconds
        return b"a picture"

    monkeypatch.setattr("sinks.slack_bot.drawn", drawn)
    if method == "upload":
        workspace.answer("upload", "no", 500)
    else:
        workspace.refuse(method, "missing_scope", needed="files:write")
    thread = await bot.send(CHARTED)
    assert thread == f"{CHANNEL}:{workspace.messages[0].ts}"
    assert workspace.shares == []
    assert f"no chart for alert {CHARTED.alert_id}: answered " in caplog.text


async def test_a_chart_that_cannot_be_drawn_is_left_out(
    bot: SlackBot,
    workspace: Workspace,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.executable", "/nowhere/python")
    await bot.send(CHARTED)
    assert len(workspace.messages) == 1
    assert "no chart for alert" in caplog.text


async def test_no_token_is_in_an_error_its_traceback_a_repr_or_a_debug_log(
    bot: SlackBot, workspace: Workspace, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    said = repr(bot) + str(vars(bot)) + bot.name
    workspace.refuse("chat.postMessage", "invalid_auth")
    workspace.answer("chat.postMessage", f"you said: Bearer {TOKEN}", 400)
    workspace.answer("chat.postMessage", f"you said: Bearer {TOKEN}", 200)
    workspace.refuse("chat.postMessage", f"what is {TOKEN}?")
    for _ in range(4):
        error = await failure(bot)
        said += str(error) + repr(error) + "".join(traceback.format_exception(error))
    await bot.send(OPENED)
    assert TOKEN not in said + caplog.text
    assert "S3cr3t" not in said + caplog.text


async def test_several_alerts_at_once_are_several_messages(
    bot: SlackBot, workspace: Workspace
) -> None:
    alerts = [OPENED.model_copy(update={"scope": {"team": f"t{n}"}}) for n in range(8)]
    threads = await asyncio.gather(*(bot.send(alert) for alert in alerts))
    assert len(set(threads)) == 8


@pytest.mark.parametrize("token", ["", "xoxp-a-users", "S3cr3t", "xoxb-S3cr3t\r\nHost: evil"])
def test_a_token_that_is_none_is_a_users_mistake_and_is_not_repeated(token: str) -> None:
    with pytest.raises(UserError, match="begins with xoxb-") as caught:
        SlackBot("slack", token, NAME)
    assert "S3cr3t" not in str(caught.value)


@pytest.mark.slow
def test_what_draws_charts_and_pages_is_not_loaded_by_who_only_sends() -> None:
    heavy = "{'altair', 'vl_convert', 'jinja2'}"
    script = f"import sys, streams.alerts.channels; print({heavy} & sys.modules.keys())"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "set()\n"


def test_a_bot_without_a_channel_is_a_users_mistake() -> None:
    with pytest.raises(UserError, match="which Slack channel"):
        SlackBot("slack", TOKEN, " ")
