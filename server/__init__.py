"""The composition root: the runtime object, its application, and the command line."""
