"""Tool-call ids that are unique on a thread, whatever a vendor numbers its calls.

Many servers count anew in every answer (``call_0``, ``functions.search:0``), so that one id stands for several calls of
a thread. Clients, stores and prompts take two messages of one id for the same message. A call whose id is taken
therefore gets an id of its own, from which the vendor's can be read back without any record: ``call_0.ck1a2b3c4d``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from hashlib import sha256
from uuid import uuid4

import msgspec

from .events import Event, ToolCallArgs, ToolCallEnd, ToolCallResult, ToolCallStart
from .messages import Message, ToolResultMessage

_CALL_EVENTS = (ToolCallStart, ToolCallArgs, ToolCallEnd, ToolCallResult)
_OWN = re.compile(r"(.+)\.ck[0-9a-f]{8}", re.DOTALL)


class CallIds:
    """Gives the calls of one thread ids that no other message of the thread has.

    Args:
        taken: The ids in use on the thread.
    """

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = set(taken)
        self._known: dict[tuple[str, str], str] = {}

    @classmethod
    def of(cls, messages: Iterable[Message]) -> CallIds:
        """Return the ids of a thread that holds ``messages``."""
        return cls(id_ for message in messages for id_ in _ids(message))

    def __contains__(self, id_: str) -> bool:
        return id_ in self._taken

    def assign(self, vendor_id: str | None, scope: str | None = None) -> str:
        """Return the id of a call towards clients, stores and prompts, and mark it as taken.

        Args:
            vendor_id: The id that the vendor gave the call, if it gave one.
            scope: What sets this call apart from others of the same vendor's id, such as the id of the message that
                it belongs to. With a scope the answer depends on nothing but the arguments and on whether the vendor's
                id was free, and asking again gives the same id. Without one, each call gets an id of its own.
        """
        if not vendor_id:
            return self._take(f"call_{uuid4().hex}")
        if scope is None:
            return self._take(vendor_id if vendor_id not in self._taken else self._own(vendor_id, uuid4().hex))
        if (vendor_id, scope) not in self._known:
            free = vendor_id not in self._taken
            self._known[vendor_id, scope] = self._take(vendor_id if free else self._own(vendor_id, scope))
        return self._known[vendor_id, scope]

    def _take(self, id_: str) -> str:
        self._taken.add(id_)
        return id_

    def _own(self, vendor_id: str, scope: str) -> str:
        own = _derived(vendor_id, scope)
        while own in self._taken:
            scope += "+"
            own = _derived(vendor_id, scope)
        return own


class CallRenamer:
    """Puts the ids of ``CallIds`` in place of a vendor's, in the events of one run.

    Args:
        ids: Gives calls their ids.
    """

    def __init__(self, ids: CallIds) -> None:
        self._ids = ids
        self._own: dict[str, str] = {}

    def rename(self, event: Event) -> Event:
        """Return ``event`` under the call's id towards clients. A call that this run did not start keeps its id."""
        if not isinstance(event, _CALL_EVENTS):
            return event
        if type(event) is ToolCallStart:
            self._own[event.tool_call_id] = self._ids.assign(event.tool_call_id)
        own = self._own.get(event.tool_call_id, event.tool_call_id)
        return event if own == event.tool_call_id else msgspec.structs.replace(event, tool_call_id=own)


def vendor_id(call_id: str) -> str:
    """Return the id under which the vendor made the call that clients know as ``call_id``."""
    own = _OWN.fullmatch(call_id)
    return own[1] if own else call_id


def prompt_ids(call_ids: Iterable[str]) -> dict[str, str]:
    """Return the ids under which to show a vendor the calls of one prompt, by the ids that clients know.

    Each is the vendor's own where no other call of the prompt has it: vendors refuse an id that comes twice.

    Args:
        call_ids: The ids of the calls.
    """
    ids = list(call_ids)
    taken = set(ids)
    shown: dict[str, str] = {}
    for call_id in ids:
        original = vendor_id(call_id)
        shown[call_id] = call_id if original in taken else original
        taken.add(shown[call_id])
    return shown


def _derived(vendor_id: str, scope: str) -> str:
    digest = sha256(f"{vendor_id}\0{scope}".encode("utf-8", "surrogatepass")).hexdigest()
    return f"{vendor_id}.ck{digest[:8]}"


def _ids(message: Message) -> Iterable[str]:
    match message:
        case ToolResultMessage():
            return (message.id, message.tool_call_id)
        case _:
            return (message.id,)
