"""An identity provider's keys, published over HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa


class Publisher:
    """What is published, and how often it was fetched. While ``answers`` is not set, nobody gets an answer.

    Args:
        keys: The keys by their ids.
    """

    def __init__(self, keys: dict[str, rsa.RSAPrivateKey]) -> None:
        self.keys = keys
        self.url = ""
        self.fetched = 0
        self.answers = Event()
        self.answers.set()

    def key_set(self) -> bytes:
        """Return the public halves of the keys as a JSON Web Key Set."""
        to_jwk = jwt.algorithms.RSAAlgorithm.to_jwk
        shown = [
            to_jwk(each.public_key(), as_dict=True) | {"kid": id_, "alg": "RS256"} for id_, each in self.keys.items()
        ]
        return json.dumps({"keys": shown}).encode()


@contextmanager
def publishing(key: rsa.RSAPrivateKey) -> Iterator[Publisher]:
    """Publish a key, under the id ``k``."""
    publisher = Publisher({"k": key})

    class Keys(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            publisher.fetched += 1
            publisher.answers.wait()
            self.send_response(200)
            self.end_headers()
            self.wfile.write(publisher.key_set())

        def log_message(self, *_args: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Keys)
    publisher.url = f"http://127.0.0.1:{server.server_port}/jwks.json"
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield publisher
    finally:
        publisher.answers.set()
        server.shutdown()
        thread.join()
        server.server_close()
