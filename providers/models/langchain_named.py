"""Models of the vendors that LangChain knows, by name."""

from __future__ import annotations

import structlog

from ...runtime.errors import (
    ConfigurationError,
    CopilotKitError,
    MissingExtraError,
    MissingVariableError,
    MisuseError,
)
from ...runtime.optional import optional
from .chat import ChatModel
from .missing_variables import missing_variable
from .options import ModelOptions
from .redaction import redacted

log = structlog.get_logger(__name__)
_EXTRAS = {"google_genai": "google", "bedrock": "bedrock", "bedrock_converse": "bedrock"}


def open_chat(vendor: str, name: str, options: ModelOptions) -> ChatModel:
    """Open a model that ``init_chat_model`` makes. Blocks while it imports the vendor's package.

    Args:
        vendor: As in https://reference.langchain.com/python/langchain/models/, or empty to infer it from ``name``.
        name: The model.
        options: How to use it.

    Raises:
        MissingExtraError: A package is not installed.
        MissingVariableError: The vendor's key is not set, or Amazon's region.
        ConfigurationError: The model could not be set up for another reason.
        MisuseError: LangChain does not know the vendor either.
    """
    spec = f"{vendor}:{name}" if vendor else name
    with optional(f"The model {spec!r}", _EXTRAS.get(vendor, "models")):
        from langchain.chat_models import init_chat_model

        from .langchain_chat import LangChainChat
    try:
        return LangChainChat(init_chat_model(name, model_provider=vendor or None), options)
    except Exception as error:
        raise _refusal(spec, vendor, error) from error


def _refusal(spec: str, vendor: str, error: Exception) -> CopilotKitError:
    if isinstance(error, ImportError):
        if vendor in _EXTRAS:
            return MissingExtraError(f"The model {spec!r}", _EXTRAS[vendor])
        return MisuseError(f"The model {spec!r} needs a package: {error}")
    if isinstance(error, ValueError) and str(error).startswith(("Unsupported", "Unable to infer")):
        return MisuseError(f"No vendor is known for the model {spec!r}. {redacted(str(error))}")
    if (variable := missing_variable(error)) is not None:
        return MissingVariableError(variable)
    log.warning("model_not_set_up", model=spec, error=type(error).__name__)
    return ConfigurationError(
        f"The model {spec!r} could not be set up. Check its API key and settings.",
        original_type=type(error).__name__,
    )
