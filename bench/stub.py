"""Answer every request at once as AliKassa answers a new payout; the cost measured is the caller's.

Each gets an id of its own, unless one is asked about: two orders of one id would be a contradiction.
"""

import asyncio
import itertools
import json
import sys

_IDS = itertools.count(200_000_000)
_BODY = b'{"payment_status":"wait","id":%d}'
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"


class Stub(asyncio.Protocol):
    """Serve one connection; requests come one after another, with a Content-Length."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin with nothing received."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._received = b""

    def data_received(self, received: bytes) -> None:
        """Answer once the request is complete."""
        self._received += received
        head, end, body = self._received.partition(b"\r\n\r\n")
        if end and len(body) >= int(head.lower().split(b"\ncontent-length:", 1)[1].split(b"\r\n", 1)[0]):
            self._received = b""
            answer = _BODY % int(json.loads(body).get("id") or next(_IDS))
            self._transport.write(_ANSWER % (len(answer), answer))


async def _main() -> None:
    server = await asyncio.get_running_loop().create_server(Stub, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    try:
        asyncio.run(_main())
    except KeyboardInterrupt:
        sys.exit()
