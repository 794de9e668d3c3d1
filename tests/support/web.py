"""A web server of a test on a Unix socket, with TLS where it has a certificate: what it was asked, and by what name."""

from __future__ import annotations

import asyncio
import datetime
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class Authority:
    """Who signs certificates, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name("a test's authority")
        usage = x509.KeyUsage(
            **dict.fromkeys(_USES, False) | {"key_cert_sign": True, "digital_signature": True},
        )
        constraints = x509.BasicConstraints(ca=True, path_length=0)
        builder = self._certificate(self._name, self._key.public_key())
        builder = builder.add_extension(constraints, critical=True).add_extension(usage, critical=True)
        self._certified = builder.sign(self._key, hashes.SHA256())

    def client(self) -> ssl.SSLContext:
        """What a client trusts that trusts this authority alone."""
        text = self._certified.public_bytes(serialization.Encoding.PEM).decode()
        return ssl.create_default_context(cadata=text)

    def server(self, host: str) -> ssl.SSLContext:
        """What a server shows whose certificate is for a host."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = x509.SubjectAlternativeName([x509.DNSName(host)])
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = self._certificate(_name(host), key.public_key())
        builder = builder.add_extension(names, critical=False).add_extension(issuer, critical=False)
        file = self._folder / f"{host}.pem"
        file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            + builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context

    def _certificate(self, name: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        now, day = datetime.datetime.now(datetime.UTC), datetime.timedelta(days=1)
        builder = x509.CertificateBuilder().subject_name(name).issuer_name(self._name).public_key(key)
        builder = builder.serial_number(x509.random_serial_number())
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        return builder.not_valid_before(now - day).not_valid_after(now + day)


@dataclass
class WebServer:
    """A server that answers every request with these bytes, and goes on waiting if it is to be `slow`."""

    socket: Path
    answer: bytes
    slow: bool = False
    asked: list[str] = field(default_factory=list)
    names: list[str | None] = field(default_factory=list)
    """The hosts that TLS clients asked for."""

    @asynccontextmanager
    async def listening(self, context: ssl.SSLContext | None = None) -> AsyncIterator[WebServer]:
        """The server while it listens."""
        if context is not None:
            context.sni_callback = lambda _, name, __: self.names.append(name)
        server = await asyncio.start_unix_server(self._serve, self.socket, ssl=context)
        async with server:
            yield self

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            self.asked.append((await reader.readuntil(b"\r\n\r\n")).decode())
            writer.write(self.answer)
            await writer.drain()
            if self.slow:
                await reader.read()  # until the client goes
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


def response(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    """An answer with its length."""
    lines = [f"HTTP/1.1 {status}", f"content-length: {len(body)}", "connection: close", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


_USES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)
