"""Where actions tell that they run: GET /<activation id>, from containers, over the engine's bridge."""

import asyncio
import threading

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
MAX_REQUEST = 4096


class Caller(asyncio.Protocol):
    def __init__(self, ran):
        self.ran, self.data, self.link = ran, b"", None

    def connection_made(self, transport):
        self.link = transport

    def data_received(self, data):
        self.data += data
        head, end, _ = self.data.partition(b"\r\n")
        words = head.split(b" ")
        if end and len(words) == 3 and words[0] == b"GET":
            self.ran(words[1].removeprefix(b"/").decode("latin-1"))
            self.link.write(ANSWER)
        if end or len(self.data) > MAX_REQUEST:
            self.link.close()


class Counter:
    """Serves from construction to close(); calls ran(id) on its own thread."""

    def __init__(self, host, ran):
        self.host, self.ran = host, ran
        self.loop = asyncio.new_event_loop()
        self.server = self.loop.run_until_complete(self.loop.create_server(lambda: Caller(self.ran), host, 0, backlog=512))
        self.port = self.server.sockets[0].getsockname()[1]
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()

    def close(self):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(5)
        self.server.close()
        self.loop.close()
