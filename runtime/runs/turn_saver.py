"""Stores the messages of runs: at their end, or later if the state store is away by then."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Set
from contextlib import suppress
from time import monotonic

import msgspec
import structlog

from ..errors import StoreError, ThreadBusyError, ThreadLostError
from ..messages import Message
from ..patience import within
from ..provider import AgentProvider
from ..stores.errors import NotStoredError, StateTooLargeError, StoreConflictError, StoreUnavailableError
from ..stores.interface import AgentState, StateStore
from ..stores.retry import retry_unavailable
from ..stores.run_records import RunKey
from ..sweeper import Sweeper
from .archive import RunArchive
from .backlog import Backlog
from .history import insert_turn, leaves_out, merge_messages, without_instructions
from .outgrown_threads import shortened
from .run import Run
from .turn import Turn, messages_of

SAVE_SECONDS = 45.0
PATIENCE_WITH_STORE_SECONDS = 40.0
_RETRY_SECONDS = 2.0
_LAST_TRY_SECONDS = 5.0
_ROOM = 8
"""Which part of the room for a thread is free again once the thread has been shortened."""
_LOCK_SECONDS = 1.0
"""How long a late turn waits for its thread before others are tried."""

log = structlog.get_logger(__name__)


class TurnSaver:
    """Writes the turns of runs to the state store.

    A turn that the store could not take is kept in memory, within bounds, until the store is back. It is then put in
    its place among what was stored meanwhile, and takes nothing back that a newer run has written. Once the end of its
    run is stored, other processes put it there if this one dies (``RunLogStore.note_saved``).

    Args:
        store: Gives the right to threads, for turns that are stored late.
        archive: Keeps the runs.
        renew: Records that a run has written to its thread; returns whether the thread is still the run's.
    """

    def __init__(self, store: StateStore, archive: RunArchive, renew: Callable[[Turn], Awaitable[bool]]) -> None:
        self._store = store
        self._archive = archive
        self._renew = renew
        self._late = Backlog[Turn](lambda run: self._leave(run, "too much waits for the store"))
        self._keys: dict[Turn, RunKey] = {}
        """Under which of the runs in the store other processes find that a late turn is unsaved."""
        self._held_at = 0.0
        self._sweeper = Sweeper("late turns", self._save_late, lambda: _RETRY_SECONDS, lambda: bool(self._late))

    @property
    def waiting(self) -> int:
        """How many turns wait for the store to come back."""
        return len(self._late)

    def go_on(self) -> None:
        """Go on on the running loop, once another one has ended."""
        if self._late:
            self._sweeper.start()

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
            await within(SAVE_SECONDS, retry_unavailable(self._keep, PATIENCE_WITH_STORE_SECONDS, run))
        except ThreadBusyError:
            self._put_off(run)
            raise
        except (TimeoutError, StoreUnavailableError) as error:
            self._put_off(run)
            raise NotStoredError from error

    async def insert(self, turn: Turn) -> bool:
        """Put the turn of a run of another process in its place; return whether its thread was free for that.

        Raises:
            StoreUnavailableError: The store does not answer.
        """
        try:
            await self._insert(turn, wait=0)
        except ThreadBusyError:
            return False
        except StoreUnavailableError:
            raise
        except Exception as error:  # noqa: BLE001 - a provider's own place for its state may raise anything
            _report_lost(turn, str(error))
        return True

    def waits(self, run: Turn) -> bool:
        """Return whether the turn of a run is yet to be stored."""
        return run in self._late

    def has(self, key: RunKey) -> bool:
        """Return whether this process is to store the turn of a run that has ended."""
        return key in self._keys.values()

    def share(self, run: Turn, key: RunKey) -> bool:
        """Note where other processes find that a turn is unsaved; return whether it still waits here."""
        if run in self._late:
            self._keys[run] = key
        return run in self._late

    def adopt(self, turn: Turn, key: RunKey) -> None:
        """Store the turn of a run of another process, whose place is ``key``, as soon as its thread is free."""
        self._put_off(turn)
        self.share(turn, key)

    def drop(self, run: Run) -> None:
        """Leave a turn to the process that goes on with its run."""
        self._forget(run)

    async def stop(self) -> None:
        """Try to store what still waits once more, for a limited time; leave the rest to other processes."""
        await self._sweeper.stop()
        for work in (self._try_all, self._leave_all) if self._late else ():
            with suppress(TimeoutError, StoreUnavailableError):
                async with asyncio.timeout(_LAST_TRY_SECONDS):
                    await work()
        for run in self._late:
            self._late.remove(run)
            self._leave(run, "the process ends")

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
        self._late.add(run, size)
        self.go_on()

    def _leave(self, run: Turn, reason: str) -> None:
        """Leave a turn that no longer waits here to the processes that find it, once nobody holds it; or lose it."""
        if self._keys.pop(run, None) is None:
            _report_lost(run, reason)

    def _forget(self, run: Turn) -> RunKey | None:
        self._late.remove(run)
        return self._keys.pop(run, None)

    async def _save_late(self) -> None:
        with suppress(StoreUnavailableError):
            for run in self._late:
                if self._late.has_waited_too_long(run):
                    await self._lose(run, "the store was away for too long")
            await self._try_all()

    async def _lose(self, run: Turn, reason: str) -> None:
        key = self._forget(run)
        _report_lost(run, reason)
        if key is not None:
            await self._archive.note_saved(key)

    async def _leave_all(self) -> None:
        for key in list(self._keys.values()):
            await self._archive.leave_unsaved(key)

    async def _try_all(self) -> None:
        # The end of a run is stored first, so that it is not marked as unsaved after its turn has been stored.
        for run in [run for run in self._late if run.is_over]:
            await self._hold()
            if run in self._late:
                await self._try(run)

    async def _try(self, run: Turn) -> None:
        try:
            await self._insert(run, wait=_LOCK_SECONDS)
        except StoreUnavailableError:
            raise
        except ThreadBusyError:
            return
        except Exception as error:  # noqa: BLE001 - a provider's own place for its state may raise anything
            await self._lose(run, str(error))
        else:
            self._forget(run)

    async def _hold(self) -> None:
        """Go on holding the turns that other processes would store otherwise; leave those that others have."""
        keys = list(self._keys.values())
        if keys and monotonic() - self._held_at >= _RETRY_SECONDS:
            held = await self._archive.hold_unsaved(keys)
            self._held_at = monotonic()
            for run, key in list(self._keys.items()):
                if key in keys and key not in held:
                    self._forget(run)

    async def _insert(self, run: Turn, wait: float) -> None:
        async with self._store.lock(run.input.thread_id, run.agent_name, wait=wait):
            key = self._keys.get(run)
            if key is not None and key not in await self._archive.hold_unsaved([key]):
                return  # another process has stored it, or is to
            if not await self._renew(run):
                raise StoreError("The thread is gone.")
            kept = await _kept(run)
            await _save(run, _inserted(run, kept), kept.version)
            key = self._keys.get(run)  # the end of its run may have been stored meanwhile
            if key is not None:
                await self._archive.note_saved(key)
        if run in self._late:
            log.info("turn_stored_late", thread_id=run.input.thread_id, run_id=run.input.run_id)


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
