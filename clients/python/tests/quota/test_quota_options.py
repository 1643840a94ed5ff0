"""Options of `Quotas` that are wrong are told in one line, without secrets."""

from __future__ import annotations

import pytest
import spendstream


@pytest.mark.parametrize(
    ("url", "options", "message"),
    [
        ("localhost:9092", {}, "cannot read quotas from a URL without a scheme; kafka://"),
        ("ftp://x", {}, "cannot read quotas from ftp://; kafka://"),
        ("kafka://u:secret@x", {}, "the Kafka URL has more than hosts and ports"),
        ("http://u:secret@x", {}, "the HTTP URL has more than"),
        ("kafka://x", {"token": "secret"}, "token is for http:// and https://"),
        ("http://x", {"topic": "t"}, "topic is for kafka://"),
        ("http://x", {"token": "a secret"}, "token has characters that no token has"),
        ("http://x", {"fail": "shut"}, "fail is 'shut'; open or closed is understood"),
        ("http://x", {"stale_after": 0}, "stale_after is 0; seconds, above 0"),
    ],
)
def test_a_mistake_says_what_would_be_right(url, options, message):
    with pytest.raises(ValueError, match=message) as raised:
        spendstream.Quotas(url, **options)
    assert "secret" not in str(raised.value)
