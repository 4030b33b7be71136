"""TLS in front of a plain service: whoever connects gets a certificate of tests/data/tls, and what is said goes on in the clear."""

import contextlib
import socket
import ssl
import threading
from pathlib import Path

STORES = Path(__file__).resolve().parents[2] / "data" / "tls"


def pump(source, sink):
    """Until one side ends."""
    with contextlib.suppress(OSError):
        while piece := source.recv(65536):
            sink.sendall(piece)
    for side in (source, sink):
        with contextlib.suppress(OSError):
            side.shutdown(socket.SHUT_RDWR)


class TlsFront:
    def __init__(self, host, port):
        self.target = (host, port)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(STORES / "server.pem")
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.connections = 0  # with a finished handshake
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=self.serve, args=(self.listener.accept()[0],), daemon=True).start()

    def serve(self, plain):
        with contextlib.suppress(OSError), contextlib.ExitStack() as open_sockets:
            open_sockets.enter_context(plain)
            client = open_sockets.enter_context(self.context.wrap_socket(plain, server_side=True))
            server = open_sockets.enter_context(socket.create_connection(self.target))
            self.connections += 1
            back = threading.Thread(target=pump, args=(server, client), daemon=True)
            back.start()
            pump(client, server)
            back.join()

    def close(self):
        self.listener.close()
