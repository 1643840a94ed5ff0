from __future__ import annotations

import asyncio
import base64
import json
import logging
import socket
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from aiohttp import web
from slack_sdk.models.blocks import Block

from schemas.alerts import Alert
from schemas.errors import UserError
from sinks.channels import Channel, DeliveryDelayed, DeliveryError, DeliveryRejected
from sinks.slack import SlackWebhook
from sinks.webhook import InvalidSignature, Webhook, alert_json, sign, verify

TOKEN = "T0S3cr3tSecretToken"
SECRET = "whsec_" + base64.b64encode(b"a key of twenty-four byte").decode()
NOW = 1_795_437_450
ALERT = Alert(
    rule="budget",
    scope={"team": "sökning"},
    period="2026-11",
    threshold="80",
    transition="opened",
    severity="warning",
    title="Team sökning has used 80 % of its budget",
    detail="",
    action="Raise it.",
    value=Decimal("41.2"),
    limit=Decimal(50),
    since=datetime(2026, 11, 23, 12, 37, 30, tzinfo=UTC),
    at=datetime(2026, 11, 23, 12, 37, 31, tzinfo=UTC),
    journal="llm.spend",
    position=4711,
)

RESOLVED = ALERT.model_copy(update={"transition": "resolved", "number": 2})


class Receiver:
    """A real HTTP server; ``answer`` is what it does, ``received`` what it was sent."""

    def __init__(self) -> None:
        self.received: list[tuple[str, dict[str, str], bytes]] = []
        self.answer: Callable[[web.Request], Awaitable[web.StreamResponse]] = self.say(200, "ok")
        self.released = asyncio.Event()
        self.url = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.received.append((request.method, dict(request.headers), await request.read()))
        return await self.answer(request)

    def say(
        self, status: int, text: str = "", **headers: str
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def answer(_: web.Request) -> web.Response:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            return web.Response(status=status, text=text, headers=named)

        return answer

    async def hang(self, _: web.Request) -> web.Response:
        await self.released.wait()
        return web.Response()

    async def hang_up(self, request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", receiver.handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    receiver.url = f"http://127.0.0.1:{port}/services/{TOKEN}"
    yield receiver
    receiver.released.set()
    await runner.cleanup()


@pytest.fixture(params=["slack", "webhook"])
async def channel(
    request: pytest.FixtureRequest, receiver: Receiver
) -> AsyncIterator[SlackWebhook | Webhook]:
    channel: SlackWebhook | Webhook
    if request.param == "slack":
        channel = SlackWebhook("ops", receiver.url, timeout=0.3)
    else:
        channel = Webhook("ops", receiver.url, SECRET, timeout=0.3, clock=lambda: NOW)
    yield channel
    await channel.close()


async def failure(channel: Channel) -> DeliveryError:
    with pytest.raises(DeliveryError) as caught:
        await channel.send(ALERT)
    return caught.value


async def test_a_message_that_is_accepted_is_sent_once(
    channel: Channel, receiver: Receiver
) -> None:
    await channel.send(ALERT)
    await channel.send(ALERT)
    assert [method for method, _, _ in receiver.received] == ["POST", "POST"]


async def test_a_retry_after_header_delays_the_next_try(
    channel: Channel, receiver: Receiver
) -> None:
    receiver.answer = receiver.say(429, "rate_limited", Retry_After="30")
    error = await failure(channel)
    assert isinstance(error, DeliveryDelayed)
    assert error.retry_after == 30.0
    assert str(error) == "answered 429: rate_limited"
    assert len(receiver.received) == 1


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_one_attempt_per_send_and_no_hidden_retry(
    channel: Channel, receiver: Receiver, status: int
) -> None:
    receiver.answer = receiver.say(status, "not now")
    error = await failure(channel)
    assert isinstance(error, DeliveryDelayed)
    assert error.retry_after is None
    assert str(error) == f"answered {status}: not now"
    assert len(receiver.received) == 1


@pytest.mark.parametrize("status", [400, 403, 404, 410])
async def test_a_client_error_is_rejected_with_the_reason_and_what_to_check(
    channel: Channel, receiver: Receiver, status: int
) -> None:
    receiver.answer = receiver.say(status, "some_reason")
    error = await failure(channel)
    assert isinstance(error, DeliveryRejected)
    assert str(error).startswith(f"answered {status}: some_reason; check the ")


async def test_a_known_answer_of_slack_is_explained(receiver: Receiver) -> None:
    receiver.answer = receiver.say(404, "no_service")
    channel = SlackWebhook("ops", receiver.url)
    try:
        error = await failure(channel)
    finally:
        await channel.close()
    assert str(error) == (
        "answered 404: no_service; the webhook was removed or disabled: create a new one"
    )


async def test_a_receiver_that_hangs_is_a_delay(channel: Channel, receiver: Receiver) -> None:
    receiver.answer = receiver.hang
    error = await failure(channel)
    assert isinstance(error, DeliveryDelayed)
    assert str(error) == "no answer within 0.3 s"


async def test_a_connection_that_is_cut_is_a_delay_and_the_next_try_works(
    channel: Channel, receiver: Receiver
) -> None:
    receiver.answer = receiver.hang_up
    error = await failure(channel)
    assert isinstance(error, DeliveryDelayed)
    assert "could not be reached" in str(error)
    assert len(receiver.received) == 1
    receiver.answer = receiver.say(200, "ok")
    await channel.send(ALERT)
    assert len(receiver.received) == 2


async def test_a_receiver_that_is_not_there_is_a_delay() -> None:
    with socket.socket() as taken:  # bound and not listening: connections are refused
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/{TOKEN}"
        for channel in [SlackWebhook("ops", url), Webhook("ops", url, SECRET)]:
            error = await failure(channel)
            await channel.close()
            assert isinstance(error, DeliveryDelayed)
            assert "could not be reached: ClientConnectorError" in str(error)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_is_refused_and_never_followed(
    channel: Channel, receiver: Receiver, status: int
) -> None:
    receiver.answer = receiver.say(status, Location=f"{receiver.url}/login")
    error = await failure(channel)
    assert isinstance(error, DeliveryRejected)
    assert f"answered {status}, a redirect" in str(error)
    assert len(receiver.received) == 1


async def test_an_answer_that_is_no_text_is_a_failed_delivery(
    channel: Channel, receiver: Receiver
) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=502, body=b"\xff\xfe\xfa", content_type="text/plain")

    receiver.answer = answer
    assert isinstance(await failure(channel), DeliveryDelayed)


@pytest.mark.parametrize("status", [404, 500])
async def test_no_secret_is_in_an_error_its_traceback_a_repr_or_a_debug_log(
    channel: Channel, receiver: Receiver, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    async def page(request: web.Request) -> web.Response:
        return web.Response(status=status, text=f"{request.path} at {request.url} is not here")

    caplog.set_level(logging.DEBUG)
    said = repr(channel) + str(channel) + channel.name
    for answer in [page, receiver.hang, receiver.hang_up, receiver.say(302, Location=receiver.url)]:
        receiver.answer = answer
        error = await failure(channel)
        said += str(error) + repr(error) + "".join(traceback.format_exception(error))
    said += caplog.text
    assert "is not here" in said
    assert TOKEN not in said
    assert SECRET not in said
    assert SECRET.removeprefix("whsec_") not in said


async def test_a_port_that_speaks_no_http_is_a_delay_without_the_url() -> None:
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"SSH-2.0-OpenSSH_9.9\r\n\r\n")
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/{TOKEN}"
        for channel in [SlackWebhook("ops", url), Webhook("ops", url, SECRET)]:
            error = await failure(channel)
            await channel.close()
            assert isinstance(error, DeliveryDelayed)
            assert TOKEN not in "".join(traceback.format_exception(error))


async def test_a_closed_channel_opens_again_when_it_is_used(
    channel: SlackWebhook | Webhook, receiver: Receiver
) -> None:
    await channel.send(ALERT)
    await channel.close()
    await channel.close()
    await channel.send(ALERT)
    assert len(receiver.received) == 2


async def test_several_sends_at_once_are_all_delivered(
    channel: Channel, receiver: Receiver
) -> None:
    await asyncio.gather(*(channel.send(ALERT) for _ in range(8)))
    assert len(receiver.received) == 8


async def test_a_webhook_knows_no_threads(channel: Channel, receiver: Receiver) -> None:
    assert await channel.send(ALERT) is None
    await channel.send(ALERT, "C1:2")
    assert receiver.received[0][2] == receiver.received[1][2]


async def test_a_reminder_and_a_digest_have_ids_of_their_own(receiver: Receiver) -> None:
    channel = Webhook("ops", receiver.url, SECRET, clock=lambda: NOW)
    try:
        await channel.send(ALERT, reminder=2)
        await channel.send_digest([ALERT, RESOLVED])
        await channel.send_digest([RESOLVED, ALERT])
    finally:
        await channel.close()
    (_, first, reminder), (_, second, digest), (_, third, _) = receiver.received
    for _, headers, body in receiver.received:
        verify(SECRET, headers, body, now=NOW)
    assert first["webhook-id"] == f"{ALERT.transition_id}:reminder:2"
    assert json.loads(reminder) == json.loads(alert_json(ALERT)) | {"reminder": 2}
    assert second["webhook-id"] == third["webhook-id"]
    assert second["webhook-id"].startswith("digest:")
    parts = json.loads(digest)["digest"]
    assert [part["transition_id"] for part in parts] == [
        ALERT.transition_id,
        RESOLVED.transition_id,
    ]


async def test_slack_gets_reminders_and_digests_as_messages(receiver: Receiver) -> None:
    channel = SlackWebhook("ops", receiver.url)
    try:
        await channel.send(ALERT, reminder=1)
        await channel.send_digest([ALERT, RESOLVED])
    finally:
        await channel.close()
    reminder, digest = (json.loads(body)["text"] for _, _, body in receiver.received)
    assert reminder.startswith("⏰ Still open: Team sökning")
    assert digest.startswith("📋 1 alert: 0 open, 1 resolved")


async def test_slack_gets_the_text_and_valid_blocks_with_the_link(receiver: Receiver) -> None:
    channel = SlackWebhook(
        "ops", receiver.url, link_to=lambda alert: f"https://spend.test/{alert.alert_id}"
    )
    try:
        await channel.send(ALERT)
    finally:
        await channel.close()
    _, headers, body = receiver.received[0]
    message = json.loads(body)
    assert headers["Content-Type"].startswith("application/json")
    assert set(message) == {"text", "blocks"}
    assert message["text"].startswith("⚠️ Team sökning has used 80 % of its budget: $41.20 of $50")
    for block in message["blocks"]:
        parsed = Block.parse(block)
        assert parsed is not None
        parsed.validate_json()
    assert f"<https://spend.test/{ALERT.alert_id}|" in json.dumps(message["blocks"])


async def test_slack_goes_around_a_proxy_for_hosts_in_no_proxy(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    channel = SlackWebhook("ops", receiver.url)
    try:
        await channel.send(ALERT)
    finally:
        await channel.close()
    assert len(receiver.received) == 1


@pytest.mark.parametrize("secret", [SECRET, "correct horse battery staple"])
async def test_a_receiver_can_verify_what_it_got(receiver: Receiver, secret: str) -> None:
    channel = Webhook("ops", receiver.url, secret, clock=lambda: NOW + 0.9)
    try:
        await channel.send(ALERT)
    finally:
        await channel.close()
    _, headers, body = receiver.received[0]
    verify(secret, headers, body, now=NOW + 10)
    assert headers["Content-Type"] == "application/json"
    sent = json.loads(body)
    assert sent.pop("alert_id") == ALERT.alert_id
    assert sent.pop("transition_id") == ALERT.transition_id
    assert Alert.model_validate(sent) == ALERT
    assert sent["value"] == "41.2"


def test_the_signature_is_that_of_the_published_test_vector() -> None:
    # From the test-suites of the reference implementations of Standard Webhooks.
    assert sign(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330,
        b'{"test": 2432232314}',
    ) == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("webhook-id", "another:opened"),
        ("webhook-timestamp", str(NOW + 1)),
        ("webhook-timestamp", "yesterday"),
        ("webhook-signature", "v1,AAAA"),
        ("webhook-signature", "v1,\udcff"),
        ("webhook-signature", ""),
    ],
)
def test_a_changed_header_is_refused(header: str, value: str) -> None:
    body = alert_json(ALERT)
    headers = sign(SECRET, ALERT.transition_id, NOW, body)
    verify(SECRET, headers, body, now=NOW)
    with pytest.raises(InvalidSignature):
        verify(SECRET, headers | {header: value}, body, now=NOW)


def test_a_changed_body_or_secret_is_refused() -> None:
    body = alert_json(ALERT)
    headers = sign(SECRET, ALERT.transition_id, NOW, body)
    with pytest.raises(InvalidSignature, match="no signature matches"):
        verify(SECRET, headers, body.replace(b"41.2", b"41.3"), now=NOW)
    with pytest.raises(InvalidSignature, match="no signature matches"):
        verify("another secret", headers, body, now=NOW)


@pytest.mark.parametrize("missing", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_a_missing_header_is_named(missing: str) -> None:
    headers = sign(SECRET, "id", NOW, b"{}")
    del headers[missing]
    with pytest.raises(InvalidSignature, match=f"'{missing}' is missing"):
        verify(SECRET, headers, b"{}", now=NOW)


@pytest.mark.parametrize("off", [-301, 301])
def test_a_replayed_request_is_refused_after_five_minutes(off: int) -> None:
    headers = sign(SECRET, "id", NOW, b"{}")
    verify(SECRET, headers, b"{}", now=NOW + off // 2)
    with pytest.raises(InvalidSignature, match="more than 300 s"):
        verify(SECRET, headers, b"{}", now=NOW + off)


def test_one_of_several_signatures_is_enough_while_a_secret_is_changed() -> None:
    headers = sign(SECRET, "id", NOW, b"{}")
    old = sign("the old secret", "id", NOW, b"{}")["webhook-signature"]
    both = headers | {"webhook-signature": f"{old} {headers['webhook-signature']}"}
    verify(SECRET, both, b"{}", now=NOW)
    verify("the old secret", both, b"{}", now=NOW)


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_no base64!", "whsec_abcde"])
def test_a_bad_secret_is_a_users_mistake_and_is_not_repeated(secret: str) -> None:
    with pytest.raises(UserError, match="webhook secret: ") as caught:
        Webhook("ops", "https://receiver.test/", secret)
    assert "no base64!" not in str(caught.value)
    assert "abcde" not in str(caught.value)
