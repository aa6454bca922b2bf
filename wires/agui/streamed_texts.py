"""The texts that a run has streamed, by their hashes: the texts themselves may be long."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Any

HASHED_PIECES = 256
"""How many pieces of a text wait to be hashed."""


class StreamedTexts:
    """Counts texts by their hashes. Only those that have grown are hashed again, however many there are."""

    __slots__ = ("_counts", "_grown", "_texts")

    def __init__(self) -> None:
        self._texts: dict[str, StreamedText] = {}
        self._grown: list[StreamedText] = []
        """Those that have grown since they were counted."""
        self._counts: Counter[str] = Counter()

    def growing(self, id_: str) -> StreamedText:
        """Return a message's text, for whoever lets it grow; it is looked up anew when it grows behind a count."""
        text = self._texts.get(id_)
        if text is None:
            text = self._texts[id_] = StreamedText()
        if not text.grows:
            text.grows = True
            self._grown.append(text)
        return text

    def counts(self) -> Counter[str]:
        """Return how many texts have each hash."""
        for text in self._grown:
            text.grows = False
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


class StreamedText:
    """A text that grows by many pieces at once, as hashing each is dear."""

    __slots__ = ("_hash", "counted", "grows", "pieces")

    def __init__(self) -> None:
        self.pieces: list[str] = []
        """Those that wait to be hashed: whoever appends one has them hashed once they are ``HASHED_PIECES``."""
        self.counted = ""
        """The hash that it is counted under."""
        self.grows = False
        """Whether it may have grown since it was counted."""
        self._hash: Any = None  # until there is something to hash: most texts are never compared

    def add(self, pieces: Sequence[str]) -> None:
        """Append pieces."""
        self.pieces += pieces
        if len(self.pieces) >= HASHED_PIECES:
            self.hash_pieces()

    def digest(self) -> str:
        """Return the hash of the whole."""
        self.hash_pieces()
        digest: str = self._hash.hexdigest()
        return digest

    def hash_pieces(self) -> None:
        """Hash those that wait."""
        if self._hash is None:
            self._hash = sha256()
        self._hash.update(_encoded("".join(self.pieces)))
        self.pieces.clear()


def hash_of(text: str) -> str:
    """Return a text's hash."""
    return sha256(_encoded(text)).hexdigest()


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
