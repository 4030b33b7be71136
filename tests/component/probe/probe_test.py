#!/usr/bin/env python3
"""cwhisk-probe as the first process of a container: signals, zombies, exit codes, the environment, and its answers to askers
of all kinds.

usage: probe_test.py PROBE LAB CWHISK [unittest arguments]      LAB: the probe_lab beside this file, built
env: CW_PROBE_STATIC=1: PROBE is the program that is shipped, so its size and linkage are judged, too"""

import contextlib
import os
import pathlib
import select
import signal
import socket
import subprocess
import sys
import time
import unittest

PROBE, LAB, CWHISK = (os.path.abspath(p) for p in sys.argv[1:4])
TOKEN = "0123456789abcdef" * 2
PATIENCE_S = 20
MAX_BYTES = 1 << 20


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_until(what, condition):
    end = time.monotonic() + PATIENCE_S
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > end:
            raise AssertionError(f"never: {what}")
        time.sleep(0.01)


class Wrapped:
    """A program under the probe, with pipes for its standard streams. first: as process 1 of a namespace of its own."""

    def __init__(self, *program, token=TOKEN, env=None, first=False, port=None):
        self.port = port or free_port()
        environment = {"PATH": os.environ["PATH"], "CWHISK_PROBE_PORT": str(self.port), **(env or {})}
        if token is not None:
            environment["CWHISK_PROBE_TOKEN"] = token
        # PROC is mounted anew, so that it is that of the namespace.
        around = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"] if first else []
        self.process = subprocess.Popen([*around, PROBE, "--", *program], env=environment, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        """The program first: the probe follows it. (Where the probe is process 1, unshare's end is that of all.)"""
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            for child in pathlib.Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text(encoding="ascii").split():
                os.kill(int(child), signal.SIGKILL)
        self.process.communicate(timeout=PATIENCE_S)

    @property
    def pid(self):
        """Of the probe."""
        return self.process.pid

    def line(self):
        ready, _, _ = select.select([self.process.stdout], [], [], PATIENCE_S)
        assert ready, "no line"
        return self.process.stdout.readline().decode().strip()

    def end(self, text=b""):
        out, err = self.process.communicate(text, timeout=PATIENCE_S)
        return self.process.returncode, out.decode(), err.decode()

    def connect(self):
        def attempt():
            with contextlib.suppress(ConnectionRefusedError):
                return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_S)
            return None
        return wait_until("a connection", attempt)

    def ask(self, token=TOKEN):
        with self.connect() as s:
            return ask_on(s, token)


def ask_on(s, token=TOKEN):
    s.sendall(f"cwhisk-probe/1 {token}\n".encode())
    return read_answer(s)


def read_answer(s):
    """The pairs, or None when the connection ends without."""
    text = b""
    try:
        while not text.endswith(b"\n"):
            piece = s.recv(4096)
            if not piece:
                return None
            text += piece
    except ConnectionResetError:
        return None
    greeting, *pairs = text.decode().split()
    assert greeting == "cwhisk-probe/1", text
    return dict(p.split("=", 1) for p in pairs)


class Wrapping(unittest.TestCase):
    def test_status_output_and_input_are_the_programs(self):
        with Wrapped("sh", "-c", "cat; echo to-stderr >&2; exit 7") as w:
            self.assertEqual(w.end(b"some\0bytes"), (7, "some\0bytes", "to-stderr\n"))

    def test_a_program_killed_by_a_signal_ends_as_128_and_its_number(self):
        with Wrapped("sh", "-c", "kill -KILL $$") as w:
            self.assertEqual(w.end(), (128 + signal.SIGKILL, "", ""))

    def test_a_missing_program_ends_with_127_and_one_that_is_none_with_126(self):
        with Wrapped("/does/not/exist") as w:
            self.assertEqual(w.end(), (127, "", "/does/not/exist: No such file or directory\n"))
        with Wrapped("/etc/passwd") as w:
            self.assertEqual(w.end()[0], 126)

    def test_signals_reach_the_program(self):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGQUIT, signal.SIGRTMIN + 3):
            with self.subTest(number), Wrapped(LAB, "echo-signal", str(int(number))) as w:
                self.assertEqual(w.line(), "ready")
                w.process.send_signal(number)
                self.assertEqual(w.end(), (0, f"got {int(number)}\n", ""))

    def test_a_signal_that_the_program_does_not_handle_ends_it(self):
        with Wrapped("sleep", "1000") as w:
            w.ask()  # it runs
            wait_until("its child", lambda: pathlib.Path(f"/proc/{w.pid}/task/{w.pid}/children").read_text(encoding="ascii"))
            w.process.terminate()
            self.assertEqual(w.end()[0], 128 + signal.SIGTERM)

    def test_as_process_1_it_reaps_what_loses_its_parent(self):
        orphan = "sh -c 'sh -c \"exit 0\" & exit 0'"  # a grandchild whose parent does not wait for it
        gone = "until [ $(ls -d /proc/[0-9]* 2>/dev/null | wc -l) -le 4 ]; do :; done"  # the probe, the shell, ls and wc
        with Wrapped("sh", "-c", f"{orphan}; {gone}; exit 3", first=True) as w:
            self.assertEqual(w.end(), (3, "", ""))

    def test_nothing_of_the_probe_is_in_the_environment(self):
        with Wrapped("env", env={"KEPT": "yes"}) as w:
            status, out, _ = w.end()
        self.assertEqual(status, 0)
        self.assertIn("KEPT=yes", out.splitlines())
        self.assertNotIn("PROBE", out)

    def test_proc_does_not_show_the_token_either(self):
        with Wrapped("sh", "-c", "tr '\\0' '\\n' </proc/$PPID/environ") as w:
            status, out, _ = w.end()
        self.assertEqual(status, 0)
        self.assertIn("PATH=", out)
        self.assertNotIn(TOKEN, out)

    def test_no_descriptors_of_the_probe_are_inherited(self):
        with Wrapped("sh", "-c", "ls -l /proc/$$/fd | grep -cE 'socket|signalfd|proc|cgroup'") as w:
            self.assertEqual(w.end()[1], "0\n")

    def test_signal_mask_and_handlers_are_the_defaults(self):
        with Wrapped("cat", "/proc/self/status") as w:
            masks = dict(line.split() for line in w.end()[1].splitlines() if line.startswith("Sig") and "/" not in line)
        self.assertEqual({masks[name] for name in ("SigBlk:", "SigIgn:", "SigCgt:")}, {"0" * 16})

    def test_a_taken_port_does_not_keep_the_program_from_running(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            with Wrapped("echo", "runs", port=taken.getsockname()[1]) as w:
                self.assertEqual(w.end(), (0, "runs\n", ""))

    def test_without_a_good_token_nobody_is_answered_and_the_program_runs(self):
        for token in (None, "", "short", "X" * 32):
            with self.subTest(token), Wrapped("sh", "-c", "echo runs; read end", token=token) as w:
                self.assertEqual(w.line(), "runs")
                with self.assertRaises(ConnectionRefusedError):
                    socket.create_connection(("127.0.0.1", w.port))
                self.assertEqual(w.end(b"\n")[0], 0)


class Role(unittest.TestCase):
    def test_the_role_is_the_program(self):
        said = subprocess.run([CWHISK, "probe", "--version"], env={"PATH": os.path.dirname(PROBE)}, capture_output=True, text=True, check=True).stdout
        self.assertRegex(said, r"^cwhisk-probe \d")

    def test_without_the_program_it_says_so(self):
        done = subprocess.run([CWHISK, "probe", "true"], env={"PATH": "/does/not/exist"}, capture_output=True, text=True, check=False)
        self.assertEqual((done.returncode, done.stderr), (
            127, "cwhisk probe: cwhisk-probe (a program of its own: docker/probe) is neither beside this one nor in PATH: No such file or directory\n"))


class Answering(unittest.TestCase):
    def test_the_right_token_gets_figures_again_and_again(self):
        with Wrapped("sleep", "1000") as w, w.connect() as s:
            first, second = ask_on(s), ask_on(s)
        for answer in (first, second):
            self.assertIn(answer["source"], ("proc", "cgroup1", "cgroup2"))
            self.assertGreater(int(answer["memory_bytes"]), 0)
            self.assertGreaterEqual(int(answer["pids"]), 2)

    def test_another_token_and_garbage_end_the_connection(self):
        with Wrapped("sleep", "1000") as w:
            for token in ("f" * 32, TOKEN[:-1], TOKEN + "0", ""):
                self.assertIsNone(w.ask(token))
            for garbage in (b"\n", b"GET / HTTP/1.1\r\n\r\n", b"cwhisk-probe/2 " + TOKEN.encode() + b"\n", b"\0" * 500):
                with w.connect() as s:
                    s.sendall(garbage)
                    self.assertIsNone(read_answer(s))
            self.assertIsNotNone(w.ask())

    def test_a_question_in_pieces_and_two_at_once_are_answered(self):
        question = f"cwhisk-probe/1 {TOKEN}\n".encode()
        with Wrapped("sleep", "1000") as w, w.connect() as s:
            for i in range(len(question)):
                s.sendall(question[i:i + 1])
            self.assertIsNotNone(read_answer(s))
            s.sendall(question * 2)
            text = b""
            while text.count(b"\n") < 2:
                text += s.recv(4096)

    def test_a_silent_client_does_not_hold_up_another_and_goes(self):
        with Wrapped("sleep", "1000") as w, w.connect() as silent:
            silent.sendall(b"cwhisk-")
            self.assertIsNotNone(w.ask())
            self.assertEqual(silent.recv(10), b"")  # after the probe's patience, without an answer

    def test_many_silent_clients_do_not_keep_one_with_the_token_out(self):
        with Wrapped("sleep", "1000") as w, contextlib.ExitStack() as stack:
            known = stack.enter_context(w.connect())
            self.assertIsNotNone(ask_on(known))
            for _ in range(40):
                stack.enter_context(w.connect())
            self.assertIsNotNone(w.ask())
            self.assertIsNotNone(ask_on(known))  # it kept its place

    def test_a_client_that_never_reads_is_dropped(self):
        with Wrapped("sleep", "1000") as w, w.connect() as greedy:
            greedy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            question = f"cwhisk-probe/1 {TOKEN}\n".encode()
            with contextlib.suppress(ConnectionError):
                for _ in range(5000):
                    greedy.sendall(question)
            self.assertIsNotNone(wait_until("the other is answered", w.ask))

    def test_between_questions_the_probe_uses_no_cpu(self):
        with Wrapped("sleep", "1000") as w:
            w.ask()
            wait_until("a second without a wake-up", lambda: self.switches(w) == (time.sleep(1), self.switches(w))[1])

    @staticmethod
    def switches(w):
        text = pathlib.Path(f"/proc/{w.pid}/status").read_text(encoding="ascii")
        return [line for line in text.splitlines() if "ctxt_switches" in line]


class Figures(unittest.TestCase):
    """As process 1 of a namespace, where /proc has the container's processes alone; its control group is this machine's, or of
    all that this test runs in, and therefore hidden."""

    def container(self, *program):
        return Wrapped("sh", "-c", "exec \"$@\"", "sh", *program, first=True)

    def test_cpu_time_is_that_of_the_processes(self):
        with self.container(LAB, "burn-ms", "300") as w:
            self.assertEqual(w.line(), "burnt")
            self.assert_cpu(w, 300)

    def test_cpu_time_of_ended_children_is_not_lost(self):
        with self.container("sh", "-c", f"{LAB} burn-ms 300 end; {LAB} burn-ms 200 end; echo burnt; read end") as w:
            while w.line() != "burnt" or not self.has_ended(w):
                pass
            self.assert_cpu(w, 500)

    def has_ended(self, w):
        return int(w.ask()["cpu_ns"]) > 400_000_000

    def assert_cpu(self, w, ms):
        cpu_ms = int(w.ask()["cpu_ns"]) / 1e6
        self.assertGreater(cpu_ms, ms - 15)
        self.assertLess(cpu_ms, ms * 1.5 + 100)

    def test_memory_is_what_is_touched(self):
        with self.container(LAB, "hold-mib", "64") as w:
            self.assertEqual(w.line(), "held")
            answer = w.ask()
        mib = int(answer["memory_bytes"]) >> 20
        self.assertTrue(64 <= mib < 64 + 24, answer)
        self.assertGreaterEqual(int(answer["peak_bytes"]), int(answer["memory_bytes"]))

    def test_memory_that_processes_share_counts_once(self):
        with self.container(LAB, "share-mib", "64", "4") as w:
            self.assertEqual(w.line(), "held")
            answer = w.ask()
        mib = int(answer["memory_bytes"]) >> 20
        self.assertTrue(64 <= mib < 64 + 40, answer)

    def test_the_peak_outlives_the_memory(self):
        with self.container(LAB, "held-mib", "64") as w:
            self.assertEqual(w.line(), "released")
            answer = w.ask()
        self.assertGreaterEqual(int(answer["peak_bytes"]) >> 20, 64)
        self.assertLess(int(answer["memory_bytes"]) >> 20, 32)

    def test_threads_are_counted(self):
        with self.container(LAB, "threads", "5") as w:
            self.assertEqual(w.line(), "started")
            answer = w.ask()
        self.assertEqual(int(answer["pids"]), 1 + 5, answer)

    def test_what_is_estimated_is_marked(self):
        with self.container("sleep", "1000") as w:
            answer = w.ask()
        self.assertEqual(answer["source"], "proc")
        self.assertEqual(set(answer["estimated"].split(",")), {"cpu", "memory", "peak"})
        self.assertEqual((answer["throttled_ns"], answer["oom_kills"]), ("-", "-"))


@unittest.skipUnless(os.environ.get("CW_PROBE_STATIC"), "with a sanitizer it is another program")
class Shipped(unittest.TestCase):
    def test_it_is_static_and_below_a_megabyte(self):
        self.assertLess(os.path.getsize(PROBE), MAX_BYTES)
        headers = subprocess.run(["readelf", "-lW", PROBE], capture_output=True, text=True, check=True).stdout
        self.assertNotIn("INTERP", headers)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[4:]])
