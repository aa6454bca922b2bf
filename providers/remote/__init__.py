"""CopilotKit remote endpoints, as the ``copilotkit`` Python SDK serves them."""

from ...runtime.errors import MissingExtraError

try:
    from .provider import RemoteEndpointProvider
except ImportError as error:
    raise MissingExtraError("A CopilotKit remote endpoint", "remote") from error

from .endpoint import RemoteAction

__all__ = ["RemoteAction", "RemoteEndpointProvider"]
