"""Measure the queue engines that the runtime could hand runs to."""
