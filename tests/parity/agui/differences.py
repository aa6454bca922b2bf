"""Where this runtime sends other events over AG-UI than the newest TypeScript runtime, on purpose, and why."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase

RUN, CONNECT = "run", "connect"


@dataclass(frozen=True)
class Difference:
    """Streams that differ: there are ``fewer`` or ``more`` events of some types, or else events hold something else."""

    scenarios: str
    reason: str
    fewer: tuple[str, ...] = ()
    more: tuple[str, ...] = ()
    streams: tuple[str, ...] = (RUN, CONNECT)

    def covers(self, scenario: str, stream: str) -> bool:
        """Return whether this is about a stream of a scenario."""
        return stream in self.streams and fnmatchcase(scenario, self.scenarios)


_TEXT = ("TEXT_MESSAGE_START", "TEXT_MESSAGE_CONTENT", "TEXT_MESSAGE_END")
_FAILED = ("CUSTOM", "RUN_FINISHED")
_SHOWN = "a failed run ends with RUN_FINISHED in the history: clients to 1.69.3 open no thread with RUN_ERROR in it"
_ORDER = "messages and calls come back in the order in which they began, there in the order in which they ended"
_MASKED = "the message of an exception is logged and not sent; the code says what failed"

DIFFERENCES = (
    Difference("server-action*", "an action of the server is executed and the result sent", more=("TOOL_CALL_RESULT",)),
    Difference("tool-result*", "a result has AG-UI's `role`, and no `toolCallName`, which AG-UI does not have"),
    Difference("message-with-a-parent", "a text message has no `parentMessageId`, which AG-UI does not have"),
    Difference(
        "message-id-used-again",
        "a second message with the id of one that has ended is a message of its own: clients would merge the two",
    ),
    Difference(
        "message-left-open",
        "what an agent left open is closed: there, the stream is an error",
        fewer=("RUN_ERROR",),
        more=("RUN_FINISHED",),
    ),
    Difference(
        "empty-deltas",
        "empty deltas are dropped: clients to 1.54 stop at them",
        fewer=("TEXT_MESSAGE_CONTENT", "TOOL_CALL_ARGS"),
        streams=(RUN,),
    ),
    Difference("interleaved-messages-burst", _ORDER, streams=(CONNECT,)),
    Difference("interleaved-tool-calls", _ORDER, streams=(CONNECT,)),
    Difference("state-steps", "the snapshot of the state is where it changed", streams=(CONNECT,)),
    Difference("state-in-a-burst", "the snapshot of the state is where it changed", streams=(CONNECT,)),
    Difference(
        "state-snapshot",
        "the page's view of a state has no messages; they come as messages",
        streams=(RUN,),
    ),
    Difference(
        "state-that-is-no-object",
        "a state that is not an object is not sent: clients expect objects",
        fewer=("STATE_SNAPSHOT",),
        streams=(RUN,),
    ),
    Difference(
        "state-that-is-no-object", "a state that is not an object is an empty one in the history", streams=(CONNECT,)
    ),
    Difference(
        "state-predicted-twice",
        "state that grows with a tool's arguments is sent as it grows; clients ignore `PredictState`",
        fewer=("CUSTOM",),
        more=("STATE_SNAPSHOT", "STATE_DELTA"),
        streams=(RUN,),
    ),
    Difference(
        "state-predicted-twice",
        "the history has what grew with a tool's arguments as state",
        fewer=("CUSTOM",),
        more=("STATE_SNAPSHOT", "STATE_DELTA"),
        streams=(CONNECT,),
    ),
    Difference(
        "state-predicted*",
        "state that grows with a tool's arguments is sent as it grows; clients ignore `PredictState`",
        fewer=("CUSTOM",),
        more=("STATE_DELTA",),
        streams=(RUN,),
    ),
    Difference(
        "state-predicted*",
        "the history has what grew with a tool's arguments as state",
        fewer=("CUSTOM",),
        more=("STATE_DELTA",),
        streams=(CONNECT,),
    ),
    Difference(
        "state-delta-that-does-not-apply",
        "what does not fit is left out, as clients do; there, the process ends while it stores the run",
        fewer=("STATE_DELTA",),
        streams=(RUN,),
    ),
    Difference(
        "state-delta-that-does-not-apply",
        "the thread is there afterwards",
        more=("RUN_STARTED", "STATE_SNAPSHOT", "RUN_FINISHED"),
        streams=(CONNECT,),
    ),
    Difference(
        "state-given",
        "the history has the whole state: what the client sent, with the agent's changes",
        streams=(CONNECT,),
    ),
    Difference("state-exit", "`Exit` is between the agent and the runtime", fewer=("CUSTOM",)),
    Difference("raw-event", "raw events are sent only with the setting `raw_events`", fewer=("RAW",)),
    Difference(
        "messages-snapshot",
        "clients have these messages already: a snapshot in the middle of a run may take some from them",
        fewer=("MESSAGES_SNAPSHOT",),
        streams=(RUN,),
    ),
    Difference(
        "messages-snapshot",
        "messages that an agent knows and no run has sent come as a run of their own",
        more=("RUN_STARTED", "RUN_FINISHED"),
        streams=(CONNECT,),
    ),
    Difference("interrupt-named-by-the-contract", "questions have the name by which clients know them, `on_interrupt`"),
    Difference(
        "two-interrupts",
        "several questions of a run are one list: clients keep only the last of several events",
        fewer=("CUSTOM",),
    ),
    Difference(
        "error-in-a-message-burst",
        f"what was said before the failure is sent. {_MASKED.capitalize()}",
        more=_TEXT,
        streams=(RUN,),
    ),
    Difference("error-in-a-message-burst", _SHOWN, ("RUN_ERROR",), (*_TEXT, *_FAILED), (CONNECT,)),
    Difference(
        "error-after-the-last-event",
        "an agent that fails when all is said has failed",
        fewer=("RUN_FINISHED",),
        more=("RUN_ERROR",),
        streams=(RUN,),
    ),
    Difference(
        "error-after-the-last-event", "the history says that the run has failed", more=("CUSTOM",), streams=(CONNECT,)
    ),
    Difference("error-event", "what was open is closed before the error", more=("TEXT_MESSAGE_END",), streams=(RUN,)),
    Difference("error-event", _SHOWN, ("RUN_ERROR",), ("TEXT_MESSAGE_END", *_FAILED), (CONNECT,)),
    Difference("error-*", _MASKED, streams=(RUN,)),
    Difference("error-*", _SHOWN, ("RUN_ERROR",), _FAILED, (CONNECT,)),
)


def difference_of(scenario: str, stream: str) -> Difference | None:
    """Return what is known to differ in a stream of a scenario: the first that covers it."""
    return next((each for each in DIFFERENCES if each.covers(scenario, stream)), None)
