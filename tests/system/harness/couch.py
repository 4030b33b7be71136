"""CouchDB as OpenWhisk's operators set it up: databases, the design documents that an invoker asks, action documents."""

import base64
import hashlib
import json
import uuid
from urllib.parse import quote, urlsplit

import requests

BLOCKED_NAMESPACES = """function (doc) {
  if (doc._id.indexOf('/limits') > 0 && (doc.concurrentInvocations === 0 || doc.invocationsPerMinute === 0))
    emit(doc._id.substring(0, doc._id.length - '/limits'.length), 1);
  else if (doc.subject && doc.namespaces && doc.blocked)
    doc.namespaces.forEach(function (ns) { emit(ns.name, 1); });
}"""
ACTIVATIONS = """function (doc) {
  if (doc.activationId !== undefined)
    emit([doc.namespace, doc.start], {activationId: doc.activationId, annotations: doc.annotations});
}"""
DEFAULT_LIMITS = {"timeout": 60000, "memory": 256, "logs": 10, "concurrency": 1}


class Couch:
    def __init__(self, url, prefix="test_"):
        parts = urlsplit(url)
        self.protocol, self.host, self.port = parts.scheme, parts.hostname, parts.port
        self.username, self.password = parts.username, parts.password
        self.base = f"{parts.scheme}://{parts.hostname}:{parts.port}"
        self.whisks, self.activations, self.subjects = (prefix + n for n in ("whisks", "activations", "subjects"))
        self.session = requests.Session()
        self.session.auth = (self.username, self.password)

    def request(self, method, *path, expect=(200, 201, 202), **options):
        response = self.session.request(method, "/".join([self.base, *(quote(p, safe="") for p in path)]), timeout=15, **options)
        assert response.status_code in expect, f"{method} {path}: {response.status_code} {response.text[:300]}"
        return response

    def setup(self):
        for database in (self.whisks, self.activations, self.subjects):
            self.request("PUT", database, expect=(201, 202, 412))
        self.put_design(self.subjects, "namespaceThrottlings", "blockedNamespaces", BLOCKED_NAMESPACES, "_sum")
        self.put_design(self.activations, "whisks.v2.1.0", "activations", ACTIVATIONS, "_count")

    def put_design(self, database, name, view, function, reduce):
        body = {"_id": f"_design/{name}", "language": "javascript", "views": {view: {"map": function, "reduce": reduce}}}
        url = f"{self.base}/{database}/_design/{name}"
        if self.session.get(url, timeout=15).status_code == 404:
            self.session.put(url, json=body, timeout=15).raise_for_status()

    def get(self, database, document):
        """The document, or None."""
        response = self.request("GET", database, document, expect=(200, 404))
        return response.json() if response.status_code == 200 else None

    def put(self, database, body):
        """Writes, over what is there; → revision."""
        old = self.get(database, body["_id"])
        if old is not None:
            body = {**body, "_rev": old["_rev"]}
        return self.request("PUT", database, body["_id"], json=body).json()["rev"]

    def delete(self, database, document):
        old = self.get(database, document)
        if old is not None:
            self.request("DELETE", database, document, params={"rev": old["_rev"]})

    def record(self, namespace, activation_id):
        return self.get(self.activations, f"{namespace}/{activation_id}")

    def put_action(self, action):
        """Stores the action in its form; → revision that a controller would name in its messages."""
        body = action.document()
        old = self.get(self.whisks, body["_id"])
        if old is not None:
            body["_rev"] = old["_rev"]
        rev = self.request("PUT", self.whisks, body["_id"], json=body).json()["rev"]
        if action.storage == "couch":
            rev = self.request("PUT", self.whisks, body["_id"], action.attachment, params={"rev": rev}, data=action.stored_bytes(),
                               headers={"Content-Type": action.content_type()}).json()["rev"]
        action.revision = rev
        return rev


class Action:
    """An action as wsk would have created it. storage: how the code is kept: "inline" in the document,
    "mem" inside of the attachment's name, "couch" as an attachment. code: text, or with binary=True the
    base64 of an archive."""

    def __init__(self, path, kind, code=None, *, storage="mem", binary=False, main=None, image=None, limits=None,
                 annotations=None, parameters=(), version="0.0.1", publish=False):
        self.namespace, _, self.name = path.rpartition("/")
        self.kind, self.code, self.binary, self.main, self.image = kind, code, binary, main, image
        self.storage = storage if code is not None else "inline"
        self.limits = {**DEFAULT_LIMITS, **(limits or {})}
        self.annotations = {"provide-api-key": False, "exec": kind, **(annotations or {})}
        self.parameters, self.version, self.publish = list(parameters), version, publish
        self.attachment = str(uuid.uuid4())
        self.revision = None

    @property
    def path(self):
        return f"{self.namespace}/{self.name}"

    def content_type(self):
        return "application/octet-stream" if self.binary else "text/plain; charset=UTF-8"

    def stored_bytes(self):
        return base64.b64decode(self.code) if self.binary else self.code.encode()

    def stored_code(self):
        if self.storage == "inline":
            return self.code
        if self.storage == "couch":
            return {"attachmentName": f"couch:{self.attachment}", "attachmentType": self.content_type()}
        data = self.stored_bytes()
        return {"attachmentName": "mem:" + base64.urlsafe_b64encode(data).decode(), "attachmentType": self.content_type(),
                "length": len(data), "digest": "sha256-" + hashlib.sha256(data).hexdigest()}

    def document(self):
        execution = {"kind": self.kind, "binary": self.binary}
        if self.code is not None:
            execution["code"] = self.stored_code()
        if self.main is not None:
            execution["main"] = self.main
        if self.image is not None:
            execution["image"] = self.image
        return {"_id": self.path, "entityType": "action", "namespace": self.namespace, "name": self.name, "version": self.version,
                "publish": self.publish, "updated": 1700000000000, "exec": execution, "parameters": self.parameters,
                "limits": self.limits, "annotations": [{"key": k, "value": v} for k, v in self.annotations.items() if v is not None]}


def compact(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
