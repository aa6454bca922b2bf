"""Runs all faults: ``python -m tests.faults``, with pytest's options behind it."""

from __future__ import annotations

import sys

import pytest

from tests.faults.catalogue import all_tests

sys.exit(pytest.main([*all_tests(), "tests/faults", *sys.argv[1:]]))
