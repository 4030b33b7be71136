"""Plays an OpenWhisk controller with the sharding balancer: sends activations, reads pings, acks and events."""

import hashlib
import secrets
import time

from .couch import Action, compact
from .kafka import MAX_MESSAGE, Reader
from .wait import wait_until

RETENTION = {"retention_ms": 3600000, "retention_bytes": 1073741824, "segment_bytes": 536870912}


def identity(namespace, **limits):
    """A user; the same namespace has always the same uuid and key."""
    tail = hashlib.sha256(namespace.encode()).hexdigest()[:12]
    uuid = f"23bc46b1-71f6-4ed5-8c54-{tail}"
    return {"subject": f"{namespace}-subject", "namespace": {"name": namespace, "uuid": uuid},
            "authkey": {"api_key": f"{uuid}:123zO3xZCLrMN6v2BKK1dXYFpXlPkccOFqm12CdAsMgRU4VrNZ9lyGVCGuMDGIwP"},
            "rights": ["READ", "PUT", "DELETE", "ACTIVATE"], "limits": limits}


class Raw(str):
    """JSON text that goes into a message as it stands."""


class Activation:
    """One activation in flight. Every wait has a deadline and fails with what has been seen."""

    def __init__(self, controller, message):
        self.controller = controller
        self.id = message["activationId"]
        self.transid = message["transid"]
        self.namespace = message["user"]["namespace"]["name"]
        self.blocking = message["blocking"]

    def acks(self):
        return self.controller.reader.select(self.controller.completed, self.concerns)

    def concerns(self, record):
        body = record.json
        response = body.get("response")
        inner = response.get("activationId") if isinstance(response, dict) else response
        return self.id in (body.get("activationId"), inner)

    def wait_ack(self, condition, timeout, what):
        return self.controller.reader.wait(self.controller.completed, lambda r: self.concerns(r) and condition(r.json),
                                           timeout=timeout, what=f"{what} of {self.id}")[0]

    def completion(self, timeout=20):
        """The ack that frees the slot (completion or combined)."""
        return self.wait_ack(lambda m: "instance" in m, timeout, "slot-freeing ack")

    def result(self, timeout=20):
        """The ack that carries the result (result or combined)."""
        return self.wait_ack(lambda m: "response" in m, timeout, "result ack")

    def response(self, timeout=20):
        """{"statusCode", "result", "size"} as the caller would get it."""
        return self.result(timeout).json["response"]["response"]

    def record(self, timeout=20):
        return wait_until(lambda: self.controller.couch.record(self.namespace, self.id), timeout, f"record of {self.id}", 0.05)

    def finished(self, timeout=20):
        """Waits for the record and the slot-freeing ack; → the record."""
        self.completion(timeout)
        return self.record(timeout)

    def event(self, timeout=20):
        return self.controller.reader.wait(self.controller.events, lambda r: r.json["body"].get("activationId") == self.id,
                                           timeout=timeout, what=f"event of {self.id}")[0]


class Controller:
    events = "events"
    health = "health"

    def __init__(self, kafka, couch, name):
        self.kafka, self.couch, self.name = kafka, couch, name
        self.completed = f"completed{name}"
        kafka.create(self.completed, **RETENTION, max_message_bytes=MAX_MESSAGE)
        kafka.create(self.health, **RETENTION)
        kafka.create(self.events, **RETENTION)
        self.reader = Reader(kafka, from_begin=[self.completed], from_end=[self.health, self.events])
        self.actions = {}

    def close(self):
        self.reader.close()

    def pings(self, invoker):
        return self.reader.select(self.health, lambda r: r.json["name"]["instance"] == invoker.number)

    def wait_ping(self, invoker, condition=lambda m: True, count=1, timeout=10):
        """Pings that arrive from now on."""
        before = len(self.pings(invoker))
        wait_until(lambda: len([r for r in self.pings(invoker)[before:] if condition(r.json)]) >= count, timeout,
                   f"{count} pings of {invoker.topic}")
        return [r for r in self.pings(invoker)[before:] if condition(r.json)][:count]

    def put(self, *args, **kwargs):
        """Stores an action (Action or its constructor's arguments); → Action."""
        action = args[0] if isinstance(args[0], Action) else Action(*args, **kwargs)
        self.couch.put_action(action)
        return action

    def message(self, action, content=None, *, blocking=True, user=None, revision=..., **more):
        """An activation message with the keys of a real one, in the order real ones have (sorted)."""
        path, _, name = action.path.rpartition("/")
        message = {
            "action": {"name": name, "path": path, "version": action.version},
            "activationId": secrets.token_hex(16),
            "blocking": blocking,
            "initArgs": [], "lockedArgs": {},
            "revision": action.revision if revision is ... else revision,
            "rootControllerIndex": {"asString": self.name, "instanceType": "controller"},
            "transid": [secrets.token_hex(16), int(time.time() * 1000)],
            "user": user or identity(path.split("/")[0]),
        }
        if content is not None:
            message["content"] = content
        message.update(more)
        return dict(sorted(message.items()))

    def send(self, invoker, message):
        """→ Activation. A Raw content is put in verbatim."""
        content = message.get("content")
        if isinstance(content, Raw):
            text = compact({**message, "content": "@raw@"}).replace('"@raw@"', content)
        else:
            text = compact(message)
        self.kafka.send(invoker.topic, text)
        return Activation(self, message)

    def invoke(self, invoker, action, content=None, **options):
        return self.send(invoker, self.message(action, content, **options))

    def install_health_action(self):
        """As a controller does at its start; → Action."""
        return self.put(f"whisk.system/invokerHealthTestAction{self.name}", "nodejs:20", "function main(params) { return params; }",
                        limits={"memory": 128})
