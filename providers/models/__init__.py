"""Models that answer requests which name no agent."""

from .options import ModelOptions
from .provider import ModelProvider, model_provider

__all__ = ["ModelOptions", "ModelProvider", "model_provider"]
