"""From what providers say about usage to the fields of a usage event.

```python
fields = read_usage("openai", response.json(), request)
meter.emit(team="search", **fields)
```

Providers report overlapping numbers; here a token ends up in one bucket. Nothing in this package
raises, does I/O or needs a library. What goes where is in docs/adapters.md.
"""

from spendstream._fields import UsageFields
from spendstream.usage._eventstream import EventStreamDecoder
from spendstream.usage._providers import provider_name
from spendstream.usage._read import read_usage
from spendstream.usage._sse import SseDecoder
from spendstream.usage._stream import StreamReader

__all__ = [
    "EventStreamDecoder",
    "SseDecoder",
    "StreamReader",
    "UsageFields",
    "provider_name",
    "read_usage",
]
