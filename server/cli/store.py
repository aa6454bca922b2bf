"""The commands about the store as a whole."""

from __future__ import annotations

import typer

from . import threads

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)


@app.callback()
def _store() -> None:
    """Keep the store small."""


@app.command()
def compact(
    served: threads.Served = None,
    target: threads.Target = None,
    store: threads.Store = None,
    config: threads.Settings = None,
) -> None:
    """Delete what no later run needs, such as old checkpoints and expired threads, and give the room back."""
    compacted = threads.with_runtime(lambda runtime: runtime.compact_store(), served or target, store, config)
    typer.echo(f"compacted {compacted}")
