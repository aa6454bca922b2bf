"""Speech to text: what clients record, given to the application's own function."""

from __future__ import annotations

import binascii
import inspect
from base64 import b64decode
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

import structlog

from ...runtime.errors import AuthenticationError, CopilotKitError, NetworkError
from ...runtime.thread_pool import Workers
from ..http.form import form_parts
from .call import GivenBody
from .refusals import JsonRefusal

log = structlog.get_logger(__name__)


class Audio(NamedTuple):
    """A recording: its bytes, its type without parameters, and the name of its file."""

    data: bytes
    mime_type: str
    filename: str


Transcribe: TypeAlias = Callable[[Audio], str | Awaitable[str]]
"""Turns a recording into text. One that is not ``async`` is called in a thread."""

_TYPES = frozenset(f"audio/{kind}" for kind in ("mpeg", "mp3", "mp4", "wav", "webm", "ogg", "flac", "aac"))
_UNKNOWN = ("", "application/octet-stream")
_STATUSES = {
    "service_not_configured": 503,
    "auth_failed": 401,
    "rate_limited": 429,
    "provider_error": 500,
    "network_error": 502,
}
_RETRYABLE = frozenset({"rate_limited", "provider_error", "network_error"})


class TranscriptionError(CopilotKitError):
    """A recording could not be transcribed.

    Args:
        code: Why: ``invalid_audio_format``, ``audio_too_long``, ``audio_too_short``, ``invalid_request``,
            ``auth_failed``, ``rate_limited``, ``provider_error`` or ``network_error``.
        message: The same for the user.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.reason = code


class Transcription:
    """Transcribes recordings.

    Args:
        transcribe: The application's function; None if it has none.
    """

    def __init__(self, transcribe: Transcribe | None) -> None:
        self._transcribe = transcribe
        self._workers = Workers()

    @property
    def configured(self) -> bool:
        """Whether there is a function that transcribes."""
        return self._transcribe is not None

    def check_configured(self) -> None:
        """Check, before a body is read, that there is a function that transcribes.

        Raises:
            JsonRefusal: It is missing.
        """
        if self._transcribe is None:
            raise _refusal("service_not_configured", "This server does not transcribe.")

    async def answer(self, content_type: str, raw: bytes, body: GivenBody) -> dict[str, Any]:
        """Transcribe what a request brings: a form with the field ``audio``, or JSON with its base64 text.

        Raises:
            JsonRefusal: It is not a recording, or cannot be transcribed.
        """
        self.check_configured()
        is_form = content_type.lower().startswith("multipart/form-data")
        audio = _checked(_from_form(content_type, raw) if is_form else _from_json(body))
        try:
            text = await self._call(audio)
        except Exception as error:
            raise _failure(error) from error
        return {"text": text, "size": len(audio.data), "type": audio.mime_type}

    async def stop(self) -> None:
        """Wait no longer for calls that still run."""
        await self._workers.stop()

    async def _call(self, audio: Audio) -> str:
        transcribe: Any = self._transcribe
        if inspect.iscoroutinefunction(transcribe):
            return str(await transcribe(audio))
        text = await self._workers.run(lambda: transcribe(audio))
        return str(await text if inspect.isawaitable(text) else text)


def _from_json(body: GivenBody) -> Audio:
    data = body.data if isinstance(body.data, Mapping) else {}
    audio, mime_type, filename = data.get("audio"), data.get("mimeType"), data.get("filename")
    if not isinstance(audio, str) or not audio:
        raise _refusal("invalid_request", "The body must have the recording as 'audio'.")
    head, comma, rest = audio.partition(",")
    if audio.startswith("data:") and comma:
        mime_type, audio = mime_type or head.removeprefix("data:"), rest
    try:
        raw = b64decode(audio, validate=True)
    except (binascii.Error, ValueError) as error:
        raise _refusal("invalid_request", "The recording must be base64.") from error
    return Audio(raw, mime_type if isinstance(mime_type, str) else "", filename if isinstance(filename, str) else "")


def _from_form(content_type: str, raw: bytes) -> Audio:
    for part in form_parts(content_type, raw):
        if part.name == "audio":
            return Audio(part.data, part.content_type, part.filename)
    raise _refusal("invalid_request", "The form must have the recording in the field 'audio'.")


def _checked(audio: Audio) -> Audio:
    mime_type = audio.mime_type.partition(";")[0].strip().lower()
    if mime_type in _UNKNOWN:
        mime_type = "audio/webm"
    if mime_type not in _TYPES:
        raise _refusal("invalid_audio_format", f"Recordings of the type '{mime_type[:100]}' are not transcribed.")
    if not audio.data:
        raise _refusal("audio_too_short", "The recording is empty.")
    return audio._replace(mime_type=mime_type)


def _failure(error: Exception) -> JsonRefusal:
    match error:
        case TranscriptionError():
            return _refusal(error.reason, error.message)
        case AuthenticationError():
            return _refusal("auth_failed", error.message)
        case NetworkError():
            return _refusal("network_error", error.message)
        case CopilotKitError():
            return _refusal("provider_error", error.message)
    log.error("transcription_failed", exc_info=error)
    return _refusal("provider_error", "The recording could not be transcribed.")


def _refusal(code: str, message: str) -> JsonRefusal:
    body = {"error": code, "message": message, "retryable": code in _RETRYABLE}
    return JsonRefusal(_STATUSES.get(code, 400), body)
