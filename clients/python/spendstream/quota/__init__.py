"""What a gateway asks before a call: is there budget left, and for which models?

```python
quotas = spendstream.Quotas("kafka://localhost:9092")
decision = quotas.decide(team="search", user="ann", model="gpt-4o", provider="openai")
if not decision.allowed:
    raise Refused(decision.why)
```
"""

from spendstream.quota._decide import Decision
from spendstream.quota._quotas import Quotas

__all__ = ["Decision", "Quotas"]
