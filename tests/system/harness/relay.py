"""A relay in front of a service, over TCP or a Unix socket: records what the client says, and can cut the line."""

import socket
import threading


def connect(target):
    if isinstance(target, tuple):
        return socket.create_connection(target)
    link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    link.connect(target)
    return link


class Relay:
    """target: (host, port), reached through 127.0.0.1:self.port; or the path of a Unix socket, reached through `path`."""

    def __init__(self, target, path=None):
        self.target = target
        self.lock = threading.Lock()
        self.sent = bytearray()  # everything that clients have said
        self.links = set()
        self.broken = False
        if path is None:
            self.listener = socket.create_server(("127.0.0.1", 0))
            self.port = self.listener.getsockname()[1]
        else:
            self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.listener.bind(path)
            self.listener.listen(64)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            if self.broken:
                client.close()
                continue
            try:
                server = connect(self.target)
            except OSError:
                client.close()
                continue
            with self.lock:
                self.links |= {client, server}
            for source, sink, keep in ((client, server, True), (server, client, False)):
                threading.Thread(target=self.pump, args=(source, sink, keep), daemon=True).start()

    def pump(self, source, sink, keep):
        try:
            while data := source.recv(65536):
                if keep:
                    with self.lock:
                        self.sent += data
                sink.sendall(data)
        except OSError:
            pass
        for s in (source, sink):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        with self.lock:
            self.links -= {source, sink}
        source.close()

    def said(self):
        with self.lock:
            return bytes(self.sent)

    def cut(self):
        """Breaks all connections and refuses new ones."""
        self.broken = True
        with self.lock:
            links = list(self.links)
        for s in links:
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def mend(self):
        self.broken = False

    def close(self):
        self.listener.close()
        self.cut()
