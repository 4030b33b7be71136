#!/usr/bin/env python3
"""An action container that takes its code and its runs as it should, and answers runs with garbage. (Runs in the image.)"""

import json
import random
import socket

GARBAGE = [
    lambda: random.randbytes(300),
    lambda: b"",
    lambda: b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{\"id\": ",
    lambda: b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\nno json here",
    lambda: b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n{}",
    lambda: b"HTTP/1.1 999 What\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    lambda: b"HTTP/1.1 200 OK\r\n" + b"X-More: and more\r\n" * 5000,
    lambda: b"<html>502</html>\r\n\r\n",
]


def request(link):
    """→ (path, value of the body) or None at the end."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = link.recv(65536)
        if not more:
            return None
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    length = next(int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    while len(body) < length:
        body += link.recv(65536)
    return head.split(b" ")[1], json.loads(body)["value"]


def tell(value):
    with socket.create_connection((value["host"], value["port"]), 10) as link:
        link.sendall(f"GET /{value['id']} HTTP/1.1\r\n\r\n".encode())
        link.recv(1000)


def serve(link):
    while (asked := request(link)) is not None:
        path, value = asked
        if path == b"/run":
            tell(value)
            link.sendall(random.choice(GARBAGE)())
            return
        link.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n{\"ok\":true}")


def main():
    listener = socket.create_server(("", 8080))
    while True:
        link, _ = listener.accept()
        with link:
            try:
                serve(link)
            except (OSError, ValueError):
                pass


if __name__ == "__main__":
    main()
