"""Every name of OpenWhisk's invoker metrics (openwhisk invoker.md 6), as its Prometheus reporter prints them."""

import re

import pytest

from harness.code import NODE_ID
from harness.wait import wait_until


def timed(prefix, component):
    """Names of a timed operation; prefix: what comes before _start."""
    return [f"counter_{component}_{prefix}_start_total", f"counter_{component}_{prefix}_error_total",
            *(f"histogram_{component}_{prefix}_{end}_seconds_{part}" for end in ("finish", "error")
              for part in ("bucket", "sum", "count"))]


POOL = [f"gauge_containerPool_{what}Count_counter" for what in ("active", "prewarm", "idles", "runBuffer")] + \
       [f"gauge_containerPool_{what}Size_counter_bytes" for what in ("active", "prewarm", "idles", "runBuffer")] + \
       ["counter_containerPool_rescheduledActivation_counter_total"]
COMMON = [*POOL, "counter_invoker_activation_start_total",
          *(name for what in ("activationInit", "activationRun", "collectLogs") for name in timed(what, "invoker")),
          *(name for what in ("getDocument", "getDocumentAttachment", "saveDocumentBulk", "queryView")
            for name in timed(what, "database")),
          "counter_database_cacheHit_counter_total", "counter_database_cacheMiss_counter_total",
          "histogram_database_batchSize_counter_bucket"]
STATES = ("warmed", "warming", "warmingCold", "prewarmed", "cold", "recreated", "recreatedPrewarm")
COMMANDS = ("run", "rm", "pull", "ps", "inspect", "pause", "unpause", "version")
STEPS = ("queue", "fetch", "placement", "create", "init", "run", "logs", "ack", "store")


@pytest.fixture(params=[False, True], ids=["plain", "tagged"])
def tagged(request):
    return request.param


def samples(invoker):
    """→ {name{labels}: value}"""
    found = re.findall(r"^([a-zA-Z_:][\w:]*(?:\{.*\})?) (\S+)$", invoker.http("/metrics").text, re.M)
    return {name: float(value) for name, value in found}


def bad_names(text):
    """Of ours: those that Prometheus' own checks (promtool check metrics) would name."""
    for name, kind in re.findall(r"^# TYPE (cwhisk_\S+) (\S+)$", text, re.M):
        if (kind == "counter") != name.endswith("_total") or re.search(r"_(bucket|sum|count)$|[A-Z]|_(milli|micro|nano)seconds|_(k|m)?bits?_", name):
            yield f"{name} ({kind})"
        if f"# HELP {name} " not in text:
            yield f"{name} (no HELP)"


def test_our_own_names_follow_prometheus_rules(invoker):
    assert list(bad_names("# TYPE cwhisk_x_count gauge\n# TYPE cwhisk_y counter\n# HELP cwhisk_y Y.\n")) == [
        "cwhisk_x_count (gauge)", "cwhisk_x_count (no HELP)", "cwhisk_y (counter)"]
    text = invoker.http("/metrics").text
    assert text.count("# TYPE cwhisk_") > 50 and list(bad_names(text)) == []


def test_metrics_have_the_names_that_dashboards_know(make_invoker, controller, ns, tagged):
    invoker = make_invoker({"METRICS_KAMON_TAGS": str(tagged).lower()}).start(controller)
    action = controller.put(f"{ns}/package/measured", "nodejs:20", NODE_ID)
    for _ in range(2):
        controller.invoke(invoker, action).finished()
    samples(invoker)  # a request over HTTP
    shown = wait_until(lambda: s if (s := samples(invoker)).get('cwhisk_activation_step_seconds_count{step="store"}') == 2 else None,
                       what="both records are counted")
    names = {name.split("{")[0] for name in shown}
    assert [name for name in COMMON if name not in names] == []
    for step in STEPS:
        count = shown[f'cwhisk_activation_step_seconds_count{{step="{step}"}}']
        assert count == (1 if step in ("create", "init") else 2), step
    assert shown["cwhisk_activation_overhead_seconds_count"] == 1  # the warm one
    assert shown["gauge_containerPool_idlesCount_counter"] == 1
    assert shown["gauge_containerPool_idlesSize_counter_bytes"] == 256 << 20
    if tagged:
        for state in ("cold", "warmed"):
            labels = f'containerState="{state}",initiator="{ns}",namespace="{ns}/package",action="measured"'
            assert shown[f"counter_invoker_containerStart_counter_total{{{labels}}}"] == 1
        assert shown['counter_invoker_docker_start_total{cmd="run"}'] == 1
        assert shown['histogram_invoker_docker_finish_seconds_count{cmd="run"}'] == 1
        assert f'gauge_kafka_topic_counter{{topic="{invoker.topic}"}}' in shown
        assert shown[f'histogram_kafka_topic_start_seconds_count{{topic="{invoker.topic}"}}'] == 2
        assert 'counter_invoker_containerHealthFailed_counter_total{containerState="prewarm"}' in shown
        assert shown['counter_http_get_counter_total{statusCode="200"}'] >= 1
    else:
        assert {state: shown[f"counter_invoker_containerStart_{state}_counter_total"] for state in STATES} == \
            {state: 1 if state in ("cold", "warmed") else 0 for state in STATES}
        assert [name for cmd in COMMANDS for name in timed(f"docker_{cmd}", "invoker") if name not in names] == []
        assert shown["histogram_invoker_docker_run_finish_seconds_count"] == 1
        assert f"gauge_kafka_{invoker.topic}_counter" in shown
        assert shown[f"histogram_kafka_{invoker.topic}_delay_start_seconds_count"] == 2
        assert "counter_invoker_containerHealthFailed_warm_counter_total" in shown
        assert shown["counter_http_get_200_counter_total"] >= 1


@pytest.mark.parametrize("markers", [True, False])
def test_start_of_a_container_is_logged_in_the_words_that_people_search_for(make_invoker, controller, ns, markers):
    invoker = make_invoker({"METRICS_LOG": str(markers).lower()}).start(controller)
    activation = controller.invoke(invoker, controller.put(f"{ns}/logged", "nodejs:20", NODE_ID))
    activation.finished()
    line = f"[ContainerPool] containerStart containerState: cold container: None activations: 1 of max 1 action: logged " \
           f"namespace: {ns} activationId: {activation.id}"
    [rest] = re.findall(re.escape(line) + r"(.*)$", invoker.log(), re.M)
    assert re.fullmatch(r" \[marker:invoker_containerStart\.cold_counter:\d+\]" if markers else "", rest)
