"""Frameworks behind the one provider interface (``runtime.provider``); each is imported only when it is used."""
