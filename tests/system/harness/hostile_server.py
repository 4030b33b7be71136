"""Runs inside a container in the place of a runtime: /init's code says in which way each /run is answered."""

import json
import socket
import struct
import threading
import time

JSON = b'{"n":%d}'
RUNS = 0


def plain(body, length=None):
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (
        len(body) if length is None else length, body)


def for_ever(link, begin, again, pause=0.0):
    link.sendall(begin)
    while True:
        link.sendall(again)
        time.sleep(pause)


def reset(link):
    link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    link.close()


WAYS = {
    "headers for ever": lambda link, n: for_ever(link, b"HTTP/1.1 200 OK\r\n", b"X-Filler: 0123456789abcdef\r\n" * 500),
    "one header for ever": lambda link, n: for_ever(link, b"HTTP/1.1 200 OK\r\nX-Filler: ", b"y" * 65536),
    "headers slowly": lambda link, n: for_ever(link, b"HTTP/1.1 200 OK\r\n", b"X-Y: z\r\n", 0.01),
    "interim answers for ever": lambda link, n: for_ever(link, b"", b"HTTP/1.1 102 Processing\r\n\r\n" * 100),
    "body for ever": lambda link, n: for_ever(link, plain(b"{", 1 << 50), b" " * 65536),
    "body slowly": lambda link, n: for_ever(link, plain(b"{", 1 << 20), b" ", 0.05),
    "chunks for ever": lambda link, n: for_ever(link, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n" * 500),
    "length too long": lambda link, n: link.sendall(plain(JSON % n, 1000)),
    "length too short": lambda link, n: link.sendall(plain(JSON % n + b'{"n":-1}', len(JSON % n))),
    "two lengths": lambda link, n: link.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\nContent-Length: 8\r\n\r\n" + JSON % n),
    "negative length": lambda link, n: link.sendall(plain(JSON % n, -1)),
    "huge length": lambda link, n: link.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n" + JSON % n),
    "no length": lambda link, n: link.sendall(b"HTTP/1.1 200 OK\r\n\r\n" + JSON % n),
    "http 0.9": lambda link, n: link.sendall(JSON % n),
    "http 2": lambda link, n: link.sendall(b"\0\0\0\4\0\0\0\0\0"),
    "switched": lambda link, n: link.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n"),
    "noise": lambda link, n: link.sendall(bytes(range(256)) * 100),
    "reset": lambda link, n: reset(link),
    "end of file": lambda link, n: None,
    "silence": lambda link, n: time.sleep(3600),
    "answered twice": lambda link, n: link.sendall(plain(JSON % n) + plain(b'{"n":-1}')),
    "as it should": lambda link, n: link.sendall(plain(JSON % n)),
}
KEEPS_OPEN = ("length too short", "answered twice", "as it should")


def read_request(link):
    """→ (path, body); None at the end."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = link.recv(65536)
        if not more:
            return None
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
    while len(body) < length:
        body += link.recv(65536)
    return head.split(b" ")[1].decode(), json.loads(body)


def serve(link, state):
    global RUNS
    with link:
        while request := read_request(link):
            path, body = request
            if path == "/init":
                state["way"] = body["value"]["code"]
                if not state["way"].startswith("init: "):
                    link.sendall(plain(b'{"ok":true}'))
                    continue
            RUNS += 1
            way = state["way"].removeprefix("init: ")
            WAYS[way](link, RUNS)
            if way not in KEEPS_OPEN:
                return


def main():
    server = socket.create_server(("0.0.0.0", 8080), backlog=64)
    state = {}
    while True:
        link, _ = server.accept()
        threading.Thread(target=serve, args=(link, state), daemon=True).start()


if __name__ == "__main__":
    main()
