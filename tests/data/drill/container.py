"""An action container on a bare socket: what it was asked comes back byte for byte, and it answers as it is told.

The code of an action is a JSON object that says how /init is answered, the arguments' member "answer" how /run is:
  status, reason, body (default 200 OK and what was asked), headers (instead of Content-Length and Content-Type), raw (the
  whole answer as Latin-1), sleep_ms, close (without an answer), exit (the process ends, after the answer if there is one),
  out, err (printed before the answer), sentinels (how many of the two; default both).
With "show": true in the code, /run tells about /init too."""
import json
import os
import socket
import sys
import threading
import time

SENTINEL = b"XXX_THE_END_OF_A_WHISK_ACTIVATION_XXX\n"
asked = {}


def read_request(peer):
    data = b""
    while b"\r\n\r\n" not in data:
        got = peer.recv(65536)
        if not got:
            return None
        data += got
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines[1:])
    length = int(next(v for k, v in headers.items() if k.lower() == "content-length"))
    while len(body) < length:
        body += peer.recv(1 << 20)
    return {"line": lines[0], "headers": headers, "body": body.decode("utf-8", "backslashreplace")}


def told(request):
    try:
        value = json.loads(request["body"])["value"]
        if request["line"].split(" ")[1] == "/init":
            return json.loads(value.get("code") or "{}")
        return value.get("answer", {}) if isinstance(value, dict) else {}
    except (ValueError, AttributeError):
        return {}


def answer_bytes(how, default):
    if "raw" in how:
        return how["raw"].encode("latin-1")
    body = how.get("body", default).encode("utf-8", "surrogatepass") * how.get("times", 1)
    headers = how.get("headers", {"Content-Type": "application/json", "Content-Length": str(len(body))})
    head = f"HTTP/1.1 {how.get('status', 200)} {how.get('reason', 'OK')}\r\n"
    return (head + "".join(f"{k}: {v}\r\n" for k, v in headers.items()) + "\r\n").encode("latin-1") + body


def answer(peer, request):
    """→ whether the connection goes on."""
    how = told(request)
    run = request["line"].split(" ")[1] != "/init"
    if not run and how.get("show"):
        asked["init"] = request
    os.write(1, how.get("out", "").encode())
    os.write(2, how.get("err", "").encode())
    time.sleep(how.get("sleep_ms", 0) / 1000)
    sentinels = how.get("sentinels", 2) if run else 0
    if how.get("close"):
        for fd in range(1, 1 + sentinels):
            os.write(fd, SENTINEL)
        return False
    peer.sendall(answer_bytes(how, json.dumps({**asked, "run": request}) if run else '{"ok":true}'))
    goes_on = "headers" not in how and "raw" not in how
    if not goes_on:  # before the next /run can be on its way: that one waits for the sentinels
        peer.shutdown(socket.SHUT_WR)
    for fd in range(1, 1 + sentinels):
        os.write(fd, SENTINEL)
    if "exit" in how:
        os._exit(how["exit"])
    return goes_on


def serve(peer):
    with peer:
        while True:
            request = read_request(peer)
            if request is None or not answer(peer, request):
                return


server = socket.create_server(("0.0.0.0", 8080), backlog=64)
while True:
    threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()
