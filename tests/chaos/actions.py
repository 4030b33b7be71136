"""The actions of the mixture. Each tells the counter that it runs before it does anything else, and answers with its id."""

import secrets
from pathlib import Path

from harness.invoker import NATIVE_IMAGE, ROOT

NODE = """const http = require('http');
function main(a) {
  return new Promise((done, failed) => {
    const call = http.get({host: a.host, port: a.port, path: '/' + a.id, agent: false}, (answer) => {
      answer.resume();
      answer.on('end', () => { console.log('ran ' + a.id); setTimeout(() => done({id: a.id}), a.ms || 0); });
    });
    call.on('error', failed);
  });
}
"""
PYTHON = """import socket
def main(a):
    with socket.create_connection((a['host'], a['port']), 10) as link:
        link.sendall(b'GET /%s HTTP/1.1\\r\\n\\r\\n' % a['id'].encode())
        while link.recv(1000):
            pass
    print('ran', a['id'])
    return {'id': a['id']}
"""
BASH = """#!/bin/bash
[[ $1 =~ \\"id\\":\\ *\\"([0-9a-f]+)\\" ]] && id=${BASH_REMATCH[1]}
[[ $1 =~ \\"host\\":\\ *\\"([0-9.]+)\\" ]] && host=${BASH_REMATCH[1]}
[[ $1 =~ \\"port\\":\\ *([0-9]+) ]] && port=${BASH_REMATCH[1]}
exec 3<>"/dev/tcp/$host/$port"
printf 'GET /%s HTTP/1.1\\r\\n\\r\\n' "$id" >&3
read -r -t 10 said <&3
echo "ran $id"
echo "{\\"id\\": \\"$id\\"}"
"""
GARBAGE_IMAGE = "chaos/garbage:local"
GARBAGE = Path(__file__).resolve().parent / "garbage_action.py"
TIMEOUT_MS = 30000


class Kind:
    """One action. weight: its part of what is sent; ms: range of how long it takes."""

    def __init__(self, name, weight, kind, code=None, ms=None, image=None, **limits):
        self.name, self.weight, self.kind, self.code, self.image = name, weight, kind, code, image
        self.ms, self.limits = ms, {"timeout": TIMEOUT_MS, "memory": 128, **limits}
        self.action = None


def mixture():
    """Short and slow ones, with logs and without, alone in a container and together. Most that are in flight run, so that faults
    meet runs; few go one at a time, so that the pool does not spend its time making and removing containers."""
    return [Kind("short", 15, "nodejs:20", NODE, concurrency=25), Kind("mute", 3, "python:3.11", PYTHON, logs=0),
            Kind("chatty", 5, "python:3.11", PYTHON, concurrency=10), Kind("shell", 2, "blackbox", BASH, image=NATIVE_IMAGE, concurrency=10),
            Kind("slow", 38, "nodejs:20", NODE, ms=(1000, 2000), concurrency=50, logs=0),
            Kind("slowlogs", 37, "nodejs:20", NODE, ms=(1000, 2000), concurrency=50)]


def garbage(weight):
    """A container that counts its runs, and answers with anything but an answer."""
    return Kind("garbage", weight, "blackbox", image=GARBAGE_IMAGE)


def build_garbage(docker):
    docker.derive("whisk/action-python-v3.11:local", GARBAGE_IMAGE, GARBAGE, ["/usr/bin/python3.11", f"/{GARBAGE.name}"])


def store(controller, kinds):
    """Puts them into a namespace that nobody else uses."""
    namespace = f"chaos{secrets.token_hex(3)}"
    for kind in kinds:
        options = {"image": kind.image} if kind.image else {}
        kind.action = controller.put(f"{namespace}/{kind.name}", kind.kind, kind.code, limits=kind.limits, **options)
    return namespace
