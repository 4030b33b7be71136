"""Start-up, pings, the HTTP interface, and the health action that marks an invoker as up."""

import re
import secrets
import time
from pathlib import Path

import requests

from harness.code import NODE_ECHO, NODE_ID
from harness.controller import RETENTION
from harness.wait import wait_until

ADMIN = ("invoker.user", "invoker.pass")


def test_topic_is_created_with_stock_settings(make_invoker, controller, kafka):
    invoker = make_invoker().start(controller)
    config = kafka.config(invoker.topic)
    assert {k: config[k] for k in ("retention.ms", "retention.bytes", "segment.bytes", "max.message.bytes")} == {
        "retention.ms": "172800000", "retention.bytes": "1073741824", "segment.bytes": "536870912", "max.message.bytes": "1054644"}
    assert len(kafka.topics()[invoker.topic].partitions) == 1


def test_existing_topic_keeps_its_settings(make_invoker, controller, kafka):
    invoker = make_invoker()
    kafka.create(invoker.topic, retention_ms=7200000)
    invoker.start(controller)
    assert kafka.config(invoker.topic)["retention.ms"] == "7200000"


def test_ping_has_exactly_the_keys_of_stock(make_invoker, controller):
    invoker = make_invoker().start(controller)
    assert controller.pings(invoker)[0].json == {
        "name": {"instance": invoker.number, "userMemory": "2147483648 B", "instanceType": "invoker", "tags": [],
                 "dedicatedNamespaces": [], "uniqueName": invoker.unique},
        "isEnabled": True}
    assert controller.pings(invoker)[0].key is None


def test_libraries_that_nobody_needs_are_not_loaded(make_invoker, controller):
    invoker = make_invoker().start(controller)
    maps = Path(f"/proc/{invoker.process.pid}/maps").read_text()
    assert "librdkafka" in maps
    assert not re.search(r"/sasl2/|libdb-|libevent-2", maps)


def test_ping_tells_displayed_name_tags_and_dedicated_namespaces(make_invoker, controller):
    invoker = make_invoker({"CONFIG_whisk_invoker_resource_tags": "gpu, ssd", "CONFIG_whisk_invoker_dedicated_namespaces": "' '",
                            "CONFIG_whisk_containerPool_userMemory": "1 g"})
    invoker.args += ["--displayedName", "node-7"]
    name = controller.pings(invoker.start(controller))[0].json["name"]
    assert name["displayedName"] == "node-7" and name["userMemory"] == "1073741824 B"
    assert name["tags"] == ["gpu", "ssd"] and name["dedicatedNamespaces"] == []


def test_pings_come_each_second(make_invoker, controller):
    invoker = make_invoker().start(controller)
    times = [r.time_ms for r in controller.wait_ping(invoker, count=4)]
    gaps = [b - a for a, b in zip(times, times[1:])]
    assert 2500 <= times[-1] - times[0] <= 3800 and min(gaps) > 500, gaps


def test_health_action_is_answered_with_a_completion_that_echoes_the_transid(make_invoker, controller):
    invoker = make_invoker().start(controller)
    action = controller.install_health_action()
    transid = ["sid_invokerHealth", int(time.time() * 1000) - 5000]
    user = {"subject": "whisk.system", "namespace": {"name": "whisk.system", "uuid": "731bf8f2-69e2-4252-9bf8-f269e252528f"},
            "authkey": {"api_key": "731bf8f2-69e2-4252-9bf8-f269e252528f:" + "k" * 64}, "rights": [], "limits": {}}
    test = controller.invoke(invoker, action, revision=None, blocking=False, user=user, transid=transid)
    completion = test.completion()
    assert completion.json == {"transid": transid, "activationId": test.id, "isSystemError": False,
                               "instance": controller.pings(invoker)[0].json["name"]}
    assert test.record()["response"]["result"] == {}
    assert len(test.acks()) == 1


def test_work_that_waits_in_the_topic_runs_at_the_first_start(make_invoker, controller, kafka, ns):
    invoker = make_invoker()
    kafka.create(invoker.topic, **RETENTION, max_message_bytes=1054644)
    waiting = controller.invoke(invoker, controller.put(f"{ns}/early", "nodejs:20", NODE_ECHO), {"sent": "before"})
    invoker.start(controller)
    assert waiting.response()["result"] == {"sent": "before"}


def test_left_over_containers_of_this_invoker_are_removed_and_others_left_alone(make_invoker, controller, docker):
    invoker = make_invoker()
    mine = [f"{invoker.prefix}1_guest_hello", f"{invoker.prefix}22_prewarm_nodejs20"]
    others = [f"wsk{invoker.unique}{invoker.number}1_1_guest_hello", f"x{invoker.prefix}1_guest_hello"]
    for name in mine + others:
        docker.run("whisk/action-nodejs-v20:local", name)
    docker.pause(mine[0])
    try:
        invoker.start(controller)
        wait_until(lambda: not docker.containers(invoker.prefix), what="left-over containers are removed")
        for name in others:
            assert docker.inspect(name)["State"]["Running"]
    finally:
        for name in mine + others:
            docker.remove(name)


def test_ping_route_answers_pong(make_invoker, controller):
    response = make_invoker().start(controller).http("/ping")
    assert (response.status_code, response.text) == (200, "pong")
    assert response.headers["Content-Type"].startswith("text/plain") and response.headers["X-Request-ID"]


def test_request_id_of_the_caller_is_kept(make_invoker, controller):
    invoker = make_invoker().start(controller)
    response = requests.get(f"http://127.0.0.1:{invoker.port}/ping", headers={"X-Request-ID": "mine-123"}, timeout=10)
    assert response.headers["X-Request-ID"] == "mine-123"
    response = requests.get(f"http://127.0.0.1:{invoker.port}/other", headers={"X-Request-ID": "sid_invokerHealth"}, timeout=10)
    assert re.fullmatch("[A-Za-z0-9]{32}", response.headers["X-Request-ID"]) and response.json()["code"] == response.headers["X-Request-ID"]


def test_unknown_routes_and_missing_credentials_are_401_with_a_code(make_invoker, controller):
    invoker = make_invoker({"CONFIG_whisk_metrics_prometheusEnabled": "false"}).start(controller)
    for method, path, auth in (("GET", "/status", None), ("POST", "/disable", None), ("POST", "/disable", ("invoker.user", "wrong")),
                               ("GET", "/metrics", None)):
        response = invoker.http(path, method, auth)
        assert response.status_code == 401, path
        assert set(response.json()) == {"error", "code"} and response.headers["X-Request-ID"]
    assert invoker.http("/isEnabled", auth=ADMIN).json() == {"enabled": True}


def test_disable_sends_one_last_ping_and_enable_brings_them_back(make_invoker, controller, ns):
    invoker = make_invoker().start(controller)
    name = f"invoker{invoker.number}/{invoker.unique}"
    assert invoker.http("/disable", "POST", ADMIN).text == f"{name} is now disabled."
    wait_until(lambda: controller.pings(invoker)[-1].json["isEnabled"] is False, what="ping with isEnabled false")
    assert invoker.http("/disable", "POST", ADMIN).text == f"{name} is already disabled."
    assert invoker.http("/isEnabled", auth=ADMIN).json() == {"enabled": False}
    # It still works off its queue; that takes longer than a ping's period.
    action = controller.put(f"{ns}/slow", "nodejs:20", "const main = () => new Promise((r) => setTimeout(() => r({}), 1500));")
    assert controller.invoke(invoker, action).response()["statusCode"] == 0
    wait_until(lambda: not invoker.containers(), what=lambda: "what is idle goes:\n" + invoker.tail())
    assert [r.json["isEnabled"] for r in controller.pings(invoker)].count(False) == 1
    assert controller.pings(invoker)[-1].json["isEnabled"] is False
    assert invoker.http("/enable", "POST", ADMIN).text == f"{name} is now enabled."
    controller.wait_ping(invoker, lambda m: m["isEnabled"] is True)
    assert invoker.http("/enable", "POST", ADMIN).text == f"{name} is already enabled."
    controller.invoke(invoker, action).finished()
    assert len(invoker.containers()) == 1  # and stays again


def test_admin_credentials_are_configurable(make_invoker, controller):
    invoker = make_invoker({"CONFIG_whisk_invoker_username": "admin", "CONFIG_whisk_invoker_password": "geheim"}).start(controller)
    assert invoker.http("/isEnabled", auth=ADMIN).status_code == 401
    assert invoker.http("/isEnabled", auth=("admin", "geheim")).json() == {"enabled": True}


def test_metrics_have_stock_names(make_invoker, controller, ns):
    invoker = make_invoker({"METRICS_KAMON": "true", "CONFIG_whisk_metrics_prometheusEnabled": "true"}).start(controller)
    action = controller.put(f"{ns}/measured", "nodejs:20", NODE_ECHO)
    for _ in range(2):
        controller.invoke(invoker, action).finished()
    response = invoker.http("/metrics")
    assert response.status_code == 200 and response.headers["Content-Type"].startswith("text/plain")
    values = dict(re.findall(r"^([a-zA-Z_:][\w:]*)(?:\{[^}]*\})? ([\d.e+]+)$", response.text, re.M))
    assert float(values["counter_invoker_activation_start_total"]) == 2
    assert float(values["counter_invoker_containerStart_cold_counter_total"]) == 1
    assert float(values["counter_invoker_containerStart_warmed_counter_total"]) == 1
    assert float(values["histogram_invoker_activationRun_finish_seconds_count"]) == 2
    assert float(values["histogram_invoker_activationInit_finish_seconds_count"]) == 1


def test_log_lines_have_stock_form_and_keep_secrets(make_invoker, controller, ns):
    invoker = make_invoker().start(controller)
    action = controller.put(f"{ns}/logged", "nodejs:20", "function main() { return {secretCode: 1}; }",
                            annotations={"provide-api-key": True})
    activation = controller.invoke(invoker, action, {"password": "open sesame"})
    activation.finished()
    wait_until(lambda: f"[#tid_{activation.transid[0]}]" in invoker.log(), what="a log line of the transaction")
    form = re.compile(r"^\[\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\] \[(ERROR|WARN|INFO|DEBUG)\] \[#tid_\S+\] (\[#tid_\S+\] )?\[\S+\] .+$")
    bad = [line for line in invoker.log().splitlines() if not form.match(line)]
    assert bad == []
    assert re.search(rf"\[#tid_{activation.transid[0]}\].*\[marker:invoker_activationRun_finish:\d+:\d+\]", invoker.log())
    for secret in ("secretCode", "open sesame", "k64", invoker.env["CONFIG_whisk_couchdb_password"],
                   "123zO3xZCLrMN6v2BKK1dXYFpXlPkccOFqm12CdAsMgRU4VrNZ9lyGVCGuMDGIwP"):
        assert secret not in invoker.log()


def refuses(invoker, *words):
    assert invoker.spawn().wait_exit(20) not in (0, -6, -11)
    for word in words:
        assert word in invoker.log()


def test_missing_kafka_hosts_ends_the_start(make_invoker):
    refuses(make_invoker({"KAFKA_HOSTS": None}), "KAFKA_HOSTS")


def test_missing_id_ends_the_start(make_invoker):
    invoker = make_invoker(args=[])
    refuses(invoker, "id")
    assert invoker.process.returncode == 1


def test_unknown_option_ends_the_start(make_invoker):
    refuses(make_invoker(args=["--id", "0", "--frobnicate", "1"]), "frobnicate")


def test_broken_manifest_ends_the_start(make_invoker):
    refuses(make_invoker({"RUNTIMES_MANIFEST": '{"runtimes":{"nodejs":[{"kind":"nodejs:20"}]}}'}), "RUNTIMES_MANIFEST")


def test_value_out_of_range_ends_the_start_and_names_the_setting(make_invoker):
    refuses(make_invoker({"CONFIG_whisk_containerPool_userMemory": "lots"}), "whisk.container-pool.user-memory", "lots")


def test_unreachable_docker_engine_ends_the_start(make_invoker, tmp_path):
    refuses(make_invoker({"CWHISK_DOCKER_SOCKET": str(tmp_path / "none.sock")}), "none.sock")


def test_d_words_in_invoker_opts_are_configuration(make_invoker, controller):
    invoker = make_invoker({"CONFIG_whisk_containerPool_userMemory": None,
                            "INVOKER_OPTS": "-Xmx512m -Dwhisk.container-pool.user-memory=1536m"}).start(controller)
    assert controller.pings(invoker)[0].json["name"]["userMemory"] == "1610612736 B"


def test_restart_does_not_run_anything_again_and_takes_what_came_meanwhile(make_invoker, controller, ns):
    unique = f"r{secrets.token_hex(3)}"
    first = make_invoker(unique=unique).start(controller)
    action = controller.put(f"{ns}/once", "nodejs:20", NODE_ID)
    before = controller.invoke(first, action)
    before.finished()
    assert first.terminate() == 0
    meanwhile = controller.invoke(first, action)
    make_invoker(unique=unique, number=first.number).start(controller)
    meanwhile.finished(40)
    assert len([a for a in before.acks() if "instance" in a.json]) == 1
