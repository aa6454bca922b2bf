"""Stores of agent state: the interface, the stores that are included, and the parts to build one from."""

from .errors import StateEncodingError, StateTooLargeError, StoreConflictError, StoreKeyError, StoreUnavailableError
from .interface import AgentState, StateStore, ThreadInfo, ThreadPage
from .locks import RunLock, Standing, Ticket, TicketDesk
from .records import Place, Record, RecordStore, Stamp
from .settings import StoreSettings
from .urls import open_store

__all__ = [
    "AgentState",
    "Place",
    "Record",
    "RecordStore",
    "RunLock",
    "Stamp",
    "Standing",
    "StateEncodingError",
    "StateStore",
    "StateTooLargeError",
    "StoreConflictError",
    "StoreKeyError",
    "StoreSettings",
    "StoreUnavailableError",
    "ThreadInfo",
    "ThreadPage",
    "Ticket",
    "TicketDesk",
    "open_store",
]
