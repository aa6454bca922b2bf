"""Carries out one call of an action, within its limits, and reports its outcome whatever happens."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import structlog

from ..context import RunContext
from ..errors import ActionError, CopilotKitError, InvalidArgumentsError
from ..json_text import decode_json
from ..thread_pool import Workers
from .action import Action
from .results import ActionResult, Activity, encode_result, error_result

log = structlog.get_logger(__name__)

HANDLER_ERROR = "HANDLER_ERROR"
UNPARSABLE = "Failed to parse action arguments"
STOP_SECONDS = 5.0
MASKED = "The action failed. Please check the logs for more details."


class Outcome(msgspec.Struct, frozen=True):
    """A call's result as text, the text to show to the user, and what to draw, if any."""

    content: str
    direct: str | None = None
    activity: Activity | None = None


class ActionRunner:
    """Carries out calls of actions.

    Args:
        workers: The threads for sync handlers.
        show_exceptions: Whether the text of an exception that is not a ``CopilotKitError`` is shown in the result.
    """

    def __init__(self, workers: Workers, *, show_exceptions: bool = False) -> None:
        self._workers = workers
        self._show_exceptions = show_exceptions
        self._doing: set[asyncio.Task[Any]] = set()

    async def run(self, action: Action, arguments: str, context: RunContext) -> Outcome:
        """Do ``action``, once. Never raises, save when it is cancelled.

        Args:
            action: What to do.
            arguments: The JSON text of an object, as the model wrote it; empty for none.
            context: The request's context.
        """
        try:
            return _outcome(action, await self._value(action, arguments, context))
        except ActionError as error:
            return self._failed(action, error.result_code, error.message)
        except CopilotKitError as error:
            return self._failed(action, HANDLER_ERROR, error.message)
        except Exception as error:
            log.exception("action_failed", action=action.name)
            return Outcome(error_result(HANDLER_ERROR, str(error) if self._show_exceptions else MASKED))

    async def stop(self) -> None:
        """Wait a while for the handlers that are being cancelled."""
        if self._doing:
            _, late = await asyncio.wait(self._doing, timeout=STOP_SECONDS)
            if late:
                log.error("actions_ignore_cancellation", count=len(late))

    async def _value(self, action: Action, arguments: str, context: RunContext) -> Any:
        doing = asyncio.create_task(action.invoke(_parsed(arguments), context, self._workers), name="handler")
        self._doing.add(doing)
        doing.add_done_callback(self._forget)
        try:
            # Not a timeout around the handler itself: it might not let itself be cancelled.
            done, _ = await asyncio.wait([doing], timeout=action.timeout)
        finally:
            doing.cancel()
        if not done:
            raise ActionError(f"The action did not finish within {action.timeout:g} seconds.")
        if doing.cancelled():
            raise ActionError("The action was cancelled.")
        return doing.result()

    def _forget(self, doing: asyncio.Task[Any]) -> None:
        self._doing.discard(doing)
        if not doing.cancelled():
            # It may be that nobody waits for the outcome any longer.
            doing.exception()

    def _failed(self, action: Action, code: str, message: str) -> Outcome:
        log.warning("action_failed", action=action.name, code=code, error=message)
        return Outcome(error_result(code, message))


def _outcome(action: Action, returned: Any) -> Outcome:
    result = returned if isinstance(returned, ActionResult) else ActionResult(value=returned)
    if result.failed:
        return Outcome(error_result(HANDLER_ERROR, str(result.value)), activity=result.activity)
    direct = result.value if action.return_direct and isinstance(result.value, str) else None
    return Outcome(encode_result(result.value), direct, result.activity)


def _parsed(arguments: str) -> dict[str, Any]:
    try:
        given = decode_json(arguments or "{}")
    except msgspec.DecodeError as error:
        raise InvalidArgumentsError(UNPARSABLE) from error
    if not isinstance(given, dict):
        raise InvalidArgumentsError(UNPARSABLE)
    return given
