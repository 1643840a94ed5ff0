"""Send one usage event per LLM call to spendstream. Never blocks or breaks the caller.

```python
meter = spendstream.Emitter("kafka://localhost:9092")
meter.emit(provider="openai", model="gpt-4o-mini", team="search", input_tokens=1200)
meter.close()
```
"""

from spendstream._aio import AsyncEmitter
from spendstream._attribution import attribution
from spendstream._blocking import Emitter
from spendstream._fields import UsageFields
from spendstream._instrument import instrument, uninstrument
from spendstream._rules import InvalidUsage
from spendstream._security import Security
from spendstream._stats import Stats
from spendstream.quota import Decision, Quotas
from spendstream.retries import RetryBudget, retrying

__all__ = [
    "AsyncEmitter",
    "Decision",
    "Emitter",
    "InvalidUsage",
    "Quotas",
    "RetryBudget",
    "Security",
    "Stats",
    "UsageFields",
    "attribution",
    "instrument",
    "retrying",
    "uninstrument",
]
