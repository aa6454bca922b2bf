"""A server that does little else collects garbage that has lived for long, too."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from copilotkit_runtime.server.cli import garbage_collection
from tests.support.polling import until


class Ring:
    """Something that keeps itself."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture
def thawed() -> Iterator[None]:
    threshold = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*threshold)


@pytest.mark.usefixtures("thawed")
async def test_a_ring_that_has_grown_old_is_collected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(garbage_collection, "SECONDS", 0.01)
    monkeypatch.setattr(garbage_collection, "OLD_SECONDS", 0.1)
    async with garbage_collection.collected():
        ring = Ring()
        left = weakref.ref(ring)
        gc.collect(1)
        gc.collect(1)
        assert any(each is ring for each in gc.get_objects(2)), "it has outlived the collections of the young"
        del ring

        async def collected() -> bool:
            return left() is None

        await until(collected)
