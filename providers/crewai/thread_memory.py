"""CrewAI's memories, limited to one thread: nothing is recalled from another one."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from contextlib import ExitStack


def scope_of_thread(thread_id: str) -> str:
    """Return the path of a thread's memories. It is a digest, because CrewAI's own names are lossy."""
    return f"/thread/{hashlib.sha256(thread_id.encode()).hexdigest()[:32]}"


def thread_view(memory: Any, path: str) -> Any:
    """Return the part of a memory that is below ``path``; None for what is not a memory, or a selection of several."""
    if hasattr(memory, "subscope"):
        return memory.subscope(path)
    if not hasattr(memory, "scope"):
        return None
    root = (getattr(memory, "root_scope", None) or "").rstrip("/")
    if not hasattr(memory, "model_copy"):
        return memory.scope(f"{root}{path}")
    # A copy shares all with the original but its root, and unlike a scope it takes whatever flows remember. CrewAI's
    # own scopes repeat the root, so that what they kept is found there.
    return memory.model_copy(update={"root_scope": f"{root}{root}{path}"})


def lend_memory(back: ExitStack, holder: Any, attribute: str, path: str) -> None:
    """Replace the memory of a crew, an agent or a flow by the thread's part of it, until ``back`` is closed."""
    given = getattr(holder, attribute, None)
    view = thread_view(given, path)
    if view is not None:
        back.callback(setattr, holder, attribute, given)
        setattr(holder, attribute, view)
