"""What a client may set of a run's configuration: an allow-list of places, and of the names and values in each.

The places are those of LangChain's ``RunnableConfig`` that hold data. In ``configurable`` and ``context`` an agent's
own declaration decides about names, where its provider has one, together with the names that the application opened
(``client_config_keys``). An agent that declares nothing is given ordinary names: short ASCII words under which no
server or framework keeps anything.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping
from itertools import islice
from typing import Any

import msgspec

MAX_RECURSION_LIMIT = 500
"""The highest recursion limit that a client may ask for; an agent's own configuration may go beyond."""

_MAX_NAMES = 100
_MAX_TAGS = 50
_MAX_TAG_LENGTH = 200
_PLACES = ("configurable", "context", "metadata")
_CONFIG = "config"
_LIMITS = ("recursion_limit", "recursionLimit")
_SQUASHED_LIMIT = "recursionlimit"
_SWITCHES = ("streamSubgraphs", "stream_subgraphs")

_ORDINARY = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")
_WITHOUT_SEPARATORS = str.maketrans("", "", "_-.: /")
_FRAMEWORK_STARTS = ("__", "ls_", "x_")
_FRAMEWORK_WORDS = ("langgraph", "langsmith", "langchain", "copilotkit", "checkpoint", "pregel")
_FRAMEWORK_NAMES = frozenset({"threadid", "threadts", "runid", "runattempt", "assistantid", "graphid", "agui"})
_IDENTITY_NAMES = frozenset({"userid", "authuser", "identity"})
# What RunnableConfig and checkpoints' metadata have under these names is not data, or is not the client's.
_CONFUSING_NAMES = frozenset(
    {"configurable", "metadata", "tags", "callbacks", "recursionlimit", "maxconcurrency", "runname"}
    | {"checkpointer", "store", "cache", "runtime", "source", "step", "parents", "writes"}
)
_TRUSTED = ("langgraphauth", "copilotkitforwarded")
_SILENCING_TAGS = frozenset({"nostream", "hidden"})


def is_framework_name(name: str) -> bool:
    """Return whether a server or framework keeps its own facts under ``name``: the thread, the caller, the headers."""
    folded = _folded(name)
    squashed = folded.translate(_WITHOUT_SEPARATORS)
    starts = folded.startswith(_FRAMEWORK_STARTS) or squashed.startswith(_FRAMEWORK_WORDS)
    return starts or squashed in _FRAMEWORK_NAMES


def is_identity_name(name: str) -> bool:
    """Return whether ``name`` identifies the caller."""
    return _squashed(name) in _IDENTITY_NAMES


def is_ordinary(name: str) -> bool:
    """Return whether a client may set ``name`` for an agent that declares nothing."""
    if not _ORDINARY.fullmatch(name) or is_framework_name(name):
        return False
    return not is_identity_name(name) and _squashed(name) not in _CONFUSING_NAMES


def allowed_names(
    given: Any,
    *,
    declared: Collection[str] | None = None,
    opened: Collection[str] = (),
    authenticated: bool = True,
) -> dict[str, Any]:
    """Copy what the client may set.

    Args:
        given: What it sent; what is not a mapping holds nothing.
        declared: The names that the agent declares; None if it declares nothing.
        opened: The names that the application opened for all agents.
        authenticated: Whether somebody was authenticated: then a declared name of the caller is not the client's.
    """
    if not isinstance(given, Mapping):
        return {}

    def allows(name: str) -> bool:
        if name in opened:
            return not is_framework_name(name)
        if declared is None:
            return is_ordinary(name)
        return name in declared and may_be_declared(name, authenticated=authenticated)

    return {name: given[name] for name in islice(filter(allows, given), _MAX_NAMES)}


def may_be_declared(name: str, *, authenticated: bool) -> bool:
    """Return whether a client may set ``name`` if the agent declares it: a caller only if nobody is authenticated."""
    return not is_framework_name(name) and not (authenticated and is_identity_name(name))


class ClientConfigRules(msgspec.Struct, frozen=True, kw_only=True):
    """What one request may set.

    ``opened`` are the names that the application opened. ``declares`` means that the agent's provider compares names in
    ``configurable`` and ``context`` with what the agent declares: those that it might declare are left to it. Names
    of the caller are among them only if nobody was ``authenticated``, whom they could belie.
    """

    opened: Collection[str] = ()
    declares: bool = False
    authenticated: bool = True

    def config(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """Copy an agent's configuration as a client sent it, without all that is not the client's to set."""
        if not config:
            return {}
        kept = {name: config[name] for name in self.opened if name in config and not is_framework_name(name)}
        for place in _PLACES:
            if isinstance(config.get(place), Mapping):
                kept[place] = self._names(place, config[place])
        if isinstance(config.get("tags"), list):
            kept["tags"] = _tags(config["tags"])
        limits = ((name, _limit(config.get(name))) for name in _LIMITS)
        kept.update((name, limit) for name, limit in limits if limit is not None)
        kept.update((name, config[name]) for name in _SWITCHES if isinstance(config.get(name), bool))
        return kept

    def properties(self, properties: Mapping[str, Any]) -> dict[str, Any]:
        """Copy a client's properties, which may have any name but those that frameworks trust.

        Agents of other protocols find configuration among them, so that it is treated as such; under any spelling, for
        there are adapters that fold names.
        """
        if not properties:
            return {}
        kept = {name: value for name, value in properties.items() if not _squashed(name).startswith(_TRUSTED)}
        for name, value in list(kept.items()):
            place = _squashed(name)
            if place == _CONFIG and isinstance(value, Mapping):
                kept[name] = self.config(value)
            elif place in _PLACES and isinstance(value, Mapping):
                kept[name] = self._names(place, value)
            elif place == _SQUASHED_LIMIT:
                limit = _limit(kept.pop(name))
                kept.update({} if limit is None else {name: limit})
        return kept

    def _names(self, place: str, given: Mapping[str, Any]) -> dict[str, Any]:
        if not self.declares or place == "metadata":
            return allowed_names(given, opened=self.opened)
        return {name: value for name, value in given.items() if self._might_be_declared(name)}

    def _might_be_declared(self, name: str) -> bool:
        authenticated = self.authenticated and name not in self.opened
        return may_be_declared(name, authenticated=authenticated)


def recursion_limit(config: Mapping[str, Any]) -> int | None:
    """Return the recursion limit that a client asks for, up to the highest; None if it asks for none."""
    limits = (_limit(config.get(name)) for name in _LIMITS)
    return next((limit for limit in limits if limit is not None), None)


def _tags(tags: Iterable[Any]) -> list[str]:
    """Return tags that are texts; those by which frameworks hide a run from streams and traces are not the client's."""
    texts = (tag[:_MAX_TAG_LENGTH] for tag in tags if isinstance(tag, str))
    kept = [tag for tag in texts if not is_framework_name(tag) and _squashed(tag) not in _SILENCING_TAGS]
    return kept[:_MAX_TAGS]


def _limit(given: Any) -> int | None:
    if isinstance(given, bool) or not isinstance(given, int | float) or not given >= 1:
        return None
    return int(min(given, MAX_RECURSION_LIMIT))


def _folded(name: str) -> str:
    """Return a name as look-alikes are compared: width, case and the kind of separator do not count."""
    start = name[:_MAX_TAG_LENGTH]
    plain = start if start.isascii() else unicodedata.normalize("NFKC", start)
    return plain.strip().casefold().replace("-", "_")


def _squashed(name: str) -> str:
    return _folded(name).translate(_WITHOUT_SEPARATORS)
