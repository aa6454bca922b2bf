"""Logging: structlog configured for a terminal or for machines, with secrets redacted."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from itertools import islice
from time import monotonic
from typing import TYPE_CHECKING, Any, Literal

import structlog
from typing_extensions import override

from ..runs.observer import RunObserver

if TYPE_CHECKING:
    from structlog.typing import Processor

    from ..runs.run import Run

LogFormat = Literal["auto", "console", "json"]

log = structlog.get_logger(__name__)

HIDDEN = "[hidden]"

_HIDDEN_NAMES = (
    r"authorization|cookie|credentials?|passw(?:or)?d|passphrase|pwd|secret|token|api[_-]?key|private[_-]?key"
    r"|public[_-]api[_-]key"
)
_SECRET_KEY = re.compile(rf"(^|[_-])({_HIDDEN_NAMES})($|[_-])", re.IGNORECASE)
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
# "password=x" in a URL or a call, and "'api_key': 'x'" in a printed dictionary, as tracebacks have them.
# Each alternative begins with a fixed word, so that a text is searched once, however it repeats itself.
_SECRET_TEXT = re.compile(
    rf"(?P<quoted>(?:{_HIDDEN_NAMES})(?:=|[\"']\s?:\s?)[\"'])[^\"']+"
    rf"|(?P<named>(?:{_HIDDEN_NAMES})=)(?:(?:basic|bearer)\s{{1,8}})?[^\s\"'&,;)]+"
    r"|(?P<scheme>bearer\s{1,8})[^\s\"',]+"
    r"|(?P<user>://[^/\s:@]{0,256}:)[^\s/@]{1,256}(?=@)"
    r"|\b(sk|pk|rk|ck|gsk)[-_][A-Za-z0-9_-]{16,}"
    r"|\beyJ[A-Za-z0-9_-]{5,1000}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*"
    r"|\bgh[pousr]_[A-Za-z0-9]{20,}|\bxox[abprs]-[A-Za-z0-9-]{10,}|\bAKIA[A-Z0-9]{16}\b|\bAIza[A-Za-z0-9_-]{30,}",
    re.IGNORECASE,
)
_KEPT = ("quoted", "named", "scheme", "user")
_PLAIN = (bool, int, float, type(None))
_DEPTH = 6
_MAX_TEXT = 2_000
"""Characters of one logged text; a stack may have more."""
_MAX_STACK = 16_000
_MAX_ITEMS = 50
_CUT_WORD = re.compile(r"\S{1,200}\Z")


def without_secrets(text: str) -> str:
    """``text`` with what looks like a key, a token or a password taken out."""
    return _SECRET_TEXT.sub(lambda match: next(filter(None, map(match.group, _KEPT)), "") + HIDDEN, text)


def redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor that hides secrets, by the names of fields and by what texts look like.

    Texts and collections are cut before they are searched: what a client chose must not hold the event loop.
    """
    return {key: _redacted(key, value, _DEPTH) for key, value in event.items()}


def shortened(text: str, limit: int = _MAX_TEXT) -> str:
    """Return ``text``, without its middle if it is longer than ``limit`` characters."""
    if len(text) <= limit:
        return text
    head, tail = text[: limit * 2 // 3], text[len(text) - limit // 3 :]
    # A secret that the cut goes through would no longer look like one: what is left of it goes, too.
    head, tail = _CUT_WORD.sub("", head), tail.partition(" ")[2] if " " in tail[:200] else tail[200:]
    return f"{head} [{len(text) - len(head) - len(tail)} characters left out] {tail}"


def _plain(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    event.pop("color_message", None)  # uvicorn's copy of its own text, for terminals
    return event


def _redacted(key: str, value: Any, depth: int) -> Any:
    if value is not None and _SECRET_KEY.search(_HUMP.sub("_", key)):
        return HIDDEN
    if isinstance(value, _PLAIN):
        return value
    if depth and isinstance(value, dict):
        items = islice(value.items(), _MAX_ITEMS)
        return {shortened(str(name), 100): _redacted(str(name)[:100], item, depth - 1) for name, item in items}
    if depth and isinstance(value, list | tuple):
        return [_redacted("", item, depth - 1) for item in value[:_MAX_ITEMS]]
    text = value if isinstance(value, str) else repr(value)
    return without_secrets(shortened(text, _MAX_STACK if key in ("exception", "stack") else _MAX_TEXT))


def log_without_values() -> None:
    """Hands the log to the standard library, secrets and local variables left out, unless the process has its own way.

    structlog's own default prints the values of a failed run's variables, messages and keys among them.
    """
    if structlog.is_configured():
        return
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.contextvars.merge_contextvars,
            structlog.processors.format_exc_info,
            redact,
            structlog.stdlib.render_to_log_kwargs,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )


def configure_logging(level: str = "info", format_: LogFormat = "auto") -> None:
    """Sends all of the process's log, the standard library's included, to standard error.

    Args:
        level: The least that is logged.
        format_: ``json``, ``console``, or ``auto``: for people at a terminal and for machines elsewhere.
    """
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _plain, redact, _renderer(format_)],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    # Their lines at "info" are one per request and say less than ours.
    for name in ("uvicorn.access", "httpx", "httpcore"):
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))


def _renderer(format_: LogFormat) -> Processor:
    if format_ == "console" or (format_ == "auto" and sys.stderr.isatty()):
        return structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    return structlog.processors.JSONRenderer()


class RunLog(RunObserver):
    """Logs each run, and has every line that is logged within it name the thread, the run, the agent and the asker."""

    @override
    @contextmanager
    def starting(self, run: Run) -> Iterator[None]:
        fields = {"thread_id": run.input.thread_id, "run_id": run.input.run_id, "agent": run.agent_name}
        if run.context.identity is not None:
            fields["identity"] = run.context.identity
        with structlog.contextvars.bound_contextvars(**fields):
            log.info("run_started")
            yield

    @override
    def ended(self, run: Run) -> None:
        seconds = round(monotonic() - run.started_at, 3)
        log.info("run_ended", outcome=run.status.value, seconds=seconds, pieces=run.transcript.pieces)
