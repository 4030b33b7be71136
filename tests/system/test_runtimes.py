"""The action proxies without Docker: the HTTP contract of /init and /run, environment, logs, errors."""

import json
import threading

import pytest

from harness.proxies import SENTINEL, Proxy, command, zip_base64

LANGUAGES = ("python", "nodejs", "native")

ECHO = {
    "python": "def main(args):\n    return {'args': args}\n",
    "nodejs": "function main(args) { return {args}; }\n",
    "native": "#!/bin/bash\necho \"{\\\"args\\\":$1}\"\n",
}
ENVIRONMENT = {
    "python": "import os\nATINIT = os.environ.get('GREETING')\ndef main(args):\n"
              "    return {'init': ATINIT, 'own': {k: v for k, v in os.environ.items() if k.startswith('__OW_')}}\n",
    "nodejs": "const atInit = process.env.GREETING;\nfunction main() { return {init: atInit, own: Object.fromEntries("
              "Object.entries(process.env).filter(([k]) => k.startsWith('__OW_')))}; }\n",
    "native": "#!/usr/bin/python3\nimport os, json\nprint(json.dumps({'init': os.environ.get('GREETING'),"
              " 'own': {k: v for k, v in os.environ.items() if k.startswith('__OW_')}}))\n",
}
LOGGING = {
    "python": "import sys\ndef main(args):\n    print('to out')\n    print('to err', file=sys.stderr)\n"
              "    sys.stdout.write('open line')\n    return {}\n",
    "nodejs": "function main() { console.log('to out'); console.error('to err'); process.stdout.write('open line'); return {}; }\n",
    "native": "#!/bin/bash\necho to out\necho to err >&2\necho open line\necho '{}'\n",
}
BROKEN = {
    "python": "def main(args):\n    return {\n",
    "nodejs": "function main(args) { return {\n",
}
ZIPS = {
    "python": {"__main__.py": "from helper import word\ndef main(args):\n    return {'word': word, 'data': open('data.txt').read()}\n",
               "helper.py": "word = 'zipped'\n", "data.txt": "content"},
    "nodejs": {"package.json": '{"main": "lib/start.js"}', "data.txt": "content",
               "lib/start.js": "const fs = require('fs');\nconst {word} = require('./helper');\n"
                               "exports.main = () => ({word, data: fs.readFileSync('data.txt', 'utf8')});\n",
               "lib/helper.js": "exports.word = 'zipped';\n"},
    "native": {"exec": ("#!/bin/bash\necho \"{\\\"word\\\":\\\"$(cat helper)\\\",\\\"data\\\":\\\"$(cat data.txt)\\\"}\"\n", 0o100755),
               "helper": "zipped", "data.txt": "content"},
}
NOT_AN_OBJECT = {
    "python": "def main(args):\n    return 'text'\n",
    "nodejs": "function main() { return 'text'; }\n",
    "native": "#!/bin/bash\necho text\n",
}


@pytest.fixture
def start(tmp_path):
    started = []

    def starter(runtime, env=None):
        argv = command(runtime)
        if argv is None:
            pytest.skip(f"{runtime}: no node on this machine" if runtime == "nodejs"
                        else "native: action_proxy is not built (cmake --build … --target action_proxy)")
        started.append(Proxy(argv, tmp_path, env))
        return started[-1]
    yield starter
    for proxy in started:
        if proxy.process.returncode is None:
            proxy.stop()


@pytest.fixture(params=LANGUAGES)
def runtime(request):
    return request.param


def lines(text):
    return text.splitlines()


def test_init_then_run_returns_the_result(start, runtime):
    proxy = start(runtime)
    assert proxy.init(ECHO[runtime])[0] == 200
    assert proxy.run({"name": "Ann"}) == (200, {"args": {"name": "Ann"}})


def test_many_runs_on_one_kept_connection(start, runtime):
    proxy = start(runtime)
    proxy.init(ECHO[runtime])
    socket_before = proxy.connection.sock
    for n in range(5):
        assert proxy.run({"n": n}) == (200, {"args": {"n": n}})
    assert proxy.connection.sock is socket_before
    out, err = proxy.stop()
    assert lines(out).count(SENTINEL) == lines(err).count(SENTINEL) == 5


def test_a_second_connection_is_served_while_the_first_is_kept_open(start, runtime):
    proxy = start(runtime)
    proxy.init(ECHO[runtime])
    other = proxy.connect()
    assert proxy.send("/run", {"value": {"n": 2}}, other) == (200, proxy.send("/run", {"value": {"n": 2}})[1])
    other.close()


def test_second_init_is_refused_and_the_action_still_runs(start, runtime):
    proxy = start(runtime)
    proxy.init(ECHO[runtime])
    status, body = proxy.init(ECHO[runtime])
    assert (status, body) == (403, {"error": "Cannot initialize the action more than once."})
    assert proxy.run({"a": 1}) == (200, {"args": {"a": 1}})


def test_run_before_init_is_refused(start, runtime):
    proxy = start(runtime)
    status, body = proxy.run({})
    assert status == 403 and "initialized" in body["error"]


@pytest.mark.parametrize("language", ["python", "nodejs"])
def test_init_without_code_is_refused_and_can_be_repeated(start, language):
    proxy = start(language)
    assert proxy.init("") == (403, {"error": "Missing main/no code to execute."})
    assert proxy.init(ECHO[language])[0] == 200


def test_native_without_code_or_program_fails(start):
    proxy = start("native")
    status, body = proxy.send("/init", {"value": {"name": "x", "main": "main", "binary": False}})
    assert status == 502 and "locate a binary" in json.loads(body)["error"]


def test_native_without_code_runs_the_program_of_the_image(start, tmp_path):
    proxy = start("native")
    (tmp_path / "action").mkdir(exist_ok=True)
    (tmp_path / "action" / "exec").write_text("#!/bin/bash\necho '{\"from\":\"image\"}'\n")
    assert proxy.send("/init", {"value": {"name": "x", "main": "main", "binary": False}})[0] == 200
    assert proxy.run({}) == (200, {"from": "image"})


def test_init_environment_is_there_at_load_time_and_run_context_is_refreshed(start, runtime):
    proxy = start(runtime)
    proxy.init(ENVIRONMENT[runtime], env={"GREETING": "grüß dich", "__OW_ACTIVATION_ID": "first", "__OW_API_KEY": "k:1"})
    status, body = proxy.run({}, api_key="k:2", namespace="guest", action_name="/guest/env", action_version="0.0.7",
                             activation_id="second", transaction_id="tid", deadline="1700000000000")
    assert status == 200 and body["init"] == "grüß dich"
    assert {k: body["own"].get(k) for k in ("__OW_API_KEY", "__OW_NAMESPACE", "__OW_ACTION_NAME", "__OW_ACTION_VERSION",
                                           "__OW_ACTIVATION_ID", "__OW_TRANSACTION_ID", "__OW_DEADLINE")} == {
        "__OW_API_KEY": "k:2", "__OW_NAMESPACE": "guest", "__OW_ACTION_NAME": "/guest/env", "__OW_ACTION_VERSION": "0.0.7",
        "__OW_ACTIVATION_ID": "second", "__OW_TRANSACTION_ID": "tid", "__OW_DEADLINE": "1700000000000"}
    assert proxy.run({}, activation_id="third")[1]["own"]["__OW_ACTIVATION_ID"] == "third"


def test_environment_values_that_are_not_strings_become_json_text(start, runtime):
    proxy = start(runtime)
    proxy.init(ENVIRONMENT[runtime], env={"__OW_A": {"b": [1, True]}, "__OW_B": 7, "__OW_C": None, "__OW_D": False})
    own = proxy.run({})[1]["own"]
    assert (own["__OW_A"].replace(" ", ""), own["__OW_B"], own["__OW_C"], own["__OW_D"]) == ('{"b":[1,true]}', "7", "", "false")


def test_logs_end_with_one_sentinel_line_on_each_stream(start, runtime):
    proxy = start(runtime)
    proxy.init(LOGGING[runtime])
    assert proxy.run({}) == (200, {})
    out, err = proxy.stop()
    assert lines(out) == ["to out", "open line", SENTINEL]
    assert lines(err) == ["to err", SENTINEL]


@pytest.mark.parametrize("language", ["python", "nodejs"])
def test_syntax_error_fails_init_with_502_and_sentinels(start, language):
    proxy = start(language)
    status, body = proxy.init(BROKEN[language])
    assert status == 502 and body["error"].startswith("Initialization has failed due to:") and "SyntaxError" in body["error"]
    out, err = proxy.stop()
    assert lines(out) == [SENTINEL] and lines(err)[-1] == SENTINEL and "SyntaxError" in err


@pytest.mark.parametrize("language", ["python", "nodejs"])
def test_missing_entry_point_fails_init(start, language):
    proxy = start(language)
    status, body = proxy.init(ECHO[language], main="other")
    assert status == 502 and "'other' is not a function" in body["error"]


@pytest.mark.parametrize("language", ["python", "nodejs"])
def test_main_names_the_function(start, language):
    proxy = start(language)
    assert proxy.init(ECHO[language].replace("main", "handler"), main="handler")[0] == 200
    assert proxy.run({"x": 1}) == (200, {"args": {"x": 1}})


def test_zip_actions_bring_their_files(start, runtime):
    proxy = start(runtime)
    assert proxy.init(zip_base64(ZIPS[runtime]), binary=True)[0] == 200
    assert proxy.run({}) == (200, {"word": "zipped", "data": "content"})


def test_native_zip_without_the_executable_bit_still_runs(start):
    proxy = start("native")
    assert proxy.init(zip_base64({"exec": "#!/bin/bash\necho '{\"ran\":true}'\n"}), binary=True)[0] == 200
    assert proxy.run({}) == (200, {"ran": True})


def test_broken_zip_fails_init(start, runtime):
    proxy = start(runtime)
    status, body = proxy.init("bm90IGEgemlw", binary=True)
    assert status == 502 and body["error"]
    out, err = proxy.stop()
    assert lines(out)[-1] == SENTINEL and lines(err)[-1] == SENTINEL


def test_zip_without_entry_point_fails_init(start, runtime):
    proxy = start(runtime)
    assert proxy.init(zip_base64({"readme.txt": "nothing"}), binary=True)[0] == 502


def test_nodejs_zip_may_not_write_outside_of_its_folder(start, tmp_path):
    proxy = start("nodejs")
    status, body = proxy.init(zip_base64({"../../../../../../.." + str(tmp_path) + "/escaped": "x", "index.js": ""}), binary=True)
    assert status == 502 and "outside" in body["error"] and not (tmp_path / "escaped").exists()


def test_nodejs_zip_main_may_name_a_file(start):
    proxy = start("nodejs")
    assert proxy.init(zip_base64({"index.js": "", "api.js": "exports.get = () => ({from: 'api'});"}), main="api.get", binary=True)[0] == 200
    assert proxy.run({}) == (200, {"from": "api"})


def test_result_that_is_no_object_is_a_failure(start, runtime):
    proxy = start(runtime)
    proxy.init(NOT_AN_OBJECT[runtime])
    status, body = proxy.run({})
    assert (status, body) == (502, {"error": "The action did not return a dictionary or array."})
    assert proxy.run({})[0] == 502  # and the proxy is still there


def test_arrays_go_in_and_out(start, runtime):
    proxy = start(runtime)
    code = {"python": "def main(args):\n    return args\n", "nodejs": "const main = (args) => args;\n",
            "native": "#!/bin/bash\necho \"$1\"\n"}[runtime]
    proxy.init(code)
    assert proxy.run([1, {"two": [3]}]) == (200, [1, {"two": [3]}])


def test_argument_that_is_no_object_is_refused(start, runtime):
    proxy = start(runtime)
    proxy.init(ECHO[runtime])
    assert proxy.send("/run", {"value": 7})[0] == 403
    assert proxy.send("/run", {"value": None}) == (200, proxy.send("/run", {"value": {}})[1])


def test_unicode_survives(start, runtime):
    proxy = start(runtime)
    proxy.init(ECHO[runtime])
    text = "äöü € 😀 \u2028 \u0001 \" \\ end"
    assert proxy.run({"text": text}) == (200, {"args": {"text": text}})


def test_one_megabyte_goes_in_and_out(start, runtime):
    proxy = start(runtime)
    proxy.init("#!/bin/bash\necho \"{\\\"args\\\":$(cat)}\"\n" if runtime == "native" else ECHO[runtime])
    big = "x" * 1000000
    assert proxy.run({"big": big}) == (200, {"args": {"big": big}})


def test_native_passes_arguments_and_results_byte_for_byte(start):
    proxy = start("native")
    proxy.init("#!/bin/bash\necho \"$1\"\n")
    raw = '{"z":1e400, "a":0.10,"n":12345678901234567890,"e":"\\u00e9"}'
    assert proxy.send("/run", '{"namespace":"guest","value":' + raw + "}") == (200, raw)


def test_native_arguments_are_on_standard_input_too(start):
    proxy = start("native")
    proxy.init("#!/bin/bash\nread -r line\n[ \"$line\" = \"$1\" ] && echo '{\"same\":true}'\n")
    assert proxy.run({"a": 1}) == (200, {"same": True})


def test_native_program_that_reads_nothing_and_leaves_a_process_behind(start):
    proxy = start("native")
    proxy.init("#!/bin/bash\nsleep 5 &\necho '{\"done\":true}'\n")
    assert proxy.run({"pad": "p" * 300000}) == (200, {"done": True})


def test_native_script_without_shebang_is_for_sh(start):
    proxy = start("native")
    assert proxy.init("echo '{\"sh\":true}'\n")[0] == 200
    assert proxy.run({}) == (200, {"sh": True})


def test_native_result_is_the_last_line_and_a_refused_one_is_logged(start):
    proxy = start("native")
    proxy.init("#!/bin/bash\nprintf 'one\\n{\"not\":\"result\"}\\n%s' \"$(echo \"$1\" | cut -d'\"' -f4)\"\n")
    assert proxy.run({"w": "words"})[0] == 502
    assert lines(proxy.stop()[0]) == ["one", '{"not":"result"}', "words", SENTINEL]


def test_python_exception_is_an_application_error_with_its_traceback_in_the_log(start):
    proxy = start("python")
    proxy.init("def main(args):\n    raise ValueError('boom')\n")
    assert proxy.run({}) == (200, {"error": "boom"})
    assert proxy.run({})[0] == 200
    err = proxy.stop()[1]
    assert "ValueError: boom" in err and "proxy.py" not in err


def test_python_sys_exit_is_a_failed_run_and_os_exit_breaks_the_connection(start):
    proxy = start("python")
    proxy.init("import os, sys\ndef main(args):\n    os._exit(3) if args.get('hard') else sys.exit(3)\n")
    assert proxy.run({})[0] == 502
    with pytest.raises(OSError):
        proxy.run({"hard": True})


def test_python_result_that_json_cannot_hold_is_a_failure(start):
    proxy = start("python")
    proxy.init("def main(args):\n    return {'x': float('nan') if args.get('nan') else object()}\n")
    assert proxy.run({})[0] == 502 and proxy.run({"nan": 1})[0] == 502


def test_python_coroutines_are_awaited(start):
    proxy = start("python")
    proxy.init("import asyncio\nasync def main(args):\n    await asyncio.sleep(0)\n    return {'awaited': True}\n")
    assert proxy.run({}) == (200, {"awaited": True})


def test_nodejs_throw_is_a_failed_run_and_a_rejection_an_application_error(start):
    proxy = start("nodejs")
    proxy.init("function main(a) { if (a.reject) return Promise.reject({code: 7}); throw new Error('boom'); }")
    assert proxy.run({"reject": True}) == (200, {"error": {"code": 7}})
    assert proxy.run({}) == (502, {"error": "An error has occurred: Error: boom"})
    assert "Error: boom" in proxy.stop()[1]


def test_nodejs_rejected_error_keeps_its_message(start):
    proxy = start("nodejs")
    proxy.init("async function main() { throw new TypeError('late'); }")
    status, body = proxy.run({})
    assert status == 200 and (body["error"]["name"], body["error"]["message"]) == ("TypeError", "late")


def test_nodejs_undefined_is_an_empty_object_and_null_a_failure(start):
    proxy = start("nodejs")
    proxy.init("const main = (a) => a.none ? null : undefined;")
    assert proxy.run({}) == (200, {})
    assert proxy.run({"none": 1})[0] == 502


@pytest.mark.parametrize("code", ["exports.main = () => ({from: 'exports'});", "module.exports = {main: () => ({from: 'exports'})};",
                                  "module.exports.main = function () { return {from: 'exports'}; } // no newline"])
def test_nodejs_text_may_export_its_entry_point(start, code):
    proxy = start("nodejs")
    assert proxy.init(code)[0] == 200
    assert proxy.run({}) == (200, {"from": "exports"})


SLOW = "let open = 0, most = 0;\nfunction main() { open++; most = Math.max(most, open);" \
       " return new Promise((r) => setTimeout(() => { open--; r({most}); }, 200)); }\n"


def run_in_parallel(proxy, count):
    answers = []

    def one():
        connection = proxy.connect()
        answers.append(proxy.send("/run", {"value": {}}, connection))
        connection.close()
    threads = [threading.Thread(target=one) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def test_nodejs_runs_in_parallel_when_allowed(start):
    proxy = start("nodejs", {"__OW_ALLOW_CONCURRENT": "true"})
    proxy.init(SLOW)
    answers = run_in_parallel(proxy, 4)
    assert {status for status, _ in answers} == {200}
    assert max(json.loads(body)["most"] for _, body in answers) == 4


def test_nodejs_refuses_a_second_run_when_parallel_ones_are_not_allowed(start):
    proxy = start("nodejs", {"__OW_ALLOW_CONCURRENT": "false"})
    proxy.init(SLOW)
    assert sorted(status for status, _ in run_in_parallel(proxy, 2)) == [200, 403]


def test_requests_that_are_not_for_us(start, runtime):
    proxy = start(runtime)
    assert proxy.send("/other", {})[0] == 404
    proxy.connection.request("GET", "/run")
    response = proxy.connection.getresponse()
    assert (response.status, bool(response.read())) == (405, True)
    assert proxy.send("/init", "{not json")[0] == 400
    assert proxy.send("/init", "[1]")[0] == 400
    assert proxy.init(ECHO[runtime])[0] == 200


def test_requests_in_small_pieces_and_two_at_once(start, runtime):
    proxy = start(runtime)
    proxy.init(ECHO[runtime])
    body = json.dumps({"value": {"n": 1}}).encode()
    request = b"POST /run HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    sock = proxy.connection.sock
    for i in range(0, len(request), 7):
        sock.sendall(request[i:i + 7])
    sock.sendall(request)
    received = b""
    while received.count(b'"args"') < 2:
        chunk = sock.recv(4096)
        assert chunk, received
        received += chunk
    assert received.count(b"HTTP/1.1 200") == 2


def test_sigterm_ends_the_proxy_at_once(start, runtime):
    proxy = start(runtime)
    proxy.init(ECHO[runtime])
    proxy.stop()
    assert proxy.process.returncode in (0, -15)
