"""CopilotKit remote endpoints, as the ``copilotkit`` Python SDK serves them."""

from ...runtime.optional import optional

with optional("The provider of remote endpoints", "remote"):
    from .endpoint import RemoteAction
    from .provider import RemoteEndpointProvider

__all__ = ["RemoteAction", "RemoteEndpointProvider"]
