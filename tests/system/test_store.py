"""The document store: blocked namespaces, encrypted parameters, and a store that goes away."""

import secrets
import time

import pytest

from harness.code import NODE_ECHO, NODE_ENV, NODE_ID
from harness.couch import Couch
from harness.faults import FaultProxy
from harness.wait import wait_until

# {"secret": "s3cret \u00fc", "port": 5432} as a controller would have encrypted it: AES-GCM, made with another implementation.
AES_256_KEY = "5mboNxwK0Sk1yAIpmfKoLAen67zgmEzD5hGFIwc6H10="
AES_256 = {"secret": "AAAAgN1z+sw9cjVgn4cV/NgyiO849SkIwnz+U4896SG6tf0wWSPJ8LXIl1LryaUrCR5CvdwY6vQa255Mj2+UkiDyhQXcInQoQTZqN74nbhhz2VE8CYvn7EKF4+HkxND9ZWrUiq+WyxDvTWleYn6dGvz4TRoK/bJD3hlqs3lIUEeT7ZskEd7+9VrmLbLvGfDBeUDOhQLQgkhVCtuVDcHP",
           "port": "AAAAgMsH67I14aoSiSgT2S51v8TqHHopClVpwXFiJgJm5Jb7l04ZppkrMy2x6gIxyhnt2fMsf+jnGEANOot4g1Cpdtcf3XAfECcizrdp60nEwQ2iTKDcYuap4SAiBSk2N11MXO7q+jrcUe9TTXh5famxul2VibNdq+U4ETV77GKcM1pWE5c/Vie+rle1zsyP+R99PWyJ76g="}
AES_128_KEY = "oxmKH4gQLs+h4BZaiQRElg=="
AES_128 = {"secret": "AAAADFY5ZgLSm2eCVN46hmmEBU04yBfKl7PVs6dfXuaZdnde1azgFuoc6Q==",
           "port": "AAAADLzhWDFkdK27LGSIkkWcLBc/V8b8xIQxuTrSLzAJ+bkp"}


@pytest.fixture
def cuttable(couch):
    """A store whose line can be cut."""
    relay = FaultProxy((couch.host, couch.port))
    yield relay, Couch(f"http://{couch.username}:{couch.password}@127.0.0.1:{relay.port}")
    relay.close()


def test_blocked_namespaces_are_refused_without_a_record(make_invoker, controller, couch):
    blocked = f"blocked{secrets.token_hex(4)}"
    limited = f"limited{secrets.token_hex(4)}"
    couch.put(couch.subjects, {"_id": f"{blocked}-subject", "subject": f"{blocked}-subject", "blocked": True,
                               "namespaces": [{"name": blocked, "uuid": "u", "key": "k" * 64}]})
    couch.put(couch.subjects, {"_id": f"{limited}/limits", "concurrentInvocations": 0})
    # The invoker asks with stale=update_after: the view has to know by then.
    rows = couch.session.get(f"{couch.base}/{couch.subjects}/_design/namespaceThrottlings/_view/blockedNamespaces?reduce=false").json()["rows"]
    assert {blocked, limited} <= {row["key"] for row in rows}
    invoker = make_invoker().start(controller)
    for namespace in (blocked, limited):
        activation = controller.invoke(invoker, controller.put(f"{namespace}/a", "nodejs:20", NODE_ECHO))
        ack = activation.completion()
        assert ack.json == {"transid": activation.transid, "response": activation.id, "isSystemError": False,
                            "instance": controller.pings(invoker)[0].json["name"]}
    free = controller.invoke(invoker, controller.put(f"free{secrets.token_hex(4)}/a", "nodejs:20", NODE_ECHO))
    free.finished()
    assert controller.couch.record(blocked, activation.id) is None and len(activation.acks()) == 1


def test_blacklist_is_read_again(make_invoker, controller, couch):
    namespace = f"later{secrets.token_hex(4)}"
    invoker = make_invoker({"CONFIG_whisk_blacklist_pollInterval": "300 ms"}).start(controller)
    action = controller.put(f"{namespace}/a", "nodejs:20", NODE_ECHO)
    assert controller.invoke(invoker, action).response()["statusCode"] == 0
    couch.put(couch.subjects, {"_id": f"{namespace}/limits", "invocationsPerMinute": 0})
    wait_until(lambda: controller.invoke(invoker, action).result().json["response"].__class__ is str, what="the namespace is blocked")
    couch.delete(couch.subjects, f"{namespace}/limits")
    wait_until(lambda: controller.invoke(invoker, action).result().json["response"].__class__ is dict, what="the namespace is free again")


@pytest.mark.parametrize("scheme, key, values", [("aes-256", AES_256_KEY, AES_256), ("aes-128", AES_128_KEY, AES_128)],
                         ids=["aes-256", "aes-128"])
def test_locked_arguments_are_decrypted(make_invoker, controller, ns, scheme, key, values):
    invoker = make_invoker({"INVOKER_OPTS": f"-Dwhisk.parameter-storage.current={scheme} -Dwhisk.parameter-storage.{scheme}={key}"}).start(controller)
    action = controller.put(f"{ns}/locked", "nodejs:20", NODE_ENV)
    content = {**values, "open": "as it is", "number": 7, "odd": "bm90IGVuY3J5cHRlZA=="}
    locked = {"secret": scheme, "port": scheme, "number": scheme, "odd": "rot-13"}
    result = controller.invoke(invoker, action, content, lockedArgs=locked, initArgs=["port"]).response()["result"]
    assert result["args"] == {"secret": "s3cret ü", "open": "as it is", "number": 7, "odd": "bm90IGVuY3J5cHRlZA=="}
    assert result["init"]["port"] == "5432"
    assert key not in invoker.log() and "s3cret" not in invoker.log()


def test_argument_that_cannot_be_decrypted_is_answered_and_does_not_count_against_health(make_invoker, controller, ns):
    invoker = make_invoker({"INVOKER_OPTS": f"-Dwhisk.parameter-storage.aes-128={AES_128_KEY}"}).start(controller)
    action = controller.put(f"{ns}/locked", "nodejs:20", NODE_ENV)
    changed = "B" + AES_128["secret"][1:]
    activation = controller.invoke(invoker, action, {"secret": changed}, lockedArgs={"secret": "aes-128"})
    response = activation.response()
    assert (response["statusCode"], response["result"]) == (3, {"error": "Action parameters could not be decrypted."})
    assert activation.completion().json["isSystemError"] is False
    assert activation.finished()["response"]["statusCode"] == 3 and len(activation.acks()) == 1
    assert changed not in invoker.log() and AES_128_KEY not in invoker.log()


def test_key_that_is_none_ends_the_start(make_invoker):
    invoker = make_invoker({"INVOKER_OPTS": "-Dwhisk.parameter-storage.aes-256=c2hvcnQ="}).spawn()
    assert invoker.wait_exit() == 1
    assert "whisk.parameter-storage: aes-256: the key is not base64 of 16, 24 or 32 bytes" in invoker.log()
    assert "c2hvcnQ=" not in invoker.log()


def test_provider_that_is_unknown_ends_the_start(make_invoker):
    invoker = make_invoker({"CONFIG_whisk_couchdb_provider": "PostgreSQL"}).spawn()
    assert invoker.wait_exit() == 1
    assert 'whisk.couchdb.provider: "PostgreSQL" is not known; accepted: CouchDB, Cloudant' in invoker.log()


def test_stale_work_is_answered_when_the_operator_says_so(make_invoker, controller, ns):
    invoker = make_invoker({"CWHISK_STALE_WORK": "answer"}).start(controller)
    action = controller.put(f"{ns}/late", "nodejs:20", NODE_ECHO)
    old = [secrets.token_hex(16), int(time.time() * 1000) - 4 * 60 * 1000]  # given up after 3 minutes
    activation = controller.invoke(invoker, action, transid=old)
    response = activation.response()
    assert (response["statusCode"], response["result"]) == (
        3, {"error": "The action was not invoked because its activation had expired."})
    assert activation.completion().json["isSystemError"] is False
    assert activation.finished()["annotations"] and not invoker.containers()
    assert "cwhisk_activation_stale_total 1" in invoker.http("/metrics").text
    assert controller.invoke(invoker, action, {"n": 1}).response()["result"] == {"n": 1}


def test_stale_work_runs_by_default(invoker, controller, ns):
    action = controller.put(f"{ns}/late", "nodejs:20", NODE_ECHO)
    old = [secrets.token_hex(16), int(time.time() * 1000) - 4 * 60 * 1000]
    assert controller.invoke(invoker, action, {"n": 1}, transid=old).response()["result"] == {"n": 1}


def test_refused_login_is_told_and_shown_by_ready(make_invoker, controller, couch):
    wrong = Couch(f"http://{couch.username}:not-the-password@{couch.host}:{couch.port}")
    invoker = make_invoker(store=wrong).start(controller)
    said = f"database {couch.whisks} cannot be used by user {couch.username}: "
    wait_until(lambda: said in invoker.log(), what="the refusal is logged")
    assert any("[ERROR]" in line and "401" in line for line in invoker.log().splitlines() if said in line)
    answer = invoker.http("/ready")
    assert (answer.status_code, answer.text) == (503, f"not ready: database {couch.whisks} has not answered")
    assert invoker.http("/live").status_code == 200 and "not-the-password" not in invoker.log()


def test_databases_that_answer_make_it_ready(invoker):
    wait_until(lambda: invoker.http("/ready").status_code == 200, what="ready")


def test_unreachable_store_is_a_whisk_error_for_an_unknown_action(make_invoker, controller, cuttable, ns):
    relay, store = cuttable
    invoker = make_invoker(store=store).start(controller)
    action = controller.put(f"{ns}/far", "nodejs:20", NODE_ECHO)
    relay.cut()
    activation = controller.invoke(invoker, action)
    response = activation.response(60)
    assert (response["statusCode"], response["result"]) == (3, {"error": "Action could not be fetched."})
    assert activation.completion().json["isSystemError"] is True
    relay.mend()
    later = controller.invoke(invoker, action, {"n": 1})
    assert later.response()["result"] == {"n": 1}
    for each in (activation, later):
        each.finished()


def test_a_silent_store_does_not_keep_who_asks_for_a_profile(make_invoker, controller, cuttable, ns):
    relay, store = cuttable
    invoker = make_invoker(store=store).start(controller)
    action = controller.put(f"{ns}/asked", "nodejs:20", NODE_ID)
    relay.stall()
    answer = invoker.http(f"/profile?action={action.path}", auth=("invoker.user", "invoker.pass"))
    assert answer.status_code == 404 and "has not answered within 3 s" in answer.json()["error"]
    relay.stall(False)
    assert invoker.http(f"/profile?action={action.path}", auth=("invoker.user", "invoker.pass")).status_code == 200


def test_known_actions_run_without_the_store_and_their_records_come_later(make_invoker, controller, cuttable, ns):
    relay, store = cuttable
    invoker = make_invoker(store=store).start(controller)
    action = controller.put(f"{ns}/known", "nodejs:20", NODE_ID)
    controller.invoke(invoker, action).finished()
    relay.cut()
    sent = []
    for n in range(3):
        sent.append(controller.invoke(invoker, action, {"n": n}))
        assert sent[-1].response()["statusCode"] == 0
        sent[-1].completion()
    relay.mend()
    for n, activation in enumerate(sent):
        assert activation.record(30)["response"]["result"]["args"] == {"n": n}
    assert len({a.record()["response"]["result"]["id"] for a in sent}) == 1


def test_record_of_an_activation_that_is_there_already_does_not_stop_others(invoker, controller, ns):
    action = controller.put(f"{ns}/twice", "nodejs:20", NODE_ID)
    message = controller.message(action, {"n": 1})
    first = controller.send(invoker, message)
    first.finished()
    controller.send(invoker, message)
    controller.reader.wait(controller.completed, lambda r: first.concerns(r) and "instance" in r.json, count=2, what="both completions")
    assert controller.invoke(invoker, action, {"n": 2}).finished()["response"]["result"]["args"] == {"n": 2}
    assert controller.couch.record(ns, first.id)["response"]["result"]["runs"] == 1
