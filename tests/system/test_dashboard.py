"""The Grafana dashboard asks for metrics that there are, each in the way that its type allows."""

import json
import re

from harness.code import NODE_ID
from harness.invoker import ROOT
from harness.wait import wait_until

BOARD = json.loads((ROOT / "deploy/grafana/cwhisk.json").read_text(encoding="utf-8"))
PROMETHEUS_OWN = {"up"}
INVOKER_ENV = {"CWHISK_METRICS_ACTIONS": "2"}
PARTS = re.compile(r"_(bucket|sum|count)$")


def asked():
    """{(name, whether as a rate)} of all expressions and variables."""
    exprs = [target["expr"] for panel in BOARD["panels"] for target in panel.get("targets", [])]
    named = {(m.group(2), bool(m.group(1))) for expr in exprs for m in re.finditer(r"(rate\()?\b([a-z_]+)(?=\{)", expr)}
    choices = [variable["definition"] for variable in BOARD["templating"]["list"] if "definition" in variable]
    return named | {(re.match(r"label_values\((\w+)", choice).group(1), False) for choice in choices}


def types(invoker):
    return dict(re.findall(r"^# TYPE (\S+) (\S+)$", invoker.http("/metrics").text, re.M))


def type_of(shown, name):
    base = PARTS.sub("", name)
    return "counter" if shown.get(base) == "histogram" and base != name else shown.get(name)


def test_every_metric_of_the_dashboard_is_there(make_invoker, controller, redis, ns):
    invoker = make_invoker({**INVOKER_ENV, "CWHISK_REDIS_HOSTS": redis.hosts}).start(controller)  # with Redis work can be forwarded
    for name, annotations in {"lowered": {}, "guaranteed": {"cwhisk.cpu-guarantee": 0.2}}.items():
        controller.invoke(invoker, controller.put(f"{ns}/{name}", "nodejs:20", NODE_ID, annotations=annotations)).finished(60)
    wanted = {(name, rated) for name, rated in asked() if name not in PROMETHEUS_OWN}
    assert len(wanted) > 50
    shown = wait_until(lambda: s if "cwhisk_resize_changes_total" in (s := types(invoker)) else None, 60, "a weight was written")
    assert sorted(name for name, _ in wanted if not type_of(shown, name)) == []
    assert sorted(name for name, rated in wanted if (type_of(shown, name) == "counter") != rated) == []


def samples(invoker, name):
    return {labels: float(value) for labels, value in re.findall(rf"^{name}\{{(.*)\}} (\S+)$", invoker.http("/metrics").text, re.M)}


def test_series_of_single_actions_are_those_of_the_largest(invoker, controller, ns):
    sizes = {"small": 128, "middle": 256, "large": 512}
    for name, memory in sizes.items():
        controller.invoke(invoker, controller.put(f"{ns}/{name}", "nodejs:20", NODE_ID, limits={"memory": memory})).finished(60)
    limits = samples(invoker, "cwhisk_action_memory_limit_bytes")
    assert len(limits) == 2 and limits[f'action="{ns}/large"'] == 512 << 20 and f'action="{ns}/small"' not in limits
    need = wait_until(lambda: n if (n := samples(invoker, "cwhisk_action_need_bytes")[f'action="{ns}/large"']) < 512 << 20 else None,
                     60, "the run is in the profile")
    assert need >= samples(invoker, "cwhisk_action_working_set_bytes")[f'action="{ns}/large"'] > 1 << 20
    states = samples(invoker, "cwhisk_containers_by_state")
    assert sum(states.values()) >= 3 and all(labels.startswith('kind="nodejs:20",state="') for labels in states)


def test_no_metric_names_an_action_unless_that_is_wanted(make_invoker, controller, ns):
    quiet = make_invoker().start(controller)
    controller.invoke(quiet, controller.put(f"{ns}/secret", "nodejs:20", NODE_ID)).finished(60)
    text = quiet.http("/metrics").text
    assert "cwhisk_container_need_bytes" in text and "cwhisk_action_" not in text and "secret" not in text
