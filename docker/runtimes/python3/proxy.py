#!/usr/bin/env python3
"""Action proxy for Python: one HTTP server on port 8080 with POST /init and POST /run.

The action runs in this process, on the main thread (signals, asyncio.run and C extensions behave as
in a script), one activation at a time. Only the standard library is used, and of that little, since
everything imported here is paid for by each cold start: what only some actions need is imported
where it is used. HTTP/1.1 with Content-Length both ways and keep-alive; the pieces of HTTP that the
invoker never sends are refused.
"""

import io
import json
import os
import selectors
import signal
import socket
import sys
import traceback
import types

SENTINEL = "XXX_THE_END_OF_A_WHISK_ACTIVATION_XXX\n"
MAX_HEAD = 64 * 1024
MAX_BODY = 160 * 1024 * 1024  # 48 MiB of code as base64 inside JSON, with room to spare
REASONS = {200: "OK", 400: "Bad Request", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed",
           411: "Length Required", 413: "Payload Too Large", 502: "Bad Gateway"}
NOT_AN_OBJECT = "The action did not return a dictionary or array."


class LogStream(io.TextIOWrapper):
    """Standard output or error that knows whether its last line is still open."""

    line_open = False

    def write(self, text):
        if text:
            self.line_open = text[-1] != "\n"
        return super().write(text)


def log_stream(fd):
    return LogStream(io.BufferedWriter(io.FileIO(fd, "w", closefd=False)), encoding="utf-8",
                     errors="backslashreplace", line_buffering=True)


class HttpError(Exception):
    def __init__(self, status, text):
        super().__init__(text)
        self.status = status


class Action:
    """The user's code: unset, then ready, or stopped after a failure of /init."""

    def __init__(self, out, err):
        self.streams = (out, err)
        self.function = None
        self.stopped = False

    def end_of_activation(self):
        """One sentinel line on each stream. It must stand alone, or a last line of the user that
        has no newline would be dropped with it; and it must come even if the action closed or
        replaced sys.stdout."""
        for fd, stream, current in ((1, self.streams[0], sys.stdout), (2, self.streams[1], sys.stderr)):
            opened = stream.line_open
            for s in (current, stream):
                try:
                    s.flush()
                except (OSError, ValueError, AttributeError):
                    pass
            write_all(fd, (("\n" if opened else "") + SENTINEL).encode())
            stream.line_open = False

    def init(self, value):
        if self.function is not None or self.stopped:
            text = "Cannot initialize the action more than once."
            print(text, file=sys.stderr)
            raise HttpError(403, text)
        code, main = value.get("code"), value.get("main") or "main"
        if not isinstance(code, str) or not code or not isinstance(main, str):
            raise HttpError(403, "Missing main/no code to execute.")
        env = value.get("env")
        for key, item in (env if isinstance(env, dict) else {}).items():
            set_env(key, item)
        try:
            self.function = load(code, main, value.get("binary") is True)
        except BaseException as error:  # SystemExit at import time is a failed initialization, too
            self.stopped = True
            report(error)
            self.end_of_activation()
            raise HttpError(502, "Initialization has failed due to: " + describe(error)) from None
        return b'{"ok":true}'

    def run(self, message):
        if self.function is None:
            raise HttpError(403, "System not initialized.")
        value = message.get("value")
        if value is None:
            value = {}
        if not isinstance(value, (dict, list)):
            raise HttpError(403, "The action did not receive a dictionary or array as an argument.")
        for key, item in message.items():
            if key != "value":
                set_env("__OW_" + key.upper(), item)
        try:
            return self.call(value)
        finally:
            self.end_of_activation()

    def call(self, value):
        try:
            result = self.function(value)
            if hasattr(result, "__await__"):
                result = run_coroutine(result)
        except Exception as error:  # as the official runtime: an application error
            report(error)
            return encode({"error": str(error)})
        except BaseException as error:  # sys.exit(), KeyboardInterrupt
            report(error)
            raise HttpError(502, "The action exited: " + describe(error)) from None
        if not isinstance(result, (dict, list, tuple)):
            print(f"Result must be a dictionary or array but is of type {type(result).__name__!r}.",
                  file=sys.stderr)
            raise HttpError(502, NOT_AN_OBJECT)
        try:
            return encode(result)
        except (TypeError, ValueError, RecursionError) as error:
            print(f"Result cannot be written as JSON: {error}", file=sys.stderr)
            raise HttpError(502, NOT_AN_OBJECT) from None


def run_coroutine(awaitable):
    import asyncio

    async def wait():
        return await awaitable
    return asyncio.run(wait())


def encode(result):
    return json.dumps(result, ensure_ascii=False, allow_nan=False).encode("utf-8", "surrogatepass")


def report(error):
    """The traceback without the proxy's own frames."""
    frames = error.__traceback__
    while frames is not None and frames.tb_frame.f_code.co_filename == __file__:
        frames = frames.tb_next
    traceback.print_exception(type(error), error, frames, file=sys.stderr)


def describe(error):
    text = str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def set_env(key, item):
    """Values are strings on the wire; anything else becomes its JSON text. A key or value that the
    system cannot hold (NUL, '=' in the key) is skipped: it must not fail the activation."""
    if not isinstance(item, str):
        item = "" if item is None else json.dumps(item, separators=(",", ":"))
    try:
        os.environ[key] = item
    except (ValueError, OSError, UnicodeError):
        print(f"environment variable {key!r} cannot be set", file=sys.stderr)


def load(code, main, binary):
    module = types.ModuleType("main__")
    if binary:
        folder = unpack(code)
        path = next((p for p in (os.path.join(folder, n) for n in ("__main__.py", "main.py", "exec"))
                     if os.path.isfile(p)), None)
        if path is None:
            raise FileNotFoundError("Zip file does not include __main__.py at the top level.")
        os.chdir(folder)
        use_virtualenv(folder)
        sys.path.insert(0, folder)
        module.__file__ = path
        with open(path, "rb") as source:
            code = source.read()
    else:
        module.__file__ = "__main__.py"
    sys.modules["main__"] = module
    exec(compile(code, module.__file__, "exec"), module.__dict__)
    function = getattr(module, main, None)
    if not callable(function):
        raise NameError(f"Action entrypoint {main!r} is not a function.")
    return function


def unpack(code):
    import base64
    import tempfile
    import zipfile
    try:
        archive = zipfile.ZipFile(io.BytesIO(base64.b64decode(code, validate=True)))
    except (ValueError, zipfile.BadZipFile) as error:
        raise ValueError(f"The action's code is not a base64 zip archive: {error}") from None
    folder = tempfile.mkdtemp(prefix="action-")
    with archive:
        archive.extractall(folder)
    return folder


def use_virtualenv(folder):
    """A zip may bring its own packages in virtualenv/."""
    env = os.path.join(folder, "virtualenv")
    if not os.path.isdir(env):
        return
    import glob
    import site
    found = glob.glob(os.path.join(env, "lib", "python3*", "site-packages"))
    if not found:
        raise FileNotFoundError("The virtualenv in the zip file has no lib/python3*/site-packages.")
    for packages in found:
        site.addsitedir(packages)


def write_all(fd, data):
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view):]


def parse_head(head):
    """→ (method, path, headers); raises HttpError on anything but an HTTP/1.x request head."""
    lines = head.decode("latin-1").split("\r\n")
    words = lines[0].split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        raise HttpError(400, "malformed request line")
    headers = {}
    for line in lines[1:]:
        name, colon, item = line.partition(":")
        if not colon:
            raise HttpError(400, "malformed header line")
        headers[name.strip().lower()] = item.strip()
    if words[2] == "HTTP/1.0":
        headers.setdefault("connection", "close")
    return words[0], words[1], headers


def body_length(headers):
    text = headers.get("content-length", "0" if "transfer-encoding" not in headers else "")
    if not text.isdecimal() or not text.isascii():
        raise HttpError(411, "the request needs a Content-Length")
    if int(text) > MAX_BODY:
        raise HttpError(413, f"the request is larger than {MAX_BODY} bytes")
    return int(text)


class Connection:
    def __init__(self, sock):
        self.sock = sock
        self.data = bytearray()
        self.head = None  # (method, path, headers, end of head, end of body) once the head is there

    def fill(self):
        """Reads what is there; False at end of file."""
        chunk = self.sock.recv(256 * 1024)
        self.data += chunk
        return bool(chunk)

    def next_request(self):
        """→ (method, path, headers, body) or None when more bytes are needed."""
        if self.head is None:
            end = self.data.find(b"\r\n\r\n", 0, MAX_HEAD)
            if end < 0:
                if len(self.data) >= MAX_HEAD:
                    raise HttpError(400, f"the request head is larger than {MAX_HEAD} bytes")
                return None
            method, path, headers = parse_head(bytes(self.data[:end]))
            self.head = (method, path, headers, end + 4, end + 4 + body_length(headers))
            if headers.get("expect", "").lower() == "100-continue" and len(self.data) < self.head[4]:
                self.sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        method, path, headers, start, end = self.head
        if len(self.data) < end:
            return None
        body = bytes(self.data[start:end])
        del self.data[:end]
        self.head = None
        return method, path, headers, body

    def answer(self, status, body, close):
        head = (f"HTTP/1.1 {status} {REASONS[status]}\r\nContent-Type: application/json\r\n"
                f"Content-Length: {len(body)}\r\n{'Connection: close' if close else 'Connection: keep-alive'}\r\n\r\n")
        self.sock.sendall(head.encode() + body)


class Server:
    """Many connections, one request at a time: whoever is complete first is answered first."""

    def __init__(self, action, address):
        self.action = action
        self.selector = selectors.DefaultSelector()
        self.listener = socket.create_server(address, backlog=128)
        self.selector.register(self.listener, selectors.EVENT_READ)

    def serve_forever(self):
        while True:
            for key, _ in self.selector.select():
                if key.fileobj is self.listener:
                    sock, _ = self.listener.accept()
                    self.selector.register(sock, selectors.EVENT_READ, Connection(sock))
                else:
                    self.serve(key.data)

    def serve(self, connection):
        try:
            alive = connection.fill()
            while alive:
                request = connection.next_request()
                if request is None:
                    return
                alive = self.respond(connection, *request)
        except HttpError as error:
            self.fail(connection, error)
        except OSError:
            pass
        self.selector.unregister(connection.sock)
        connection.sock.close()

    @staticmethod
    def fail(connection, error):
        try:
            connection.answer(error.status, encode({"error": str(error)}), True)
        except OSError:
            pass

    def respond(self, connection, method, path, headers, body):
        close = headers.get("connection", "").lower() == "close"
        try:
            status, answer = 200, self.dispatch(method, path.partition("?")[0], body)
        except HttpError as error:
            status, answer = error.status, encode({"error": str(error)})
        connection.answer(status, answer, close)
        return not close

    def dispatch(self, method, path, body):
        if path not in ("/init", "/run"):
            raise HttpError(404, "there are only /init and /run")
        if method != "POST":
            raise HttpError(405, f"{path} takes POST")
        try:
            message = json.loads(body or b"{}")
        except (ValueError, RecursionError) as error:
            raise HttpError(400, f"the request is not JSON: {error}") from None
        if not isinstance(message, dict):
            raise HttpError(400, "the request is not a JSON object")
        if path == "/run":
            return self.action.run(message)
        value = message.get("value")
        return self.action.init(value if isinstance(value, dict) else {})


def main():
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))  # as process 1 there is no default action
    sys.stdout, sys.stderr = log_stream(1), log_stream(2)
    host, port = os.environ.get("CW_PROXY_HOST", ""), int(os.environ.get("CW_PROXY_PORT", "8080"))
    Server(Action(sys.stdout, sys.stderr), (host, port)).serve_forever()


if __name__ == "__main__":
    main()
