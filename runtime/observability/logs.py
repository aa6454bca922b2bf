"""Logging: structlog configured for a terminal or for machines, with secrets redacted."""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from itertools import islice
from time import monotonic
from typing import TYPE_CHECKING, Any, Literal

import structlog
from typing_extensions import override

from ..redaction import HIDDEN, MAX_TEXT, names_secret, shortened, without_secrets
from ..runs.observer import RunObserver
from .log_fields import LogFields

if TYPE_CHECKING:
    from structlog.typing import Processor

    from ..runs.run import Run

LogFormat = Literal["auto", "console", "json"]

log = structlog.get_logger(__name__)

_PLAIN = (bool, int, float, type(None))
_DEPTH = 6
_MAX_STACK = 16_000
_MAX_ITEMS = 50


def redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Return a structlog processor that hides secrets, by the names of fields and by what texts look like.

    Texts and collections are cut before they are searched: what a client chose must not hold the event loop.
    """
    return {key: _redacted(key, value, _DEPTH) for key, value in event.items()}


def _plain(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    event.pop("color_message", None)  # uvicorn's copy of its own text, for terminals
    return event


def _redacted(key: str, value: Any, depth: int) -> Any:
    if value is not None and names_secret(key):
        return HIDDEN
    if isinstance(value, _PLAIN):
        return value
    if depth and isinstance(value, dict):
        items = islice(value.items(), _MAX_ITEMS)
        return {shortened(str(name), 100): _redacted(str(name)[:100], item, depth - 1) for name, item in items}
    if depth and isinstance(value, list | tuple):
        return [_redacted("", item, depth - 1) for item in value[:_MAX_ITEMS]]
    text = value if isinstance(value, str) else repr(value)
    return without_secrets(shortened(text, _MAX_STACK if key in ("exception", "stack") else MAX_TEXT))


_RECORD_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


def _readable(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> dict[str, Any]:
    """Write the fields and the stack into the line itself, and pass the fields on for handlers that read them.

    Python's default handler prints nothing but the line.
    """
    name, *stacks = (str(event.pop(key, "")) for key in ("event", "exception", "stack"))
    line = " ".join([name, *(f"{key}={value!r}" for key, value in event.items())])
    text = "\n".join([line, *(stack.rstrip("\n") for stack in stacks if stack)])
    extra = {key: value for key, value in event.items() if key not in _RECORD_FIELDS}
    return {"msg": text, "extra": {"event": name, **extra}}


def log_without_values() -> None:
    """Hand the log to the standard library, secrets and local variables left out, unless the process has its own way.

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
            _readable,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )


def configure_logging(level: str = "info", format_: LogFormat = "auto") -> None:
    """Send all of the process's log, the standard library's included, to standard error.

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
    # Their lines at "info" are one per request, or per write to a file, and hold less than ours.
    quiet = ["uvicorn.access", "httpx", "httpcore", "watchfiles.main"]
    if _is_for_people(format_):
        quiet.append("uvicorn.error")  # people read the summary, and its lines would stand in between
    for name in quiet:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))


def _is_for_people(format_: LogFormat) -> bool:
    return format_ == "console" or (format_ == "auto" and sys.stderr.isatty())


def _renderer(format_: LogFormat) -> Processor:
    if _is_for_people(format_):
        return structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    return structlog.processors.JSONRenderer()


class InfoLines:
    """Decides whether lines of level "info" are logged, for those that each request and each run would log.

    To find out, structlog binds a logger anew, for each line that it then leaves out.

    Args:
        name: The module that logs.
    """

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(name)

    def __bool__(self) -> bool:
        """Return whether they are; where the process has its own way of logging, structlog decides."""
        return self._logger.isEnabledFor(logging.INFO) or not _goes_by_level()


def _goes_by_level() -> bool:
    processors = structlog.get_config()["processors"]
    return bool(processors) and processors[0] is structlog.stdlib.filter_by_level


class RunLog(RunObserver):
    """Logs each run, and has every line that is logged within it name the thread, the run, the agent and the asker."""

    @override
    def starting(self, run: Run) -> LogFields:
        fields = {"thread_id": run.input.thread_id, "run_id": run.input.run_id, "agent": run.agent_name}
        if run.context.identity is not None:
            fields["identity"] = run.context.identity
        return _Starting(**fields)

    @override
    def ended(self, run: Run) -> None:
        if not _info_lines:
            return
        seconds = round(monotonic() - run.started_at, 3)
        log.info("run_ended", outcome=run.status.value, seconds=seconds, **volume_of(run))


class _Starting(LogFields):
    """The fields of a run, with its first line."""

    __slots__ = ()

    @override
    def __enter__(self) -> None:
        super().__enter__()
        if _info_lines:
            log.info("run_started")


_info_lines = InfoLines(__name__)


def volume_of(run: Run) -> dict[str, int]:
    """Return how much text a run has produced: its pieces, and its tokens where vendors report them."""
    total = run.transcript.usage.total
    tokens = {} if total is None else {"input_tokens": total.input, "output_tokens": total.output}
    return {"pieces": run.log.pieces, **tokens}
