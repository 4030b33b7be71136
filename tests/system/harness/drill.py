"""The drill: crafted messages on an invoker's topic, and what comes back (acks, event, record), in a form that can be compared.

tests/data/drill/README.md describes the files. "stock" in them was recorded from Apache's own invoker:
    record KAFKA COUCH_URL INVOKER_NUMBER [FILE...]      with that invoker running and the image made (see the README)."""

import base64
import concurrent.futures
import copy
import decimal
import json
import os
import re
import secrets
import sys
import time
from pathlib import Path

from .couch import Couch, compact
from .kafka import MAX_MESSAGE, Kafka, Reader
from .wait import wait_until

FOLDER = Path(__file__).resolve().parents[2] / "data/drill"
IMAGE = "whisk/drill:local"
NAMESPACE, UUID = "drill", "23bc46b1-71f6-4ed5-8c54-816aa4f8c502"
KEY = f"{UUID}:123zO3xZCLrMN6v2BKK1dXYFpXlPkccOFqm12CdAsMgRU4VrNZ9lyGVCGuMDGIwP"
PLAIN = {"answer": {"body": '{"ok":true}'}}
QUIET_HEADERS = ("host", "user-agent", "connection", "accept-encoding", "content-length")


def load(names=()):
    """→ {file stem: content}, in the order of the names."""
    return {f.stem: json.loads(f.read_text()) for f in sorted(FOLDER.glob("*.json")) if not names or f.stem in names}


def make_image(docker):
    docker.derive("whisk/action-python-v3.11:local", IMAGE, FOLDER / "container.py", ["/usr/bin/python3.11", "-B", "/container.py"])


def manifest(usual):
    """The manifest that both invokers run with: the usual one and the drill's own kind, image and runtime."""
    kind = {"kind": "drill:1", "default": True, "deprecated": False, "image": {"prefix": "whisk", "name": "drill", "tag": "local"},
            "attached": {"attachmentName": "codefile", "attachmentType": "text/plain"}}
    return {"runtimes": {**usual["runtimes"], "drill": [kind]}, "blackboxes": [*usual["blackboxes"],
                                                                            {"prefix": "whisk", "name": "drill", "tag": "local"}]}


# ---- documents and messages from their templates ----

def document(name, changes):
    """A whole action document: the usual one with `set` and `drop` applied, or `whole` as it stands."""
    if "whole" in changes:
        return {"_id": f"{NAMESPACE}/{name}", **changes["whole"]}
    usual = {"_id": f"{NAMESPACE}/{name}", "entityType": "action", "namespace": NAMESPACE, "name": name, "version": "0.0.1",
             "publish": False, "updated": 1700000000000, "exec": {"kind": "drill:1", "binary": False, "code": "{}"},
             "parameters": [], "limits": {"timeout": 60000, "memory": 128, "logs": 10, "concurrency": 1},
             "annotations": [{"key": "provide-api-key", "value": False}]}
    return edited(usual, changes)


def place(root, path):
    *parents, last = path.split(".")
    for key in parents:
        root = root[int(key) if isinstance(root, list) else key]
    return root, int(last) if isinstance(root, list) else last


def edited(value, changes):
    for path, new in changes.get("set", {}).items():
        root, key = place(value, path)
        root[key] = new
    for path in changes.get("drop", ()):
        root, key = place(value, path)
        del root[key]
    return value


class Drill:
    """One invoker under the drill. number: of its topic; name: of the controller that is played."""

    def __init__(self, kafka, couch, number):
        self.kafka, self.couch, self.topic = kafka, couch, f"invoker{number}"
        self.name = f"d{secrets.token_hex(3)}"
        self.completed = [f"completed{self.name}", f"completed{self.name}.x_y-Z9"]
        for topic in self.completed:
            kafka.create(topic, max_message_bytes=MAX_MESSAGE)
        for topic in ("events", "health"):
            kafka.create(topic)
        self.reader = Reader(kafka, from_begin=self.completed, from_end=["events"])
        self.revisions = {}

    def close(self):
        self.reader.close()

    def put(self, documents):
        for name, changes in documents.items():
            body = document(name, changes)
            if changes.get("absent"):
                self.couch.delete(self.couch.whisks, body["_id"])
                self.revisions[name] = "1-0"
                continue
            attachments = changes.get("attachments", {})
            revision = self.couch.put(self.couch.whisks, body)
            for key, content in attachments.items():
                data = base64.b64decode(content["base64"]) if "base64" in content else content["text"].encode()
                revision = self.couch.request("PUT", self.couch.whisks, body["_id"], key, params={"rev": revision}, data=data,
                                              headers={"Content-Type": content["type"]}).json()["rev"]
            self.revisions[name] = revision

    def message(self, spec, activation_id):
        """→ (value as bytes or None, transid or None)"""
        name = spec.get("document", "plain")
        usual = {"action": {"name": name, "path": NAMESPACE, "version": "0.0.1"}, "activationId": activation_id, "blocking": True,
                 "content": copy.deepcopy(PLAIN), "initArgs": [], "lockedArgs": {}, "revision": self.revisions.get(name, "1-0"),
                 "rootControllerIndex": {"asString": self.name, "instanceType": "controller"},
                 "transid": [secrets.token_hex(16), int(time.time() * 1000)],
                 "user": {"subject": "drill-subject", "namespace": {"name": NAMESPACE, "uuid": UUID}, "authkey": {"api_key": KEY},
                          "rights": ["READ", "PUT", "DELETE", "ACTIVATE"], "limits": {}}}
        if "text" in spec:
            return self.filled(spec["text"], activation_id).encode(), None
        if "value" in spec:
            return None, None
        whole = edited(usual, {"set": self.filled(spec.get("set", {}), activation_id), "drop": spec.get("drop", ())})
        text = compact(whole)
        for old, new in spec.get("replace", ()):
            assert old in text, (spec, old)
            text = text.replace(old, self.filled(new, activation_id))
        data = text.encode("utf-8", "surrogatepass")
        return (base64.b64decode(spec.get("before", "")) + data.replace(b"@bytes@", base64.b64decode(spec.get("bytes", ""))) +
                base64.b64decode(spec.get("after", ""))), whole.get("transid")

    def filled(self, value, activation_id):
        """Place-holders: @id, @now, @controller; {"@repeat": [text, times]} is a long text."""
        if isinstance(value, dict):
            if "@repeat" in value:
                return value["@repeat"][0] * value["@repeat"][1]
            return {k: self.filled(v, activation_id) for k, v in value.items()}
        if isinstance(value, list):
            return [self.filled(v, activation_id) for v in value]
        if value == "@now":
            return int(time.time() * 1000)
        return value.replace("@id", activation_id).replace("@controller", self.name) if isinstance(value, str) else value

    def send(self, case):
        """Sends the messages of a case; → its id and transids."""
        activation_id = case.get("id") or secrets.token_hex(16)
        transids = []
        for spec in case["send"]:
            data, transid = self.message(spec, activation_id)
            headers = {k: v.encode() for k, v in spec["headers"].items()} if "headers" in spec else None
            self.kafka.send(self.topic, data, key=spec.get("key"), headers=headers)
            transids.append(transid)
        return Sent(self, case, activation_id, transids)

    def fence(self):
        """Returns when everything that was sent has been looked at."""
        sent = self.send({"name": "fence", "send": [{"document": "no-such-action"}]})
        wait_until(lambda: sent.acks(), 120, "the fence's ack")


class Sent:
    def __init__(self, drill, case, activation_id, transids):
        self.drill, self.case, self.id, self.transids = drill, case, activation_id, transids

    def concerns(self, record):
        response = record.json.get("response")
        return self.id in (record.json.get("activationId"), response.get("activationId") if isinstance(response, dict) else response)

    def acks(self):
        return [r for topic in self.drill.completed for r in self.drill.reader.select(topic, self.concerns)]

    def events(self):
        return self.drill.reader.select("events", lambda r: r.json["body"].get("activationId") == self.id)

    def record(self):
        namespace = self.case.get("namespace", NAMESPACE)
        return self.drill.couch.record(namespace, self.id)

    def wait(self, acks, events, record, timeout=75):
        wait_until(lambda: len(self.acks()) >= acks and len(self.events()) >= events and (not record or self.record()), timeout,
                   lambda: f"{self.case['name']}: {acks} acks, {events} events, record: {record}; there is: "
                           f"{[a.raw[:400] for a in self.acks()]}, {len(self.events())} events, {self.record()}")

    def answer(self):
        return Normal(self).answer()


# ---- what came back, without what differs from run to run ----

def number(text):
    """However it is spelled; exact."""
    try:
        with decimal.localcontext(prec=400):
            return {"@number": str(decimal.Decimal(text).normalize())}
    except decimal.DecimalException:
        return {"@number": text}


class Normal:
    def __init__(self, sent):
        self.sent = sent

    def answer(self):
        """{"acks": [...], "events": [...], "record": ...} without what is the same in each answer."""
        acks = sorted((self.ack(a) for a in self.sent.acks()), key=lambda a: ("response" not in a, "instance" in a, compact(a)))
        answer = {"acks": acks, "events": [self.event(e) for e in self.sent.events()]}
        record = self.sent.record()
        if record is not None:
            record = self.text(self.record(record))
            logs = record.pop("logs")
            whole = [a["response"] for a in acks if isinstance(a.get("response"), dict)]
            answer["record"] = {"logs": logs} if {**record, "logs": []} in whole else {**record, "logs": logs}
        return answer

    def ack(self, ack):
        body = json.loads(ack.raw, parse_float=number)
        body["transid"] = self.transid(body["transid"])
        if "instance" in body:
            body["instance"] = body["instance"]["instanceType"]
        if isinstance(body.get("response"), dict):
            body["response"] = self.record(body["response"])
        if ack.topic != self.sent.drill.completed[0]:
            body["topic"] = ack.topic.replace(self.sent.drill.name, "@controller")
        return self.text(body)

    def transid(self, value):
        if value in self.sent.transids:
            return "as sent"
        return [v if not isinstance(v, int) or not 10**12 < v < 2 * 10**12 else "@time" for v in value]

    def event(self, event):
        event = json.loads(event.raw)
        for key in ("duration", "waitTime", "initTime"):
            event["body"][key] = self.ms(event["body"][key])
        event["body"].pop("initTime")  # whether an idle container was there is up to the case before
        if event["body"].get("size", 0) > 400:  # an answer that quotes headers
            event["body"]["size"] = "@size"
        return self.text({**event, "timestamp": "@time", "source": re.sub(r"\d+", "N", event["source"])})

    def record(self, record):
        record = json.loads(json.dumps(record), parse_float=number)
        for key in ("_id", "_rev", "updated", "entityType"):
            record.pop(key, None)
        annotations = {a["key"]: a["value"] for a in record["annotations"]}
        assert len(annotations) == len(record["annotations"]), record["annotations"]
        annotations.pop("initTime", None)
        if "waitTime" in annotations:
            annotations["waitTime"] = self.ms(annotations["waitTime"])
        record.update(start=self.moment(record["start"]), end=self.moment(record["end"]), annotations=annotations)
        if annotations.get("kind") != "unknown" and "duration" in record:
            record["duration"] = self.ms(record["duration"])
        # Docker writes the two streams side by side, so their lines have no order among them.
        record["logs"] = sorted(record["logs"], key=lambda line: line[30:38] == " stderr:")
        record["logs"] = [re.sub(r"^\d{4}-[-:.TZ0-9 ]{26}", "@time ", line) for line in record["logs"]]
        return record

    def moment(self, value):
        return "@time" if 10**12 < value < 2 * 10**12 else value

    def ms(self, value):
        return "@ms" if 0 <= value < 10**6 else "@far"

    def text(self, value):
        """Strings that hold ids, times, addresses; what a container was asked is compared as parsed JSON."""
        if isinstance(value, dict):
            if set(value) == {"line", "headers", "body"}:
                return {"line": value["line"], "body": self.body(value["body"]),
                        "headers": {k: v for k, v in sorted(value["headers"].items()) if k.lower() not in QUIET_HEADERS}}
            if "result" in value and "size" in value and "@asked" not in value and self.asked(value["result"]):
                value = {**value, "size": "@size"}
            return {k: self.text(v) for k, v in value.items()}
        if isinstance(value, list):
            return [self.text(v) for v in value]
        if not isinstance(value, str):
            return value
        if len(value) > 3000:
            value = f"{value[:60]}@{len(value)} characters@{value[-60:]}"
        return value.replace(self.sent.id, "@id").replace(self.sent.drill.name, "@controller")

    def asked(self, result):
        return isinstance(result, dict) and isinstance(result.get("run"), dict) and "line" in result["run"]

    def body(self, text):
        try:
            body = json.loads(text, parse_float=number)
        except ValueError:
            return self.text(text)
        if "deadline" in body:
            body["deadline"] = "@deadline" if re.fullmatch(r"\d{13}", body["deadline"]) else body["deadline"]
        environment = body.get("value", {}).get("env") if isinstance(body.get("value"), dict) else None
        if isinstance(environment, dict) and re.fullmatch(r"\d{13}", environment.get("__OW_DEADLINE", "")):
            environment["__OW_DEADLINE"] = "@deadline"
        transid = self.sent.transids[0]
        known = transid[0] if isinstance(transid, list) and transid and isinstance(transid[0], str) else None
        return json.loads(self.text(compact(body)).replace(f'"{known}"', '"@transid"'))


# ---- all cases against one invoker ----

def lanes(content):
    """Cases that must not meet in one container go one after another: by document."""
    found = {}
    for case in content["cases"]:
        found.setdefault(case.get("lane") or case["send"][0].get("document", "plain"), []).append(case)
    return list(found.values())


def replay_lane(drill, cases):
    """→ [(case, Sent)]; what is expected to be dropped is not waited for."""
    sent = []
    for case in cases:
        expected = case.get("cwhisk", {}).get("answer") or case["stock"]
        sent.append((case, drill.send(case)))
        sent[-1][1].wait(len(expected["acks"]), len(expected["events"]), "record" in expected)
    return sent


def replay(drill, content, workers=4):
    """Sends all cases of a file; → [(case, answer)] after everything that is expected has come and the fence behind it."""
    drill.put(content.get("documents", {}))
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        done = [pair for lane in pool.map(lambda cases: replay_lane(drill, cases), lanes(content)) for pair in lane]
    drill.fence()
    return [(case, sent.answer()) for case, sent in done]


def settle(drill, sent, case):
    """Nobody knows yet what will come: until a slot is freed and the record is there, or nothing for a while."""
    drill.fence()
    deadline = time.monotonic() + max(case.get("patience", 2), 25 if os.environ.get("DRILL_AGAIN") else 0)
    while time.monotonic() < deadline:
        if any("instance" in a.json for a in sent.acks()):
            deadline = min(deadline, time.monotonic() + (0.3 if sent.record() else 2))
        time.sleep(0.05)


def record(drill, content):
    """With DRILL_AGAIN, patiently and only: "missing" (not recorded yet), "unanswered" (nothing came back), NAME|NAME..."""
    drill.put(content.get("documents", {}))
    again = os.environ.get("DRILL_AGAIN", "")
    for case in content["cases"]:
        if again == "missing" and "stock" in case or again == "unanswered" and case["stock"]["acks"]:
            continue
        if again not in ("", "missing", "unanswered") and case["name"] not in again.split("|"):
            continue
        sent = drill.send(case)
        settle(drill, sent, case)
        case["stock"] = sent.answer()
        print(case["name"], len(case["stock"]["acks"]), "record" in case["stock"], flush=True)


def pretty(content):
    """One line per document and case: easy to compare, not too long a file."""
    documents = [f"{json.dumps(k)}: {json.dumps(v)}" for k, v in content.get("documents", {}).items()]
    cases = [json.dumps(case) for case in content["cases"]]
    return '{"documents": {\n' + ",\n".join(documents) + '\n},\n"cases": [\n' + ",\n".join(cases) + "\n]}\n"


def main(kafka, couch, invoker_number, *names):
    drill = Drill(Kafka(kafka), Couch(couch, prefix="whisk_"), int(invoker_number))
    try:
        for name, content in load(names).items():
            record(drill, content)
            (FOLDER / f"{name}.json").write_text(pretty(content))
    finally:
        drill.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
