"""Several invokers, one Redis: work goes where there is room for it, and is answered in the name of the one that was asked."""

import signal

import pytest

from harness.code import NODE_ECHO, NODE_SLEEP
from harness.wait import wait_until

CREDENTIALS = ("invoker.user", "invoker.pass")
SMALL = {"CONFIG_whisk_containerPool_userMemory": "512 m"}  # two containers of 256 MB


@pytest.fixture
def trio(make_invoker, controller, redis, tmp_path):
    """Three invokers of a cluster of their own, which see each other."""
    def start(**more):
        invokers = [make_invoker({**SMALL, "CWHISK_REDIS_HOSTS": redis.hosts, "CWHISK_CLUSTER": controller.name,
                                  "CWHISK_DATA_DIR": str(tmp_path / f"data{n}"), **more}) for n in range(3)]
        for invoker in invokers:
            invoker.start(controller)
        for invoker in invokers:
            wait_until(lambda invoker=invoker: alive(invoker) == 3, 20, f"{invoker.topic} to see the others")
        return invokers
    return start


def alive(invoker):
    return sum(host["state"] == "up" for host in invoker.http("/hosts", auth=CREDENTIALS).json()["hosts"])


def metric(invoker, name):
    lines = [line for line in invoker.http("/metrics").text.splitlines() if line.startswith(name)]
    return sum(float(line.rpartition(" ")[2]) for line in lines)


def origin_of(activation):
    return activation.completion(40).json["instance"]["instance"]


def test_what_has_no_room_here_runs_elsewhere_in_the_origins_name(trio, controller, ns):
    invokers = trio()
    first = invokers[0]
    action = controller.put(f"{ns}/sleep", "nodejs:20", NODE_SLEEP)
    activations = [controller.invoke(first, action, {"ms": 3000, "n": n}) for n in range(6)]
    for n, activation in enumerate(activations):
        assert activation.response(40)["result"]["args"] == {"ms": 3000, "n": n}
        assert origin_of(activation) == first.number
        assert activation.record()["response"]["statusCode"] == 0
    assert metric(first, "cwhisk_forwarded_total") >= 2
    assert metric(first, 'cwhisk_placement_decisions_total{answer="placed"}') >= metric(first, "cwhisk_forwarded_total")
    wait_until(lambda: metric(first, "cwhisk_forwarded_activations") == 0, 20, "reports of what was forwarded")
    assert sum(metric(i, "cwhisk_guests_total") for i in invokers[1:]) == metric(first, "cwhisk_forwarded_total")


def test_a_warm_container_here_is_used_before_a_cold_one_elsewhere(trio, controller, ns):
    first = trio()[0]
    action = controller.put(f"{ns}/warm", "nodejs:20", NODE_ECHO)
    for n in range(5):
        controller.invoke(first, action, {"n": n}).finished(40)
    assert metric(first, "cwhisk_forwarded_total") == 0


def test_what_a_killed_peer_had_is_answered(trio, controller, ns):
    invokers = trio()
    first = invokers[0]
    action = controller.put(f"{ns}/sleep", "nodejs:20", NODE_SLEEP)
    activations = [controller.invoke(first, action, {"ms": 8000, "n": n}) for n in range(6)]
    wait_until(lambda: sum(metric(i, "cwhisk_guests_total") for i in invokers[1:]) >= 4, 30, "guests")
    victim = max(invokers[1:], key=lambda i: metric(i, "cwhisk_guests_total"))
    victim.kill()
    codes = []
    for activation in activations:
        codes.append(activation.response(60)["statusCode"])
        assert origin_of(activation) == first.number
        activation.record()
    assert sorted(set(codes)) == [0, 3], codes  # those of the victim were interrupted, all others ran
    wait_until(lambda: metric(first, "cwhisk_forwarded_activations") == 0, 20, "nothing away")


def forward_some(invokers, controller, ns, ms, guests=4):
    """Two run at the first one, the others are away; -> all of them, and how many are."""
    first = invokers[0]
    action = controller.put(f"{ns}/sleep", "nodejs:20", NODE_SLEEP)
    activations = [controller.invoke(first, action, {"ms": ms, "n": n}) for n in range(6)]
    wait_until(lambda: metric(first, "cwhisk_forwarded_total") >= guests, 30, "something forwarded")
    return activations, int(metric(first, "cwhisk_forwarded_total"))


def codes_of(activations):
    return [activation.response(90)["statusCode"] for activation in activations]


def test_what_is_away_when_its_origin_is_killed_ends_or_comes_back(trio, controller, ns):
    invokers = trio()
    first, frozen = invokers[0], invokers[1]
    frozen.process.send_signal(signal.SIGSTOP)  # what it is sent it has not read when it ends
    activations, away = forward_some(invokers, controller, ns, 6000)
    first.kill()
    frozen.kill()
    frozen.start(controller)  # another process: gives back what was for the one before
    first.start(controller)
    codes = codes_of(activations)
    assert codes.count(0) >= away, (codes, first.tail())
    assert set(codes) <= {0, 3}
    for activation in activations:
        assert origin_of(activation) == first.number
        activation.record()
    wait_until(lambda: metric(first, "cwhisk_forwarded_activations") == 0, 20, "nothing away")
    assert metric(first, 'cwhisk_forwarded_ends_total{how="returned"}') >= 1
    assert metric(first, 'cwhisk_forwarded_ends_total{how="lost"}') == 0


def test_what_is_away_when_origin_and_peers_are_killed_is_answered(trio, controller, ns):
    invokers = trio()
    activations, away = forward_some(invokers, controller, ns, 8000)
    for invoker in invokers:
        invoker.kill()
    invokers[0].start(controller)
    codes = codes_of(activations)  # what had not started at the origin runs
    assert codes.count(3) >= away and set(codes) <= {0, 3}, codes
    assert metric(invokers[0], 'cwhisk_forwarded_ends_total{how="lost"}') >= away


def test_reports_to_an_origin_without_its_journal_are_no_matter(trio, controller, ns):
    invokers = trio()
    first = invokers[0]
    activations, away = forward_some(invokers, controller, ns, 3000)
    first.kill()
    del first.env["CWHISK_DATA_DIR"]
    first.start(controller)
    # Those who run it answer; what it ran itself is lost, as without a data directory it always is.
    wait_until(lambda: sum(bool(a.acks()) for a in activations) >= away, 60, "the peers' acks")
    action = controller.put(f"{ns}/echo", "nodejs:20", NODE_ECHO)
    assert controller.invoke(first, action, {"n": 1}).response(40)["statusCode"] == 0
    assert metric(first, "cwhisk_guests_unreadable_total") == 0


def test_a_peer_that_stops_gives_back_what_it_has_not_started(trio, controller, ns):
    invokers = trio()
    first = invokers[0]
    action = controller.put(f"{ns}/sleep", "nodejs:20", NODE_SLEEP)
    activations = [controller.invoke(first, action, {"ms": 4000, "n": n}) for n in range(10)]
    wait_until(lambda: sum(metric(i, "cwhisk_guests_total") for i in invokers[1:]) >= 4, 30, "guests")
    assert invokers[1].terminate() == 0
    for activation in activations:
        assert activation.response(90)["statusCode"] == 0
        assert origin_of(activation) == first.number


def test_without_redis_each_works_for_itself_and_afterwards_together_again(trio, controller, ns, redis):
    invokers = trio()
    first = invokers[0]
    action = controller.put(f"{ns}/sleep", "nodejs:20", NODE_SLEEP)
    away = [controller.invoke(first, action, {"ms": 4000, "n": n}) for n in range(4)]
    wait_until(lambda: metric(first, "cwhisk_forwarded_total") >= 2, 30, "something forwarded")
    with redis.down():
        wait_until(lambda: alive(first) == 1, 20, "one host")
        for activation in away:  # Redis is not needed for their end
            assert activation.response(40)["statusCode"] == 0
        alone = controller.invoke(first, action, {"ms": 1})
        assert alone.response(40)["statusCode"] == 0
    wait_until(lambda: alive(first) == 3, 30, "three hosts")
    forwarded = metric(first, "cwhisk_forwarded_total")
    for activation in [controller.invoke(first, action, {"ms": 3000, "n": n}) for n in range(6)]:
        assert activation.response(60)["statusCode"] == 0
    assert metric(first, "cwhisk_forwarded_total") > forwarded
