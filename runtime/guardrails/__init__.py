"""What may be asked, and answered: checks that are made before the model is paid."""

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
