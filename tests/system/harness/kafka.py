"""A thin layer over a real broker: topics, sending, and a reader that keeps all it has seen."""

import contextlib
import json
import threading

from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic

from .wait import PATIENCE, wait_until

MAX_MESSAGE = 1048576 + 6068


class Kafka:
    def __init__(self, hosts):
        self.hosts = hosts
        self.admin = AdminClient({"bootstrap.servers": hosts})
        self.producer = Producer({"bootstrap.servers": hosts, "linger.ms": 0, "message.max.bytes": 4 * MAX_MESSAGE})

    def topics(self):
        return self.admin.list_topics(timeout=10).topics

    def create(self, name, **config):
        """Creates a topic if it is not there; config keys with _ for ."""
        if name in self.topics():
            return
        topic = NewTopic(name, 1, 1, config={k.replace("_", "."): str(v) for k, v in config.items()})
        try:
            self.admin.create_topics([topic])[name].result(15)
        except KafkaException as e:
            if e.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:  # somebody else was quicker
                raise
        wait_until(lambda: name in self.topics(), what=f"topic {name}")

    def delete(self, name):
        self.admin.delete_topics([name])[name].result(15)
        wait_until(lambda: name not in self.topics(), what=f"topic {name} is gone")

    def config(self, topic):
        resource = ConfigResource(ConfigResource.Type.TOPIC, topic)
        entries = self.admin.describe_configs([resource])[resource].result(15)
        return {name: entry.value for name, entry in entries.items()}

    def send(self, topic, value, **options):
        """value: text, bytes, or None (a tombstone); options: key, headers, as the client takes them."""
        failures = []
        self.producer.produce(topic, value.encode() if isinstance(value, str) else value,
                              on_delivery=lambda err, _: failures.append(err) if err else None, **options)
        left = self.producer.flush(15)
        if left or failures:
            raise KafkaException(failures[0] if failures else f"{topic}: not sent within 15 s")

    def end(self, topic):
        """Offset behind the last record."""
        consumer = Consumer({"bootstrap.servers": self.hosts, "group.id": "system-test-end"})
        try:
            return consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=10)[1]
        finally:
            consumer.close()

    @contextlib.contextmanager
    def member(self, topic, client_id, instance_id=None):
        """Somebody else in the consumer group of a topic, who owns it."""
        static = {"group.instance.id": instance_id} if instance_id else {}
        consumer = Consumer({"bootstrap.servers": self.hosts, "group.id": topic, "client.id": client_id,
                             "enable.auto.commit": False, "session.timeout.ms": 6000, **static})
        consumer.subscribe([topic])
        try:
            def joined():
                consumer.poll(0.1)
                return consumer.assignment()
            wait_until(joined, what=f"{client_id} owns {topic}")
            yield
        finally:
            consumer.close()

    def members(self, group):
        return [m.client_id for g in self.admin.list_groups(group, timeout=10) for m in g.members]

    def committed(self, group, topic):
        consumer = Consumer({"bootstrap.servers": self.hosts, "group.id": group, "enable.auto.commit": False})
        try:
            return consumer.committed([TopicPartition(topic, 0)], timeout=10)[0].offset
        finally:
            consumer.close()


class Record:
    """One record as read: raw text, parsed JSON, offset, and the broker's time stamp."""

    def __init__(self, message):
        self.topic, self.offset, self.key = message.topic(), message.offset(), message.key()
        self.time_ms = message.timestamp()[1]
        self.raw = message.value().decode()
        self.json = json.loads(self.raw)


class Reader:
    """Reads topics on a thread of its own; what was read stays, in order."""

    def __init__(self, kafka, from_begin=(), from_end=()):
        self.records = []
        self.changed = threading.Condition()
        self.stopping = False
        self.consumer = Consumer({"bootstrap.servers": kafka.hosts, "group.id": "system-test-reader",
                                  "enable.auto.commit": False, "fetch.wait.max.ms": 20,
                                  "fetch.message.max.bytes": 4 * MAX_MESSAGE})
        places = [TopicPartition(t, 0, OFFSET_BEGINNING) for t in from_begin]
        for topic in from_end:  # the offset of now, not of when the fetch happens to start
            places.append(TopicPartition(topic, 0, kafka.end(topic)))
        self.consumer.assign(places)
        self.thread = threading.Thread(target=self.loop, daemon=True)
        self.thread.start()

    def loop(self):
        while not self.stopping:
            message = self.consumer.poll(0.2)
            if message is None or message.error():
                continue
            with self.changed:
                self.records.append(Record(message))
                self.changed.notify_all()
        self.consumer.close()

    def select(self, topic, condition=lambda r: True):
        with self.changed:
            return [r for r in self.records if r.topic == topic and condition(r)]

    def wait(self, topic, condition, count=1, timeout=15, what=None):
        """The first `count` records of topic that fulfil the condition."""
        with self.changed:
            def found():
                return [r for r in self.records if r.topic == topic and condition(r)]
            self.changed.wait_for(lambda: len(found()) >= count, timeout * PATIENCE)
            records = found()
        if len(records) < count:
            seen = [r.raw[:300] for r in self.select(topic)][-8:]
            raise AssertionError(f"{what or topic}: {len(records)} of {count} within {timeout} s; last on {topic}: {seen}")
        return records[:count]

    def close(self):
        self.stopping = True
        self.thread.join(5)
