"""One proxy and one stack for the tests of a module."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from running import HERE, SPENDSTREAM, Proxy, Stack
from upstream import Upstream
from world import World


@pytest.fixture(scope="module")
def world(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    """The tiers file has the module's section ``ROUTING``, where there is one."""
    assert SPENDSTREAM.exists(), f"{SPENDSTREAM} is not there: make setup"
    folder = tmp_path_factory.mktemp("litellm")
    shutil.copytree(HERE / "proxy", folder, dirs_exist_ok=True)
    upstream = Upstream()
    upstream.start()
    config = folder / "config.yaml"
    text = config.read_text().replace("{upstream}", f"http://127.0.0.1:{upstream.port}")
    config.write_text(text)
    with (folder / "tiers.yaml").open("a") as tiers:
        tiers.write(getattr(request.module, "ROUTING", ""))
    stack = Stack(folder, folder / "budgets.yaml", folder / "prices.yaml")
    try:
        proxy = Proxy(
            folder,
            config,
            SPENDSTREAM_URL=stack.ingest,
            SPENDSTREAM_TIERS=str(folder / "tiers.yaml"),
            SPENDSTREAM_COALESCE="on",
            TEST_HOOK_TIMES=str(folder / "hook-times.json"),
        )
        try:
            yield World(upstream, stack, proxy, folder / "hook-times.json")
        finally:
            proxy.stop()
    finally:
        stack.stop()
        upstream.stop()
