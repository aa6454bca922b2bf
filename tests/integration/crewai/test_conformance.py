from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from copilotkit_runtime.testing import CHECKS

from .conformance_guests import CrewGuest, FlowGuest

if TYPE_CHECKING:
    from copilotkit_runtime.testing import Check, Guest


@pytest.mark.parametrize("guest", [CrewGuest(), FlowGuest()], ids=lambda guest: guest.name)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_the_provider_conforms(check: Check, guest: Guest) -> None:
    await check(guest)
