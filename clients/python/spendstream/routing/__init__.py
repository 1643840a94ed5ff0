"""Which tier of models a call needs: rules first, then an optional linear model. No text leaves.

```python
router = Router("tiers.yaml")
choice = router.choose(request, {"team": "search", "use_case": "classification"})
meter.emit(..., **choice.event_fields())
```
"""

from spendstream.routing._document import RoutingFileError
from spendstream.routing._features import FEATURES, features
from spendstream.routing._model import VERSION, LinearModel, model_of
from spendstream.routing._router import Choice, Router, ShadowCall
from spendstream.routing._tiers import TIERS

__all__ = [
    "FEATURES",
    "TIERS",
    "VERSION",
    "Choice",
    "LinearModel",
    "Router",
    "RoutingFileError",
    "ShadowCall",
    "features",
    "model_of",
]
