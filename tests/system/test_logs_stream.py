"""The cases of test_logs.py where log files cannot be read: logs come by the engine's stream."""

from harness.code import NODE_LOG, texts
from test_logs import (  # noqa: F401  collected here as cases of this module
    test_a_last_line_without_newline_is_kept, test_a_line_longer_than_the_engine_writes_at_once, test_each_activation_has_its_own_lines,
    test_lines_have_time_stream_and_text, test_lines_of_initialization_belong_to_the_first_activation,
    test_log_limit_zero_collects_nothing, test_log_over_the_limit_is_truncated_and_the_container_kept,
    test_logs_of_a_timed_out_run_are_there, test_missing_sentinel_ends_after_two_seconds_with_a_notice,
    test_order_within_a_stream_is_kept, test_unusual_text_survives)

INVOKER_ENV = {"CWHISK_CONTAINERS_DIR": "/nonexistent"}  # what an engine on another host looks like


def test_that_the_stream_is_used_is_said_once(invoker):
    assert invoker.log().count("cannot be read here: logs come by the engine's stream") == 1


def test_the_stream_gives_what_the_file_gives(make_invoker, controller, ns):
    code = """function main() {
        process.stdout.write(Buffer.from([0x61, 0xff, 0xfe, 0x62, 0x0a]));
        console.log('tab\\t <b>&amp;</b> "quoted" back\\\\slash \\u2028 \\u0007 ünï 😀 cr\\r');
        console.error(''); return {}; }"""
    logs = []
    for source in ("file", "stream"):
        invoker = make_invoker({"CWHISK_LOG_SOURCE": source}).start(controller)
        record = controller.invoke(invoker, controller.put(f"{ns}/{source}", "nodejs:20", code)).finished()
        logs.append(sorted(texts(record)))
    assert logs[0] == logs[1] and ("stdout", "a\ufffd\ufffdb") in logs[1] and len(logs[1]) == 3


def test_docker_cli_log_store_reads_the_stream(make_invoker, controller, ns):
    invoker = make_invoker({"CONFIG_whisk_spi_LogStoreProvider": "org.apache.openwhisk.core.containerpool.docker.DockerCliLogStoreProvider"})
    invoker.start(controller)
    record = controller.invoke(invoker, controller.put(f"{ns}/log", "nodejs:20", NODE_LOG)).finished()
    assert sorted(texts(record)) == [("stderr", "to err"), ("stdout", "to out")]
    assert "cannot be read here" not in invoker.log()
