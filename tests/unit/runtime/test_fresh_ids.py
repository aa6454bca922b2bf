"""Fresh ids are random UUIDs, as ``uuid.uuid4`` makes them."""

from __future__ import annotations

from uuid import RFC_4122, UUID

from copilotkit_runtime.runtime.fresh_ids import fresh_hex, fresh_uuid

MANY = 500


def test_ids_are_random_uuids() -> None:
    made = [fresh_uuid() for _ in range(MANY)]
    assert len(set(made)) == MANY
    for text in made:
        read = UUID(text)
        assert (str(read), read.version, read.variant) == (text, 4, RFC_4122)
    assert {text[19] for text in made} == set("89ab")


def test_digits_are_random() -> None:
    made = {fresh_hex() for _ in range(MANY)}
    assert len(made) == MANY
    assert all(len(text) == 32 and int(text, 16) >= 0 for text in made)
