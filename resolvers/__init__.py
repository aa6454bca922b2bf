"""Ariadne bindables for the contract: arguments in, service call, result out."""

from .schema import build_schema

__all__ = ["build_schema"]
