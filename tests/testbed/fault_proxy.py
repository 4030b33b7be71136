#!/usr/bin/env python3
"""A proxy that makes faults, between a client and a service, over TCP or Unix sockets.

As a module: FaultProxy((host, port)) listens on 127.0.0.1:proxy.port; FaultProxy("/service.sock", "/proxy.sock") on a path.
As a program: fault_proxy.py LISTEN TARGET [--control SOCKET] reads commands, one a line, from the control socket (else from
standard input), and answers each with "ok" or what is wrong with it:

  delay MS            what passes, in both directions, is late by so much
  stall / go          nothing passes while lines stay up / it goes on
  rate BYTES          at most so many bytes a second and direction (0: no limit)
  garble FRACTION     so many of the bytes of answers are changed (0: none); the same ones for the same --seed
  cut-after BYTES     each line ends after so many bytes of answers (-1: never)
  status CODE         HTTP requests are answered with it, and the service does not see them (0: it does)
  cut / mend          breaks all lines and refuses new ones / lets them pass again
  reset               breaks all lines with a reset, new ones pass
  lines               answers with the number of open lines

LISTEN and TARGET: HOST:PORT or a path.
"""

import argparse
import random
import socket
import struct
import sys
import threading
import time

CHUNK = 65536


def connect(target):
    if isinstance(target, tuple):
        return socket.create_connection(target)
    link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        link.connect(target)
    except OSError:
        link.close()
        raise
    return link


def listen(place):
    if isinstance(place, tuple):
        return socket.create_server(place)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(place)
    listener.listen(64)
    return listener


class FaultProxy:
    def __init__(self, target, listen_at=None, seed=1):
        self.target = target
        self.lock = threading.Condition()
        self.sent = bytearray()  # everything that clients have said
        self.links = set()
        self.resetting = set()
        self.broken = self.stalled = False
        self.delay_ms = self.garble_fraction = self.bytes_a_second = 0
        self.answer_limit = -1
        self.answer_status = 0
        self.random = random.Random(seed)
        self.listener = listen(listen_at or ("127.0.0.1", 0))
        if self.listener.family != socket.AF_UNIX:
            self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = None
            if not self.broken:
                try:
                    server = connect(self.target)
                except OSError:
                    pass
            if server is None:
                client.close()
                continue
            with self.lock:
                self.links |= {client, server}
            for source, sink, is_answer in ((client, server, False), (server, client, True)):
                threading.Thread(target=self.pump, args=(source, sink, is_answer), daemon=True).start()

    def pump(self, source, sink, is_answer):
        passed = 0
        try:
            while data := source.recv(CHUNK):
                if not is_answer:
                    with self.lock:
                        self.sent += data
                    if self.answer_status:
                        self.answer(source, data)
                        break
                data = self.suffer(data, is_answer)
                if is_answer and self.answer_limit >= 0:
                    data = data[:max(0, self.answer_limit - passed)]
                passed += len(data)
                sink.sendall(data)
                if is_answer and 0 <= self.answer_limit <= passed:
                    break
        except OSError:
            pass
        self.end(source, sink)

    def answer(self, client, data):
        """In the service's stead, to one request; the line ends with it."""
        text = b'{"error":"fault","reason":"made by a fault proxy"}'
        head, _, body = data.partition(b"\r\n\r\n")
        lengths = [int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        while len(body) < sum(lengths) and (more := client.recv(CHUNK)):
            body += more
        client.sendall(b"HTTP/1.1 %d Fault\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s"
                       % (self.answer_status, len(text), text))

    def suffer(self, data, is_answer):
        """What becomes of data on its way."""
        if self.delay_ms:
            time.sleep(self.delay_ms / 1000)
        if self.bytes_a_second:
            time.sleep(len(data) / self.bytes_a_second)
        with self.lock:
            while self.stalled and not self.broken:
                self.lock.wait()
            if not is_answer or not self.garble_fraction:
                return data
            changed = bytearray(data)
            for i in range(len(changed)):
                if self.random.random() < self.garble_fraction:
                    changed[i] ^= 1 << self.random.randrange(8)
            return bytes(changed)

    def end(self, *pair):
        for s in pair:
            try:
                s.shutdown(socket.SHUT_RD if s in self.resetting else socket.SHUT_RDWR)
            except OSError:
                pass
        with self.lock:
            self.links -= set(pair)
            self.resetting.discard(pair[0])
        pair[0].close()  # the other one is closed by the pump of the other direction

    # ---- faults ----

    def delay(self, ms):
        self.delay_ms = ms

    def rate(self, bytes_a_second):
        self.bytes_a_second = bytes_a_second

    def garble(self, fraction):
        self.garble_fraction = fraction

    def cut_after(self, answer_bytes):
        self.answer_limit = answer_bytes

    def status(self, code):
        self.answer_status = code

    def stall(self, on=True):
        with self.lock:
            self.stalled = on
            self.lock.notify_all()

    def break_links(self, with_reset):
        with self.lock:
            links = list(self.links)
            if with_reset:
                self.resetting |= self.links
            self.lock.notify_all()
        for s in links:
            try:
                if with_reset:
                    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                s.shutdown(socket.SHUT_RD if with_reset else socket.SHUT_RDWR)
            except OSError:
                pass

    def cut(self):
        """Breaks all lines and refuses new ones."""
        self.broken = True
        self.break_links(with_reset=False)

    def mend(self):
        self.broken = False

    def reset(self):
        self.break_links(with_reset=True)

    # ---- looking ----

    def said(self):
        with self.lock:
            return bytes(self.sent)

    def lines(self):
        with self.lock:
            return len(self.links) // 2

    def close(self):
        self.listener.close()
        self.cut()


def obey(proxy, line):
    """One command; → the answer."""
    name, *words = line.split() or [""]
    plain = {"stall": proxy.stall, "go": lambda: proxy.stall(False), "cut": proxy.cut, "mend": proxy.mend, "reset": proxy.reset}
    valued = {"delay": (proxy.delay, float), "rate": (proxy.rate, int), "garble": (proxy.garble, float),
              "cut-after": (proxy.cut_after, int), "status": (proxy.status, int)}
    if name == "lines" and not words:
        return str(proxy.lines())
    if name in plain and not words:
        plain[name]()
        return "ok"
    if name in valued and len(words) == 1:
        fault, kind = valued[name]
        try:
            fault(kind(words[0]))
        except ValueError:
            return f"{name}: {words[0]!r} is not a number"
        return "ok"
    return f"{line.strip()!r} is not a command; known: lines, {', '.join(plain)}, {', '.join(f'{v} N' for v in valued)}"


def place(text):
    host, colon, port = text.rpartition(":")
    return (host or "127.0.0.1", int(port)) if colon and port.isdigit() else text


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("listen", metavar="LISTEN")
    parser.add_argument("target", metavar="TARGET")
    parser.add_argument("--control", help="path of a Unix socket that takes commands")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    proxy = FaultProxy(place(args.target), place(args.listen), args.seed)
    print(f"fault proxy up on {args.listen} in front of {args.target}", flush=True)
    if args.control is None:
        for line in sys.stdin:
            print(obey(proxy, line), flush=True)
        return
    control = listen(args.control)
    while True:
        caller, _ = control.accept()
        with caller, caller.makefile("rw") as lines:
            for line in lines:
                print(obey(proxy, line), file=lines, flush=True)


if __name__ == "__main__":
    main()
