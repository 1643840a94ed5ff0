"""`StreamReader`: usage from the events of a stream, also of one that was cut off."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any

from spendstream._fields import UsageFields
from spendstream.usage import _envelope, _estimate
from spendstream.usage._assembly import Assembly
from spendstream.usage._numbers import Tokens, Unusable, mapping
from spendstream.usage._providers import provider_name
from spendstream.usage._read import answers_nothing, counted, tokens_of


class StreamReader:
    """Reads the events of one stream. Never raises, and keeps no text, only its size.

    ``request`` and ``headers`` as for `read_usage`; the request also for estimates.
    """

    def __init__(
        self,
        provider: str,
        request: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._provider = provider_name(provider)
        self._request = mapping(request)
        self._headers = _envelope.lowered(headers)
        self._seen = Assembly()
        self._began = False

    def feed(self, chunk: Mapping[str, Any], event: str | None = None) -> None:
        """Take in one decoded event; ``event`` is its name, where the protocol gives one.

        boto3's events serve as they come: ``{"metadata": {…}}``, ``{"chunk": {"bytes": …}}``.
        """
        if not mapping(chunk):
            return
        self._began = True
        inner = _unwrapped(chunk) if self._provider == "aws.bedrock" else None
        if inner is not None:
            chunk, event = inner, None
        self._seen.take(chunk, event)

    def usage(self, complete: bool = True) -> UsageFields:
        """The fields so far. ``complete``: whether the stream ended by itself.

        Where the provider's count of the answer has not arrived, it is estimated from the text seen
        (``usage_source`` is then ``estimated``), and that of the prompt from the request unless the
        provider gave it. A stream without a single event is ``missing``. ``status`` is ``ok`` or
        ``error`` where the stream said so; why it was cut off, the caller knows.
        """
        seen = self._seen
        fields = _envelope.fields(self._provider, seen.body, self._request, self._headers)
        try:
            tokens = tokens_of(self._provider, seen.body, {})
        except Unusable:
            return counted(fields, Tokens(), "missing")
        final = (seen.ended or complete) and not seen.opening
        if final and tokens.input and (tokens.output or answers_nothing(seen.body)):
            return counted(fields, tokens, "reported")
        if seen.ended:
            fields.setdefault("status", "ok")
        return counted(fields, self._estimated(tokens), "estimated")

    def _estimated(self, so_far: Tokens) -> Tokens:
        """At least what the provider has counted so far; nothing where nothing came."""
        answer = {
            "output_tokens": self._seen.answer.tokens,
            "reasoning_tokens": self._seen.reasoning.tokens,
        }
        output = dict(so_far.output)
        for name, tokens in answer.items():
            if tokens > output.get(name, 0):
                output[name] = tokens
        failed_at_once = "error" in self._seen.body and not output
        if not self._began or failed_at_once:
            return Tokens(so_far.input, output)
        prompt = _estimate.of_request(self._request) if not so_far.input else 0
        return Tokens(so_far.input or ({"input_tokens": prompt} if prompt else {}), output)


def _unwrapped(chunk: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The model's own event inside one of InvokeModelWithResponseStream; None where it is none."""
    data = mapping(chunk.get("chunk")).get("bytes") or chunk.get("bytes")
    try:
        if isinstance(data, str):
            data = base64.b64decode(data)
        inner = json.loads(data) if isinstance(data, bytes) else None
    except (binascii.Error, ValueError, RecursionError):
        return {}
    return inner if isinstance(inner, Mapping) else None
