"""What an activation wrote, as it stands in its record, and the other places where it may go."""

import fcntl
import json
import os
import re
import stat
import time

import pytest

from harness.code import NODE_ID, NODE_LOG, OFFICIAL, texts
from harness.wait import wait_until

LINE = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z {0,10} (stdout|stderr): ")


def test_lines_have_time_stream_and_text(invoker, controller, ns):
    record = controller.invoke(invoker, controller.put(f"{ns}/log", "nodejs:20", NODE_LOG)).finished()
    assert sorted(texts(record)) == [("stderr", "to err"), ("stdout", "to out")]
    for line in record["logs"]:
        assert LINE.match(line) and line[30] == " " and len(line[:30].rstrip()) >= 20


def test_each_activation_has_its_own_lines(invoker, controller, ns):
    action = controller.put(f"{ns}/log", "nodejs:20", "function main(a) { console.log('n=' + a.n); return a; }")
    for n in range(3):
        assert texts(controller.invoke(invoker, action, {"n": n}).finished()) == [("stdout", f"n={n}")]


def test_lines_of_initialization_belong_to_the_first_activation(invoker, controller, ns):
    action = controller.put(f"{ns}/log", "python:3.11", "print('loading')\ndef main(a):\n    print('running')\n    return {}\n")
    assert texts(controller.invoke(invoker, action).finished()) == [("stdout", "loading"), ("stdout", "running")]
    assert texts(controller.invoke(invoker, action).finished()) == [("stdout", "running")]


def test_order_within_a_stream_is_kept(invoker, controller, ns):
    action = controller.put(f"{ns}/log", "nodejs:20", "function main() { for (let i = 0; i < 2000; i++) console.log('line ' + i); return {}; }")
    record = controller.invoke(invoker, action).finished()
    assert texts(record) == [("stdout", f"line {i}") for i in range(2000)]


def test_unusual_text_survives(invoker, controller, ns):
    odd = ["", "  blanks around  ", "tab\tquote\"back\\slash", "ünïcödé 😀 \u2028", "ctrl \u0001\u001b[31m"]
    action = controller.put(f"{ns}/log", "nodejs:20", "function main(a) { a.lines.forEach((l) => console.log(l)); return {}; }")
    record = controller.invoke(invoker, action, {"lines": odd}).finished()
    assert texts(record) == [("stdout", line) for line in odd]


def test_a_last_line_without_newline_is_kept(invoker, controller, ns):
    action = controller.put(f"{ns}/log", "python:3.11", "import sys\ndef main(a):\n    sys.stdout.write('open end')\n    return {}\n")
    lines = texts(controller.invoke(invoker, action).finished())
    assert lines == ([] if OFFICIAL else [("stdout", "open end")])  # Apache's sentinel is glued to it, and both are dropped


def test_a_line_longer_than_the_engine_writes_at_once(invoker, controller, ns):
    action = controller.put(f"{ns}/log", "nodejs:20", "function main() { console.log('a'.repeat(20000) + 'z'); console.log('next'); return {}; }")
    lines = texts(controller.invoke(invoker, action).finished())
    assert lines[-1] == ("stdout", "next") and "".join(text for _, text in lines[:-1]) == "a" * 20000 + "z"


def test_log_limit_zero_collects_nothing(invoker, controller, ns):
    action = controller.put(f"{ns}/log", "nodejs:20", NODE_LOG, limits={"logs": 0})
    assert controller.invoke(invoker, action).finished()["logs"] == []


LOUD = NODE_ID.replace("{ return", "{ if (args.loud) for (let i = 0; i < 20000; i++) console.log('x'.repeat(100)); return")


def check_truncated(record):
    assert record["response"]["statusCode"] == 0
    lines = texts(record)
    assert lines[-1] == ("stderr", "Logs were truncated because the total bytes size exceeds the limit of 1048576 bytes.")
    assert 5000 < len(lines) < 9000 and set(lines[:-1]) == {("stdout", "x" * 100)}


def test_log_over_the_limit_is_truncated_and_the_container_kept(invoker, controller, ns):
    action = controller.put(f"{ns}/log", "nodejs:20", LOUD, limits={"logs": 1})
    record = controller.invoke(invoker, action, {"loud": True}).finished(40)
    check_truncated(record)
    for _ in range(2):
        quiet = controller.invoke(invoker, action, {}).finished()
        assert quiet["response"]["result"]["id"] == record["response"]["result"]["id"]
        assert quiet["logs"] == []  # nothing of what the first one wrote over the limit


def test_with_the_switch_a_truncated_log_costs_the_container_as_with_stock(make_invoker, controller, ns):
    invoker = make_invoker({"CWHISK_DESTROY_ON_INCOMPLETE_LOGS": "true"}).start(controller)
    action = controller.put(f"{ns}/log", "nodejs:20", LOUD, limits={"logs": 1})
    record = controller.invoke(invoker, action, {"loud": True}).finished(40)
    check_truncated(record)
    quiet = controller.invoke(invoker, action, {}).finished()
    assert quiet["response"]["result"]["id"] != record["response"]["result"]["id"]


def test_logs_of_a_timed_out_run_are_there(invoker, controller, ns):
    action = controller.put(f"{ns}/log", "nodejs:20", "function main() { console.log('before'); return new Promise(() => {}); }", limits={"timeout": 5000})
    lines = texts(controller.invoke(invoker, action).finished())
    assert lines == [("stdout", "before"), ("stderr", "The action did not initialize or run as expected. Log data might be missing.")]


@pytest.mark.skipif(OFFICIAL, reason="Apache's Python runtime writes the sentinels from another process")
def test_missing_sentinel_ends_after_two_seconds_with_a_notice(invoker, controller, ns):
    # The action closes standard error for good, so that its sentinel can never come.
    action = controller.put(f"{ns}/log", "python:3.11", "import os\ndef main(a):\n    print('words')\n    os.close(2)\n    os.open('/dev/null', 1)\n    return {'ok': 1}\n")
    started = time.monotonic()
    activation = controller.invoke(invoker, action)
    assert activation.response() == {"statusCode": 0, "result": {"ok": 1}, "size": 9}
    record = activation.finished()
    assert time.monotonic() - started < 15
    assert texts(record) == [("stdout", "words"), ("stderr", "There was an issue while collecting your logs. Data might be missing.")]


def test_logs_of_files_that_docker_rotates_are_whole(make_invoker, controller, ns):
    args = "CONFIG_whisk_containerFactory_containerArgs_extraArgs_logOpt_"
    invoker = make_invoker({f"{args}0": "max-size=100k", f"{args}1": "max-file=5"}).start(controller)
    code = "function main(a) { for (let i = 0; i < 1500; i++) console.log(a.n + ' ' + i + ' ' + 'x'.repeat(80)); return {}; }"
    action = controller.put(f"{ns}/log", "nodejs:20", code)
    for n in range(2):  # each writes some three files' worth
        lines = [text.split()[:2] for _, text in texts(controller.invoke(invoker, action, {"n": n}).finished(40))]
        assert lines == [[str(n), str(i)] for i in range(1500)]


# ---- log stores ----

PROVIDER = "CONFIG_whisk_spi_LogStoreProvider"
LOGGING = "org.apache.openwhisk.core.containerpool.logging."


def test_file_store_writes_each_line_and_the_record_behind_them(make_invoker, controller, ns, tmp_path):
    folder = tmp_path / "userlogs"
    folder.mkdir()
    invoker = make_invoker({PROVIDER: LOGGING + "DockerToActivationFileLogStoreProvider", "CWHISK_USERLOGS_DIR": str(folder)}).start(controller)
    record = controller.invoke(invoker, controller.put(f"{ns}/log", "nodejs:20", NODE_LOG)).finished()
    assert sorted(texts(record)) == [("stderr", "to err"), ("stdout", "to out")]

    def of_ours():
        found = [json.loads(line) for path in folder.glob("userlogs-*.log") for line in path.read_text().splitlines()]
        return [o for o in found if o["activationId"] == record["activationId"]]
    wait_until(lambda: len(of_ours()) == 3, timeout=10, what=of_ours)
    lines, stored = of_ours()[:2], of_ours()[2]
    assert sorted((o["stream"], o["log"]) for o in lines) == [("stderr", "to err\n"), ("stdout", "to out\n")]
    uuid = stored["namespaceId"]
    for line, kept in zip(lines, record["logs"]):
        assert set(line) == {"log", "stream", "time", "activationId", "action", "namespace", "namespaceId"}
        assert kept.startswith(line["time"]) and line["namespaceId"] == uuid and re.fullmatch(r"[0-9a-f-]{36}", uuid)
        assert line["action"] == f"{ns}/log" and line["namespace"] == record["namespace"]
    expected = {k: v for k, v in record.items() if not k.startswith("_") and k not in ("entityType", "updated")}
    assert stored == {**expected, "logs": [], "namespaceId": uuid}
    assert [stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()] == [0o666]


def test_without_its_folder_the_file_store_says_so_and_loses_no_activation(make_invoker, controller, ns, tmp_path):
    invoker = make_invoker({PROVIDER: LOGGING + "ElasticSearchLogStoreProvider", "CWHISK_USERLOGS_DIR": str(tmp_path / "none")}).start(controller)
    action = controller.put(f"{ns}/log", "nodejs:20", NODE_LOG)
    for _ in range(2):
        assert len(texts(controller.invoke(invoker, action).finished())) == 2
    said = [line for line in invoker.log().splitlines() if "log lines cannot be written to files" in line]
    assert len(said) == 1 and "[ERROR]" in said[0] and str(tmp_path / "none") in said[0]


def test_log_driver_store_collects_nothing_and_does_not_split_acks(make_invoker, controller, docker, ns):
    invoker = make_invoker({PROVIDER: LOGGING + "LogDriverLogStoreProvider",
                            "CONFIG_whisk_containerFactory_containerArgs_extraArgs_logDriver_0": "none"}).start(controller)
    action = controller.put(f"{ns}/log", "nodejs:20", NODE_LOG)
    activation = controller.invoke(invoker, action)
    assert activation.finished()["logs"] == []
    assert [set(a.json) for a in activation.acks()] == [{"transid", "response", "isSystemError", "instance"}]
    unwaited = controller.invoke(invoker, action, blocking=False)
    assert unwaited.finished()["logs"] == []
    assert [set(a.json) for a in unwaited.acks()] == [{"transid", "activationId", "isSystemError", "instance"}]
    container = next(c for name, c in invoker.containers().items() if f"_{ns}_" in name)
    assert docker.inspect(container["Id"])["HostConfig"]["LogConfig"]["Type"] == "none"


def test_an_unknown_log_store_is_refused_by_name(make_invoker):
    invoker = make_invoker({PROVIDER: "org.example.MyLogStoreProvider"}).spawn()
    assert invoker.wait_exit() == 1
    assert 'whisk.spi.LogStoreProvider: "MyLogStoreProvider" is not known; accepted: DockerToActivation, ' in invoker.log()


# ---- the invoker's own log ----

def test_a_log_that_nobody_reads_stops_nothing_and_losses_are_said(make_invoker, controller, ns):
    invoker = make_invoker({"LOGBACK_LOG_LEVEL": "DEBUG"})
    os.mkfifo(invoker.log_path)
    reader = os.open(invoker.log_path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        fcntl.fcntl(reader, 1031, 4096)  # F_SETPIPE_SZ
        invoker.log = invoker.tail = lambda *_: "(a pipe)"
        invoker.start(controller)
        action = controller.put(f"{ns}/{'l' * 200}", "nodejs:20", NODE_LOG)
        waiting = [controller.invoke(invoker, action) for _ in range(200)]  # more than is kept: their lines have long names
        assert all(a.response(40)["statusCode"] == 0 for a in waiting)
        text = b""

        def read_on():
            nonlocal text
            try:
                text += os.read(reader, 1 << 16)
            except BlockingIOError:
                pass
            return re.search(rb"\[WARN\] \[#tid_sid_unknown\] \[Log\] \d+ log lines were lost: they could not be written\n", text)
        wait_until(read_on, timeout=20, what=lambda: text[-2000:])  # the next ping makes a turn
    finally:
        os.close(reader)
