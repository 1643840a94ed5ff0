"""Certificates for tests, made when they run, and TLS in front of a server that speaks none."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import trustme
from cryptography.hazmat.primitives import serialization

LOOPBACK = "127.0.0.1"


class Authority:
    """A CA with PEM files in ``folder``: its own, a server's for 127.0.0.1 (not for localhost), and
    a client's.

    ``other_ca`` has signed nothing that is used.
    """

    def __init__(self, folder: Path) -> None:
        self.ca = folder / "ca.pem"
        self.other_ca = folder / "other-ca.pem"
        self.server = folder / "server.pem"
        self.client_cert = folder / "client.pem"
        self.client_key = folder / "client.key"
        authority = trustme.CA()
        authority.cert_pem.write_to_path(self.ca)
        trustme.CA().cert_pem.write_to_path(self.other_ca)
        server = authority.issue_cert(LOOPBACK)
        self.server.write_bytes(_pkcs8(server.private_key_pem.bytes()))
        for certificate in server.cert_chain_pems:
            certificate.write_to_path(self.server, append=True)
        client = authority.issue_cert("stage@example.com", common_name="stage")
        client.private_key_pem.write_to_path(self.client_key)
        client.cert_chain_pems[0].write_to_path(self.client_cert)

    def serving(self) -> ssl.SSLContext:
        """TLS for a server."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.server)
        return context


def _pkcs8(pem: bytes) -> bytes:
    """The only form that Java reads."""
    return serialization.load_pem_private_key(pem, None).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


@contextmanager
def tls_in_front_of(address: str, context: ssl.SSLContext) -> Iterator[str]:
    """An ``https`` address that hands everything on to the ``http`` one."""
    parts = urlsplit(address)

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass  # the one that left has closed the other side too
        finally:
            writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind = await asyncio.open_connection(parts.hostname, parts.port)
        with suppress(asyncio.CancelledError):  # by the end of the test, which nobody waits for
            await asyncio.gather(pump(reader, behind[1]), pump(behind[0], writer))

    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(asyncio.start_server(serve, LOOPBACK, 0, ssl=context))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def close() -> None:
        server.close()
        strays = asyncio.all_tasks() - {asyncio.current_task()}
        for task in strays:
            task.cancel()
        await asyncio.gather(*strays, return_exceptions=True)

    try:
        yield f"https://{LOOPBACK}:{server.sockets[0].getsockname()[1]}"
    finally:
        asyncio.run_coroutine_threadsafe(close(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
