"""spendstream in LiteLLM: every attempt becomes a usage event, and budgets reach each call.

```yaml
litellm_settings:
  callbacks: spendstream.litellm.handler
```

Settings come from the environment: docs/litellm.md. LiteLLM itself is imported with ``handler``
only, which is made then; a wrong setting is one line, at the start of the proxy.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spendstream.litellm._handler import Handler

    handler: Handler

__all__ = ["Handler", "handler"]


def __getattr__(name: str) -> Any:
    if name == "Handler":
        from spendstream.litellm._handler import Handler

        return Handler
    if name == "handler":
        from spendstream.litellm._handler import Handler
        from spendstream.litellm._settings import Settings

        made = Handler(Settings.from_environment(os.environ))
        globals()["handler"] = made
        return made
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
