"""Containers that misbehave over HTTP: what each kind of answer means."""

import pytest

from harness.code import NODE_ID, annotations

# The action bends the proxy's own HTTP answer, which lives in the same process.
BENT = r"""
const http = require('http');
const {writeHead, end} = http.ServerResponse.prototype;
const ways = {
  text: (r) => { writeHead.call(r, 200, {'Content-Length': 8}); end.call(r, 'not json'); },
  empty: (r) => { writeHead.call(r, 200, {'Content-Length': 0}); end.call(r); },
  string: (r) => { writeHead.call(r, 200, {'Content-Length': 3}); end.call(r, '"s"'); },
  number: (r) => { writeHead.call(r, 200, {'Content-Length': 1}); end.call(r, '7'); },
  nan: (r) => { writeHead.call(r, 200, {'Content-Length': 9}); end.call(r, '{"a":NaN}'); },
  chunked: (r) => { writeHead.call(r, 200, {'Transfer-Encoding': 'chunked'}); end.call(r, '{"fine":true}'); },
  nocontent: (r) => { writeHead.call(r, 204, {}); end.call(r); },
  drop: (r) => { r.socket.destroy(); },
  half: (r) => { writeHead.call(r, 200, {'Content-Length': 100}); r.write('{"a":'); setTimeout(() => r.socket.destroy(), 50); },
  error500: (r) => { writeHead.call(r, 500, {'Content-Length': 16}); end.call(r, '{"error":"five"}'); },
  array500: (r) => { writeHead.call(r, 500, {'Content-Length': 3}); end.call(r, '[1]'); },
  object500: (r) => { writeHead.call(r, 500, {'Content-Length': 7}); end.call(r, '{"a":1}'); },
  created: (r) => { writeHead.call(r, 201, {'Content-Length': 7}); end.call(r, '{"a":1}'); },
};
function main(args) {
  const once = {writeHead, end};
  http.ServerResponse.prototype.writeHead = function () { return this; };
  http.ServerResponse.prototype.end = function () { Object.assign(http.ServerResponse.prototype, once); ways[args.way](this); };
  return {};
}
"""
INVALID = "The action did not produce a valid JSON or JSON Array response"
UNEXPECTED = "The action did not produce a valid response and exited unexpectedly."


@pytest.mark.parametrize("way, error", [
    ("text", f"{INVALID}: not json"), ("empty", f"{INVALID}."), ("string", f'{INVALID}: "s"'), ("number", f"{INVALID}: 7"),
    ("nan", f'{INVALID}: {{"a":NaN}}'), ("chunked", UNEXPECTED), ("nocontent", UNEXPECTED), ("drop", UNEXPECTED), ("half", UNEXPECTED),
    ("error500", "five"), ("array500", f"{INVALID}: [1]"), ("object500", f'{INVALID}: {{"a":1}}'), ("created", f'{INVALID}: {{"a":1}}')])
def test_answer_of_a_run(invoker, controller, ns, way, error):
    activation = controller.invoke(invoker, controller.put(f"{ns}/bent", "nodejs:20", BENT), {"way": way})
    response = activation.response()
    assert (response["statusCode"], response["result"]) == (2, {"error": error})
    assert activation.completion().json["isSystemError"] is False


def bent_init(way):
    """The same for the answer to /init: the bending happens while the code is loaded."""
    return BENT + f"main({{way: '{way}'}});\n"


@pytest.mark.parametrize("way, error", [
    ("error500", "five"), ("array500", "The action failed during initialization: [1]"),
    ("object500", 'The action failed during initialization: {"a":1}'), ("created", 'The action failed during initialization: {"a":1}'),
    ("drop", "The action did not initialize and exited unexpectedly."),
    ("chunked", "The action did not initialize and exited unexpectedly.")])
def test_answer_of_an_init(invoker, controller, ns, way, error):
    activation = controller.invoke(invoker, controller.put(f"{ns}/bent", "nodejs:20", bent_init(way)))
    response = activation.response()
    assert (response["statusCode"], response["result"]) == (2, {"error": error})
    assert "initTime" in annotations(activation.record())


def test_answer_of_an_init_may_say_anything_with_200(invoker, controller, ns):
    code = bent_init("text").replace("return {};", "return args.way ? {} : {ran: true};").replace(
        "const once", "if (!args.way) return {ran: true};\n  const once")
    assert controller.invoke(invoker, controller.put(f"{ns}/bent", "nodejs:20", code), {}).response()["result"] == {"ran": True}


def test_503_of_a_warm_container_means_run_elsewhere(invoker, controller, ns):
    code = NODE_ID.replace("function main(args) {", "function main(args) {\n  if (runs > 0) {"
                           " const http = require('http'); const p = http.ServerResponse.prototype; const {end} = p;"
                           " p.writeHead = ((f) => function (c, h) { return f.call(this, 503, h); })(p.writeHead); }\n")
    action = controller.put(f"{ns}/tired", "nodejs:20", code)
    first = controller.invoke(invoker, action)
    first.finished()
    second = controller.invoke(invoker, action)
    result = second.response()
    assert result["statusCode"] == 0 and result["result"]["id"] != first.response()["result"]["id"]
    record = second.finished()
    assert "initTime" in annotations(record) and len([a for a in second.acks() if "instance" in a.json]) == 1
