from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.integration.models.vendor import FakeVendor, served
from tests.integration.models.wires import WIRES, Wire


@pytest.fixture
async def vendor() -> AsyncIterator[FakeVendor]:
    async with served(FakeVendor()) as running:
        yield running


@pytest.fixture(params=list(WIRES))
def wire(request: pytest.FixtureRequest) -> Wire:
    return WIRES[request.param]()


@pytest.fixture(params=[name for name in WIRES if name != "bedrock"])
def leavable_wire(request: pytest.FixtureRequest) -> Wire:
    """A wire whose model can be left at any moment. Bedrock's package is not async: it is left at its next token."""
    return WIRES[request.param]()
