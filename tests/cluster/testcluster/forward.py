"""Carries connections from sockets that were opened elsewhere to addresses of this network namespace.

    python -I forward.py FD=HOST:PORT ...

A listening socket belongs to the namespace in which it was made: so these accept on the host's loopback, and the
connections go on from the machine's own network, with no interface, address or rule on the host.
"""

from __future__ import annotations

import asyncio
import socket
import sys

CHUNK_BYTES = 1 << 18


async def main() -> None:
    servers = []
    for argument in sys.argv[1:]:
        descriptor, _, target = argument.partition("=")
        host, _, port = target.rpartition(":")

        async def accepted(
            reader: asyncio.StreamReader,
            writer: asyncio.StreamWriter,
            host: str = host,
            port: int = int(port),
        ) -> None:
            await forward(reader, writer, host, port)

        servers.append(await asyncio.start_server(accepted, sock=socket.socket(fileno=int(descriptor))))
    await asyncio.gather(*(server.serve_forever() for server in servers))


async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, port: int) -> None:
    try:
        there, back = await asyncio.open_connection(host, port)
    except OSError:
        writer.close()
        return
    try:
        await asyncio.gather(copy(reader, back), copy(there, writer))
    finally:
        back.close()
        writer.close()


async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copies until the end of `reader`; passes that on as the end of `writer`."""
    try:
        while data := await reader.read(CHUNK_BYTES):
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
    except OSError:
        writer.close()


if __name__ == "__main__":
    asyncio.run(main())
