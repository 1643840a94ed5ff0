"""The page that a board reads: HTML of every path, and what it loads.

`render` blocks while it asks ClickHouse: call it in a thread. `assets` takes some seconds when it
is called first, as it makes the runtime of the charts, in a process of its own.
"""

from reports.page.assets import Asset, assets
from reports.page.render import PATHS, Rendered, render

__all__ = ["PATHS", "Asset", "Rendered", "assets", "render"]
