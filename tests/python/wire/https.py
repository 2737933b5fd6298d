"""Record what the clients of a package ask over HTTPS: `python -m wire.https FOLDER`.

In a network of its own, for it takes port 443. FOLDER has the certificates of `recording_hub`. Prints as JSON
`{scenario: [line, …]}`, the same for synchronous and asyncio clients.
"""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import sys
import threading
import time
import warnings
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Callable
from urllib.parse import quote

from any_client import SECONDS, Sort, done
from azure.iot.device import X509
from wire.normal import normal_question
from wire.stage import HOST, KEY, signature

DEVICE = "dev+1"
GATEWAY = "127.0.0.1"
TEXT = f"HostName={HOST};DeviceId={DEVICE};SharedAccessKey={KEY}"


class Server:
    """Answers everything with `{}`, and keeps what it was asked. A context manager."""

    def __init__(self, folder: Path) -> None:
        self.asked: list[list[str]] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                pass

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                headers = [f"{name}: {value}" for name, value in self.headers.items()]
                shown = ["a certificate"] if self.connection.getpeercert() else []
                server.asked.append([self.requestline, *headers, *shown, body])
                self.send_response(200)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(folder / "server.pem", folder / "server.key")
        tls.load_verify_locations(folder / "ca.pem")
        tls.verify_mode = ssl.CERT_OPTIONAL
        self._server = ThreadingHTTPServer(("127.0.0.1", 443), Handler)
        self._server.daemon_threads = True
        self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)

    def __enter__(self) -> Server:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def scenarios(asyncio_clients: bool, folder: Path) -> dict[str, Callable[[], Any]]:
    """By name, what begins a call."""
    ca = (folder / "ca.pem").read_text()
    sorts = {
        module: Sort(module=module, waits_with_asyncio=asyncio_clients, websockets=False) for module in (False, True)
    }
    trusted = {"server_verification_cert": ca}

    def device(text: str = TEXT, **options: Any) -> Any:
        return sorts[False].from_connection_string(text, **trusted, **options)

    def with_token() -> Any:
        resource, expiry = quote(f"{HOST}/devices/{DEVICE}", safe=""), str(int(time.time()) + 600)
        token = f"SharedAccessSignature sr={resource}&sig={signature(resource, expiry)}&se={expiry}"
        return sorts[False].cls.create_from_sastoken(token, **trusted)

    def with_certificate() -> Any:
        x509 = X509(str(folder / "server.pem"), str(folder / "server.key"))
        return sorts[False].cls.create_from_x509_certificate(x509, HOST, DEVICE, **trusted)

    def on_edge() -> Any:
        # As a debugger has it.
        text = f"{TEXT};ModuleId=mod+1;GatewayHostName={GATEWAY}"
        os.environ.update(EdgeHubConnectionString=text, EdgeModuleCACertificateFile=str(folder / "ca.pem"))
        return sorts[True].cls.create_from_edge_environment()

    told = ("an id", False, 500, "é")
    method = {"methodName": "reboot", "responseTimeoutInSeconds": 5, "payload": {"é": 1.0}}
    return {
        "get_storage_info": lambda: device().get_storage_info_for_blob("a b/é.txt"),
        "product": lambda: device(product_info="my prod/1+é").get_storage_info_for_blob("a"),
        "model": lambda: device(product_info="dtmi:com:example;1").get_storage_info_for_blob("a"),
        "gateway": lambda: device(f"{TEXT};GatewayHostName={GATEWAY}").get_storage_info_for_blob("a"),
        "token": lambda: with_token().get_storage_info_for_blob("a"),
        "certificate": lambda: with_certificate().get_storage_info_for_blob("a"),
        "notify": lambda: device().notify_blob_upload_status(*told),
        "notify_through_gateway": lambda: device(f"{TEXT};GatewayHostName={GATEWAY}").notify_blob_upload_status(*told),
        "invoke_device": lambda: on_edge().invoke_method(method, "d 1"),
        "invoke_module": lambda: on_edge().invoke_method(method, "d 1", "m/1"),
    }


async def record(asyncio_clients: bool, folder: Path, server: Server) -> dict[str, list[str]]:
    """What each scenario asks."""
    recorded = {}
    for name, call in scenarios(asyncio_clients, folder).items():
        server.asked.clear()
        await asyncio.wait_for(done(call()), SECONDS)
        (asked,) = server.asked
        recorded[name] = normal_question(asked)
    return recorded


def main(folder: Path) -> None:
    with Server(folder) as server:
        both = [asyncio.run(record(asyncio_clients, folder, server)) for asyncio_clients in (False, True)]
    assert both[0] == both[1], both
    print(json.dumps(both[0]))


if __name__ == "__main__":
    # Of the official package: it uses what Python has deprecated.
    warnings.simplefilter("ignore")
    main(Path(sys.argv[1]))
