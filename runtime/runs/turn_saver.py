"""Stores the messages of runs: at their end, or later if the state store is away by then."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Set
from contextlib import suppress
from time import monotonic
from typing import NamedTuple

import msgspec
import structlog

from ..errors import StoreError, ThreadBusyError, ThreadLostError
from ..messages import Message
from ..patience import within
from ..provider import AgentProvider
from ..stores.errors import NotStoredError, StateTooLargeError, StoreConflictError, StoreUnavailableError
from ..stores.interface import AgentState, StateStore
from ..stores.retry import retry_unavailable
from ..sweeper import Sweeper
from .archive import RunArchive
from .history import insert_turn, leaves_out, merge_messages, without_instructions
from .outgrown_threads import shortened
from .run import Run
from .turn import Turn, messages_of

SAVE_SECONDS = 45.0
PATIENCE_WITH_STORE_SECONDS = 40.0
LATE_SECONDS = 3600.0
"""How long what could not be stored is kept in memory."""
LATE_TURNS = 1_000
LATE_BYTES = 64 << 20
_RETRY_SECONDS = 2.0
_LAST_TRY_SECONDS = 5.0
_ROOM = 8
"""Which part of the room for a thread is free again once the thread has been shortened."""
_LOCK_SECONDS = 1.0
"""How long a late turn waits for its thread before others are tried."""

log = structlog.get_logger(__name__)


class _Late(NamedTuple):
    """A run whose turn is to be stored, its size in bytes, and when it is given up."""

    size: int
    deadline: float


class TurnSaver:
    """Writes the turns of runs to the state store.

    A turn that the store could not take is kept in memory, within bounds, until the store is back. It is then put in
    its place among what was stored meanwhile, and takes nothing back that a newer run has written.

    Args:
        store: Gives the right to threads, for turns that are stored late.
        archive: Keeps the runs.
        renew: Records that a run has written to its thread; returns whether the thread is still the run's.
    """

    def __init__(self, store: StateStore, archive: RunArchive, renew: Callable[[Turn], Awaitable[bool]]) -> None:
        self._store = store
        self._archive = archive
        self._renew = renew
        self._late: OrderedDict[Turn, _Late] = OrderedDict()
        self._sweeper = Sweeper("late turns", self._save_late, lambda: _RETRY_SECONDS, lambda: bool(self._late))

    @property
    def waiting(self) -> int:
        """How many turns wait for the store to come back."""
        return len(self._late)

    async def save(self, run: Run) -> None:
        """Store the turn of a run that has ended; later, if the run has lost its thread or the store is away.

        Raises:
            NotStoredError: The store was away for too long.
            ThreadBusyError: Another run may have had the thread meanwhile.
            Exception: What the provider's own place for its state raised.
        """
        if not run.owns_thread:
            self._put_off(run)
            return
        try:
            await within(SAVE_SECONDS, retry_unavailable(lambda: self._keep(run), PATIENCE_WITH_STORE_SECONDS))
        except ThreadBusyError:
            self._put_off(run)
            raise
        except (TimeoutError, StoreUnavailableError) as error:
            self._put_off(run)
            raise NotStoredError from error

    async def insert(self, turn: Turn) -> None:
        """Put the turn of a run of another process in its place: at once, or as soon as its thread is free.

        Raises:
            StoreUnavailableError: The store does not answer.
        """
        try:
            await self._insert(turn, wait=0)
        except ThreadBusyError:
            self._put_off(turn)
        except StoreUnavailableError:
            raise
        except Exception as error:  # noqa: BLE001 - a provider's own place for its state may raise anything
            _report_lost(turn, str(error))

    def drop(self, run: Run) -> None:
        """Leave a turn to the process that goes on with its run."""
        self._late.pop(run, None)

    async def stop(self) -> None:
        """Try to store what still waits once more, for a limited time."""
        await self._sweeper.stop()
        if self._late:
            with suppress(TimeoutError):
                async with asyncio.timeout(_LAST_TRY_SECONDS):
                    await self._try_all()
        for run in list(self._late):
            self._give_up(run, "the process ends")

    async def _keep(self, run: Run) -> None:
        if run.ephemeral:
            await run.provider.delete_thread(run.input.thread_id)
        elif await self._renew(run) and not run.provider.keeps_state:
            await self._write(run)

    async def _write(self, run: Run) -> None:
        while True:
            kept = await _kept(run)
            unseen = await self._unseen(run, kept)
            # Behind the reading: whoever takes the thread from now on changes the version that was read.
            if not await run.confirm_thread():
                raise ThreadLostError
            try:
                await _save(run, _finished(run, kept, unseen), kept.version)
            except StoreConflictError:
                continue
            return

    async def _unseen(self, run: Run, kept: AgentState) -> Set[str]:
        """Return the ids of what runs have stored since a run's request came, if its client left anything out.

        A second client, or a second tab, may have sent its message while the first one's was answered.
        """
        if run.transcript.thread is not None or not leaves_out(kept.messages, run.input.messages):
            return frozenset()
        left = [messages_of(each, await self._archive.history(each)) for each in await self._archive.ended_since(run)]
        return {message.id for messages in left for message in messages}

    def _put_off(self, run: Turn) -> None:
        if run.ephemeral or run.provider.keeps_state:
            return
        size = len(msgspec.json.encode([run.transcript.messages(), run.input.messages, run.transcript.state]))
        self._late[run] = _Late(size, monotonic() + LATE_SECONDS)
        while len(self._late) > LATE_TURNS or sum(late.size for late in self._late.values()) > LATE_BYTES:
            self._give_up(next(iter(self._late)), "too much waits for the store")
        if self._late:
            self._sweeper.start()

    def _give_up(self, run: Turn, reason: str) -> None:
        del self._late[run]
        _report_lost(run, reason)

    async def _save_late(self) -> None:
        for run in [run for run, late in self._late.items() if late.deadline <= monotonic()]:
            self._give_up(run, "the store was away for too long")
        with suppress(StoreUnavailableError):
            await self._try_all()

    async def _try_all(self) -> None:
        for run in list(self._late):
            try:
                await self._insert(run, wait=_LOCK_SECONDS)
            except StoreUnavailableError:
                raise
            except ThreadBusyError:
                continue
            except Exception as error:  # noqa: BLE001 - a provider's own place for its state may raise anything
                self._give_up(run, str(error))
            else:
                del self._late[run]
                log.info("turn_stored_late", thread_id=run.input.thread_id, run_id=run.input.run_id)

    async def _insert(self, run: Turn, wait: float) -> None:
        async with self._store.lock(run.input.thread_id, run.agent_name, wait=wait):
            if not await self._renew(run):
                raise StoreError("The thread is gone.")
            kept = await _kept(run)
            await _save(run, _inserted(run, kept), kept.version)


def _report_lost(run: Turn, reason: str) -> None:
    log.error("turn_lost", reason=reason, thread_id=run.input.thread_id, run_id=run.input.run_id)


def _finished(run: Turn, kept: AgentState, unseen: Set[str] = frozenset()) -> AgentState:
    """Return what is to be kept after a run that has had its thread to itself."""
    transcript, asked = run.transcript, run.input
    messages: list[Message]
    if transcript.thread is not None:
        messages = without_instructions(transcript.thread)
    else:
        messages = merge_messages(kept.messages, asked.messages, transcript.messages(), run.asked_at, unseen)
    # A client that has just been opened sends none, which is no reason to forget the one that is kept.
    state = transcript.state if transcript.state is not None else asked.state or kept.state
    return AgentState(state=state, messages=messages)


def _inserted(run: Turn, kept: AgentState) -> AgentState:
    """Return what is to be kept once a run's turn is in its place among what was stored since."""
    if kept.updated_at is None or kept.updated_at < run.asked_at:
        return _finished(run, kept)
    messages = insert_turn(kept.messages, run.input.messages, run.transcript.messages(), run.asked_at)
    return AgentState(state=kept.state, messages=messages)


async def _kept(run: Turn) -> AgentState:
    """Return what the runtime's store keeps, and not what a provider might have to ask a remote service for."""
    return await AgentProvider.load_state(run.provider, run.input.thread_id, run.agent_name) or AgentState()


async def _save(run: Turn, state: AgentState, version: int) -> None:
    """Write what a thread has become, or what fits of it.

    Raises:
        StateTooLargeError: Its state or its newest turn alone does not fit.
    """
    try:
        await _write(run, state, version)
    except StateTooLargeError as error:
        # With some room, so that not each of the next turns has to be shortened.
        short = shortened(state, error.size - error.limit, error.limit // _ROOM)
        if short is None:
            raise
        log.warning("thread_shortened", thread_id=run.input.thread_id, agent=run.agent_name, reason=error.message)
        await _write(run, short, version)


async def _write(run: Turn, state: AgentState, version: int) -> None:
    provider, thread_id = run.provider, run.input.thread_id
    if provider.store is None or type(provider).save_state is not AgentProvider.save_state:
        await provider.save_state(thread_id, run.agent_name, state)
    else:
        await provider.store.save(thread_id, run.agent_name, state, expected_version=version)
