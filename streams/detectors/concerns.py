"""The detectors of waste and access that are on, as concerns of the guard."""

from __future__ import annotations

from streams.detectors.access import Access
from streams.detectors.access_rules import AccessPolicy
from streams.detectors.anomaly import Anomaly
from streams.detectors.bloat import Bloat
from streams.detectors.daily import Daily
from streams.detectors.episodic import Episodic
from streams.detectors.runaway import Runaway
from streams.detectors.settings_file import Detectors
from streams.detectors.unattributed import Unattributed


def detectors_of(detectors: Detectors) -> list[Episodic | Daily]:
    """Those that are on, with nothing counted yet."""
    found: list[Episodic | Daily] = []
    if detectors.runaway is not None:
        found.append(Runaway(detectors.runaway))
    if detectors.context_bloat is not None:
        found.append(Bloat(detectors.context_bloat))
    if detectors.anomaly is not None:
        found.append(Anomaly(detectors.anomaly))
    if detectors.unattributed is not None:
        found.append(Unattributed(detectors.unattributed))
    if AccessPolicy(detectors.access, detectors.tiers).forbids_something:
        found.append(Access(detectors))
    return found
