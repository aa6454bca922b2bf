"""New projects, written from templates."""
