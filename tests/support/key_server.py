"""An identity provider's keys, published over HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa


@contextmanager
def publishing(key: rsa.RSAPrivateKey, rotated: dict[str, rsa.RSAPrivateKey] | None = None) -> Iterator[str]:
    """Publishes the public half of a key, and of those added to ``rotated``, as a JSON Web Key Set; gives its URL."""

    def published() -> list[dict[str, object]]:
        keys = {"k": key, **(rotated or {})}.items()
        to_jwk = jwt.algorithms.RSAAlgorithm.to_jwk
        return [to_jwk(each.public_key(), as_dict=True) | {"kid": kid, "alg": "RS256"} for kid, each in keys]

    class Keys(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps({"keys": published()}).encode())

        def log_message(self, *_args: object) -> None:
            return

    server = HTTPServer(("127.0.0.1", 0), Keys)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/jwks.json"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
