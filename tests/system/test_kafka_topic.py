"""The invoker's topic is deleted under it."""

from harness.code import NODE_ECHO
from harness.wait import wait_until


def test_deleted_topic_is_made_again_and_work_goes_on(make_invoker, controller, kafka, ns):
    invoker = make_invoker().start(controller)
    echo = controller.put(f"{ns}/echo", "nodejs:20", NODE_ECHO)
    controller.invoke(invoker, echo, {"n": 1}).finished()
    made_as = kafka.config(invoker.topic)
    kafka.delete(invoker.topic)
    wait_until(lambda: f"topic {invoker.topic} is no longer ours" in invoker.log(), timeout=30, what="the loss is noticed")
    wait_until(lambda: invoker.topic in kafka.topics(), timeout=40, what="it is there again")
    assert kafka.config(invoker.topic) == made_as
    activation = controller.invoke(invoker, echo, {"n": 2})
    assert activation.response()["result"] == {"n": 2}
    activation.finished()
    assert invoker.log().count("Unknown topic or partition") < 10
