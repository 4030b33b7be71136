"""Three hosts, each with a net, an engine, limits and an invoker of its own; one Kafka, one Redis, one CouchDB. What is
forwarded, who answers for it, and what becomes of it when a host is lost, is cut off, or has another time."""

import pytest

from conftest import INVOKERS, NUMBERS
from harness.cluster import CODE, PATIENCE, Cluster
from harness.wait import wait_until

LIMITS = [(1, 700), (0.75, 640), (1.5, 500)]  # cores, MB; the last has less than its invoker promises
SLOTS = 2  # containers of 256 MB each


def metric(invoker, name):
    lines = [line for line in invoker.http("/metrics").text.splitlines() if line.startswith(name)]
    return sum(float(line.rpartition(" ")[2]) for line in lines)


@pytest.fixture(scope="module")
def built(request, cwhisk, docker, controller, tmp_path_factory):
    settings = {"CONFIG_whisk_containerPool_userMemory": f"{256 * SLOTS} m"}
    with Cluster(tmp_path_factory.mktemp("hosts"), LIMITS, controller, docker, NUMBERS, settings) as cluster:
        request.node.stash[INVOKERS] = cluster.invokers
        yield cluster


@pytest.fixture
def cluster(built, ns):
    """All hosts up and at rest, and an action that none of them knows."""
    built.whole()
    built.rest()
    built.action = built.controller.put(f"{ns}/work", "nodejs:20", CODE, limits={"memory": 256})
    return built


def test_an_action_goes_where_it_is_warm(cluster):
    [key] = sent = cluster.send(cluster.invokers[1], 1)
    cluster.account(sent, cluster.invokers[1])
    [(home, box, _)] = cluster.runs(key)
    origin = next(i for i in cluster.invokers if i.host.number != home)
    for _ in range(3):
        cluster.news(origin, cluster.invokers[home - 1])
        [key] = sent = cluster.send(origin, 1)
        cluster.account(sent, origin)
        assert [run[:2] for run in cluster.runs(key)] == [(home, box)]


def test_what_has_no_room_on_a_host_runs_on_the_others_in_its_name(cluster):
    origin = cluster.invokers[0]
    sent = cluster.send(origin, 3 * SLOTS, 1500)
    assert set(cluster.account(sent, origin).values()) == {0}
    assert set(cluster.where(sent)) == {1, 2, 3}
    for invoker in cluster.invokers:
        wait_until(lambda i=invoker: metric(i, "cwhisk_forwarded_activations") == 0, PATIENCE, f"reports to {invoker.topic}")


def test_each_host_tells_what_its_groups_let_it_use(cluster):
    first = cluster.invokers[0]
    cluster.account(cluster.send(first, 3 * SLOTS, 500), first)  # an engine's own group is seen with the first container
    expected = {i.number: (int(cores * 1000), min(memory, 256 * SLOTS) << 20) for i, (cores, memory) in zip(cluster.invokers, LIMITS)}

    def told():
        return {h["invoker"]: (h["cpuTotal"], h["memoryTotal"]) for h in cluster.hosts_of(first)} == expected
    wait_until(told, PATIENCE, lambda: f"{expected}, not {cluster.hosts_of(first)}", 0.1)


def assert_lost_where(cluster, codes, host):
    """What ran there, or had only arrived, was answered with an error; everything else has ended well."""
    for key, code in codes.items():
        where = cluster.where([key])
        assert code == (3 if where in ([], [host.number]) else 0), f"{key} on {where}: {code}"


def test_what_a_lost_host_had_is_answered_and_what_waited_for_it_runs_later(cluster):
    first, second, _ = cluster.invokers
    ours = cluster.send(first, 3 * SLOTS, 4000)
    wait_until(lambda: second.host.number in cluster.where(ours), PATIENCE, "work of the first on the second")
    its = cluster.send(second, 4)
    second.host.fail()
    second.process.wait()
    waiting = cluster.send(second, 3)
    codes = cluster.account(ours, first)
    assert_lost_where(cluster, codes, second.host)
    cluster.whole()
    assert set(cluster.account(its, second).values()) <= {0, 3}  # what had been started there is not repeated
    assert set(cluster.account(waiting, second).values()) == {0}


def test_a_host_that_is_cut_off_is_given_up_and_answers_for_its_own_when_it_is_back(cluster):
    first, _, third = cluster.invokers
    ours = cluster.send(first, 3 * SLOTS, 4000)
    wait_until(lambda: third.host.number in cluster.where(ours), PATIENCE, "work of the first on the third")
    its = cluster.send(third, 2)
    wait_until(lambda: committed(cluster, third), PATIENCE, "the third has taken its own")
    third.host.link("down")
    waiting = cluster.send(third, 2)
    codes = cluster.account(ours, first)
    assert_lost_where(cluster, codes, third.host)
    wait_until(lambda: cluster.alive(third) == 1, PATIENCE, "alone")
    third.host.link("up")
    assert third.process.poll() is None
    for own in (its, waiting):
        assert set(cluster.account(own, third, late=True).values()) == {0}
    cluster.whole()
    cluster.account(ours, first, late=True)


def committed(cluster, invoker):
    kafka = cluster.controller.kafka
    return kafka.committed(invoker.topic, invoker.topic) == kafka.end(invoker.topic)


def test_without_redis_each_host_works_for_itself_and_afterwards_together_again(cluster):
    first = cluster.invokers[0]
    away = cluster.send(first, 3 * SLOTS, 1500)
    wait_until(lambda: len(set(cluster.where(away))) == 3, PATIENCE, "work on all hosts")
    with cluster.redis.down():
        for invoker in cluster.invokers:
            wait_until(lambda i=invoker: cluster.alive(i) == 1, PATIENCE, "alone")
        assert set(cluster.account(away, first).values()) == {0}
        alone = cluster.send(first, SLOTS + 1)
        assert set(cluster.account(alone, first).values()) == {0} and set(cluster.where(alone)) == {1}
    cluster.whole()
    again = cluster.send(first, 3 * SLOTS, 1500)
    assert set(cluster.account(again, first).values()) == {0} and len(set(cluster.where(again))) == 3


@pytest.fixture
def skewed(cluster):
    """The second host's clock is two seconds ahead, the third's two behind."""
    clocks = list(zip(cluster.invokers[1:], (2, -2)))
    for invoker, seconds in clocks:
        cluster.set_clock(invoker.host, seconds)
    yield cluster
    for invoker, _ in clocks:
        cluster.set_clock(invoker.host, 0)


def test_clocks_that_are_two_seconds_off_change_nothing(skewed):
    for origin in skewed.invokers[1:]:
        sent = skewed.send(origin, 3 * SLOTS, 1500)
        assert set(skewed.account(sent, origin).values()) == {0}
        assert set(skewed.where(sent)) == {1, 2, 3}
    skewed.whole()
