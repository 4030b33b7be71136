"""Start an action proxy as a process on a loopback port, and talk to it as the invoker does."""

import base64
import http.client
import io
import json
import os
import shutil
import socket
import subprocess
import time
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
RUNTIMES = ROOT / "docker" / "runtimes"
SENTINEL = "XXX_THE_END_OF_A_WHISK_ACTIVATION_XXX"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def zip_base64(files):
    """files: path → text (str), bytes, or (content, unix mode)."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            content, mode = content if isinstance(content, tuple) else (content, 0o100644)
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, content)
    return base64.b64encode(out.getvalue()).decode()


def native_proxy(presets=("asan", "ci", "dev")):
    """The built action_proxy of the first of the presets that has one, or None."""
    candidates = [os.environ.get("CW_NATIVE_PROXY", "")]
    candidates += [str(ROOT / "build" / preset / "docker/runtimes/native/action_proxy") for preset in presets]
    return next((c for c in candidates if c and os.access(c, os.X_OK)), None)


def command(runtime):
    if runtime == "python":
        return ["/usr/bin/python3", str(RUNTIMES / "python3" / "proxy.py")]
    if runtime == "nodejs":
        node = shutil.which("node")
        return [node, str(RUNTIMES / "nodejs" / "proxy.js")] if node else None
    proxy = native_proxy()
    return [proxy] if proxy else None


class Proxy:
    def __init__(self, argv, folder, env=None):
        self.port = free_port()
        self.process = subprocess.Popen(
            argv, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
            env={**os.environ, "CW_PROXY_HOST": "127.0.0.1", "CW_PROXY_PORT": str(self.port),
                 "CW_ACTION_DIR": str(folder / "action"), **(env or {})})
        self.connection = self.connect()

    def connect(self):
        deadline = time.monotonic() + 10
        while True:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
            try:
                connection.connect()
                return connection
            except ConnectionRefusedError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise
                time.sleep(0.02)

    def send(self, path, message, connection=None):
        """→ (status, body text)"""
        connection = connection or self.connection
        body = message if isinstance(message, (str, bytes)) else json.dumps(message, ensure_ascii=False)
        connection.request("POST", path, body.encode() if isinstance(body, str) else body,
                           {"Content-Type": "application/json", "Accept": "application/json"})
        response = connection.getresponse()
        assert response.getheader("Content-Length") is not None
        return response.status, response.read().decode()

    def init(self, code, main="main", binary=False, env=None):
        value = {"name": "test", "main": main, "code": code, "binary": binary, "env": env or {}}
        status, body = self.send("/init", {"value": value})
        return status, json.loads(body)

    def run(self, value=None, **meta):
        status, body = self.send("/run", {"value": {} if value is None else value, **meta})
        return status, json.loads(body)

    def stop(self):
        """→ (stdout, stderr) of the whole life."""
        self.connection.close()
        if self.process.poll() is None:
            self.process.terminate()
        out, err = self.process.communicate(timeout=10)
        return out.decode(), err.decode()
