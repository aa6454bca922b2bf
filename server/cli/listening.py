"""The address and the certificate of a server."""

from __future__ import annotations

import errno
import os
import socket
import ssl
from pathlib import Path

from ...runtime.errors import ConfigurationError

WAITING_CONNECTIONS = 2048
"""How many connections may wait until they are accepted."""

ACCEPTED_AT_ONCE = 16
"""How many connections one turn of the event loop accepts."""


def bind(host: str, port: int) -> socket.socket:
    """Return a socket that listens there, before anything else is done.

    Raises:
        ConfigurationError: The address is in use, or not this machine's.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        # At once: whoever read the summary may connect, and nobody else gets the port while the application starts.
        listener.listen(WAITING_CONNECTIONS)
    except OSError as error:
        flag = "--port" if error.errno in (errno.EADDRINUSE, errno.EACCES) else "--host"
        raise ConfigurationError(
            f"Cannot listen on {host}, port {port}: {error.strerror}. Choose another one with {flag}."
        ) from error
    listener.set_inheritable(True)
    # For all processes that will share it: where another one is faster, accept() must not wait for the next client.
    listener.setblocking(False)
    return listener


def acceptors(listener: socket.socket) -> list[socket.socket]:
    """Return a listening socket and its duplicates, of which each accepts one connection in a turn of the event loop.

    libuv accepts no more for one socket. With a thousand busy streams a turn takes some 20 ms, so that clients that
    come faster than that would wait for seconds, and longer the more of them there are.
    """
    # Not by socket.dup(), which sets whether it blocks anew: for all processes, as they share the open socket.
    duplicates = [os.dup(listener.fileno()) for _ in range(1, ACCEPTED_AT_ONCE)]
    return [listener, *(socket.socket(fileno=descriptor) for descriptor in duplicates)]


def check_tls(certificate: Path, key: Path) -> None:
    """Read a certificate and its key, as each process will.

    Raises:
        ConfigurationError: One of them is not there, or they do not fit each other.
    """

    def password() -> str:
        raise ConfigurationError(f"ssl_keyfile: {key} is encrypted; a key without a password is needed.")

    for name, file in (("ssl_certfile", certificate), ("ssl_keyfile", key)):
        try:
            file.open("rb").close()
        except OSError as error:
            raise ConfigurationError(f"{name}: {file} cannot be read: {error.strerror}.") from error
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password)
    except ssl.SSLError as error:
        problem = f"ssl_certfile, ssl_keyfile: the certificate {certificate} and the key {key} do not match"
        raise ConfigurationError(f"{problem}: {error.reason or 'not PEM files'}.") from error
