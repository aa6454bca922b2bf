"""Guardrails: checks of requests before the model is called, and of responses before they are shown."""

from .cloud import CloudGuardrail
from .interface import ALLOWED, Guardrail, InputCheck, OutputCheck, Verdict, denied
from .judge import TopicJudge
from .topics import TopicGuardrail

__all__ = [
    "ALLOWED",
    "CloudGuardrail",
    "Guardrail",
    "InputCheck",
    "OutputCheck",
    "TopicGuardrail",
    "TopicJudge",
    "Verdict",
    "denied",
]
