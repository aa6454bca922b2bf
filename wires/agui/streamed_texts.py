"""The texts that a run has streamed, by their hashes: the texts themselves may be long."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256

HASHED_PIECES = 256
"""How many pieces of a text wait to be hashed."""


class StreamedTexts:
    """Counts texts by their hashes. Only those that have grown are hashed again, however many there are."""

    def __init__(self) -> None:
        self._texts: dict[str, _StreamedText] = {}
        self._grown: set[str] = set()
        """The ids of those that have grown since they were counted."""
        self._counts: Counter[str] = Counter()

    def note_of(self, id_: str) -> Callable[[Sequence[str]], None]:
        """Return what takes note of the pieces of a message's text."""
        text = self._texts.get(id_)
        if text is None:
            text = self._texts[id_] = _StreamedText(id_, self._grown)
        return text.add

    def counts(self) -> Counter[str]:
        """Return how many texts have each hash."""
        for text in (self._texts[id_] for id_ in self._grown):
            self._counts[text.counted] -= 1
            text.counted = text.digest()
            self._counts[text.counted] += 1
        self._grown.clear()
        return self._counts

    def hash_of(self, id_: str) -> str | None:
        """Return the hash of a message's text, or None if none was streamed."""
        return self._texts[id_].digest() if id_ in self._texts else None

    def hashes_of(self, ids: Iterable[str | None]) -> Counter[str]:
        """Return how many of some messages' texts have each hash."""
        return Counter(self._texts[id_].digest() for id_ in ids if id_ is not None and id_ in self._texts)


class _StreamedText:
    """A text that grows by many pieces at once, as hashing each is dear.

    Args:
        id_: The message's id.
        grown: Gets the id when the text grows.
    """

    __slots__ = ("_grown", "_hash", "_id", "_pieces", "counted")

    def __init__(self, id_: str, grown: set[str]) -> None:
        self.counted = ""
        """The hash that it is counted under."""
        self._id = id_
        self._grown = grown
        self._hash = sha256()
        self._pieces: list[str] = []

    def add(self, pieces: Sequence[str]) -> None:
        if not self._pieces:
            self._grown.add(self._id)
        self._pieces += pieces
        if len(self._pieces) >= HASHED_PIECES:
            self._update()

    def digest(self) -> str:
        self._update()
        return self._hash.hexdigest()

    def _update(self) -> None:
        self._hash.update(_encoded("".join(self._pieces)))
        self._pieces.clear()


def hash_of(text: str) -> str:
    """Return a text's hash."""
    return sha256(_encoded(text)).hexdigest()


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
