"""Plays the controllers: keeps so many activations in flight, and reads what comes back."""

import random
import threading
import time

from confluent_kafka import Consumer, Producer, TopicPartition

from harness.controller import identity
from harness.couch import compact

PRODUCER = {"linger.ms": 0, "enable.idempotence": True, "message.timeout.ms": 300000, "socket.keepalive.enable": True,
            "reconnect.backoff.max.ms": 500, "log_level": 2}


class Answers:
    """Reads the completed topic into the ledger, on a thread of its own."""

    def __init__(self, hosts, topic, ledger, position):
        self.hosts, self.topic, self.ledger = hosts, topic, ledger
        self.open(position)

    def open(self, position=0):
        """From there on; from the beginning after the topic was made anew."""
        self.stopping = False
        self.position = position
        self.consumer = Consumer({"bootstrap.servers": self.hosts, "group.id": "chaos-answers", "enable.auto.commit": False,
                                  "fetch.wait.max.ms": 20, "auto.offset.reset": "earliest", "reconnect.backoff.max.ms": 500, "log_level": 2})
        self.consumer.assign([TopicPartition(self.topic, 0, position)])
        self.thread = threading.Thread(target=self.loop, daemon=True)
        self.thread.start()

    def loop(self):
        while not self.stopping:
            for message in self.consumer.consume(500, 0.05):
                if not message.error():
                    self.ledger.ack(message.value())
                    self.position = message.offset() + 1
        self.consumer.close()

    def close(self):
        self.stopping = True
        self.thread.join(10)


class Flow:
    """Sends while fewer than `most` are in flight. What stays unanswered for `patience` seconds no longer takes a place, as with
    a controller that forces its completion: it is lost, but must not stop the rest."""

    def __init__(self, controller, topic, kinds, counter, ledger, most, patience, seed):
        self.controller, self.topic, self.kinds, self.counter, self.ledger = controller, topic, kinds, counter, ledger
        self.most, self.patience = most, patience
        self.random = random.Random(seed)
        self.user = identity(kinds[0].action.namespace)
        self.stopping = threading.Event()
        self.going = threading.Event()
        self.open()
        self.thread = threading.Thread(target=self.loop, daemon=True)
        self.thread.start()

    def open(self):
        self.producer = Producer({"bootstrap.servers": self.controller.kafka.hosts, **PRODUCER})

    def send(self, kind=None, ms=None):
        """One activation of that kind, or of the mixture."""
        kind = kind or self.random.choices(self.kinds, [k.weight for k in self.kinds])[0]
        blocking = self.random.random() < 0.5
        message = self.controller.message(kind.action, {}, blocking=blocking, user=self.user)
        message["content"] = {"id": message["activationId"], "host": self.counter.host, "port": self.counter.port,
                              "ms": ms if ms is not None else self.random.randint(*kind.ms) if kind.ms else 0}
        self.ledger.sent(message["activationId"], kind.name, blocking)
        self.producer.produce(self.topic, compact(message).encode(),
                              on_delivery=lambda err, _, i=message["activationId"]: self.ledger.unsent(i) if err else None)
        return message["activationId"]

    def loop(self):
        while not self.stopping.is_set():
            if not self.going.wait(0.05):
                self.producer.poll(0)
                continue
            free = self.most - self.ledger.in_flight_since(time.monotonic() - self.patience)
            for _ in range(min(free, 50)):
                self.send()
            self.producer.poll(0 if free > 0 else 0.005)

    def start(self):
        self.going.set()

    def pause(self):
        """Sends nothing more; what was sent has reached the broker then."""
        self.going.clear()
        time.sleep(0.1)  # the loop may be within a send
        if self.producer.flush(120):
            raise AssertionError(f"{self.topic}: the broker has not taken all that was sent within 120 s")

    def reopen(self):
        """After the topic was made anew: the broker knows nothing of this producer's numbers any more."""
        self.producer.flush(10)
        self.open()

    def close(self):
        self.stopping.set()
        self.thread.join(10)
        self.producer.flush(10)
