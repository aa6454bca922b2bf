from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.documents.installation import built
from tests.documents.neighbours import vendors


@pytest.fixture
async def vendor_settings() -> AsyncIterator[dict[str, str]]:
    """The variables of a reader who has every vendor's key."""
    async with vendors() as settings:
        yield settings


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the package's wheel is."""
    return built(tmp_path_factory.mktemp("wheel"))


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that the database servers' own user can enter."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder
