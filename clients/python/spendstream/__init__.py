"""Send one usage event per LLM call to spendstream. Never blocks or breaks the caller.

```python
meter = spendstream.Emitter("kafka://localhost:9092")
meter.emit(provider="openai", model="gpt-4o-mini", team="search", input_tokens=1200)
meter.close()
```
"""

from spendstream._aio import AsyncEmitter
from spendstream._blocking import Emitter
from spendstream._fields import UsageFields
from spendstream._rules import InvalidUsage
from spendstream._security import Security
from spendstream._stats import Stats

__all__ = ["AsyncEmitter", "Emitter", "InvalidUsage", "Security", "Stats", "UsageFields"]
