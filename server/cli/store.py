"""The commands about the store as a whole."""

from __future__ import annotations

import typer

from . import threads

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)


@app.callback()
def _store() -> None:
    """Keep the store small."""


@app.command()
def compact(target: threads.Target = None, store: threads.Store = None, config: threads.Settings = None) -> None:
    """Delete what no later run needs, such as old checkpoints and expired threads, and give the room back."""
    compacted = threads.with_runtime(lambda runtime: runtime.compact_store(), target, store, config)
    typer.echo(f"compacted {compacted}")
