"""Little actions that many cases use."""

import os

# The images are Apache's own runtimes and not those of docker/runtimes: a few answers and log lines differ.
OFFICIAL = os.environ.get("CW_TEST_RUNTIMES") == "official"

# Tells containers apart: `id` is drawn once per load of the code, `runs` counts within it.
NODE_ID = "const id = Math.random().toString(36).slice(2); let runs = 0;\n" \
          "function main(args) { return {id, runs: ++runs, args}; }\n"
PYTHON_ID = "import random\nID, runs = random.random(), 0\ndef main(args):\n    global runs\n    runs += 1\n" \
            "    return {'id': ID, 'runs': runs, 'args': args}\n"
NODE_ECHO = "function main(args) { return args; }\n"
PYTHON_ECHO = "def main(args):\n    return args\n"
NODE_SLEEP = "const id = Math.random().toString(36).slice(2); let runs = 0;\n" \
             "const main = (a) => new Promise((r) => { const n = ++runs; setTimeout(() => r({id, n, args: a}), a.ms || 0); });\n"
NODE_ENV = "const atInit = {...process.env};\nfunction main(args) { return {init: atInit, run: process.env, args}; }\n"
NODE_LOG = "function main(a) { console.log('to out'); console.error('to err'); return {ok: true}; }\n"
BASH_ECHO = "#!/bin/bash\necho \"got $1\"\necho \"$1\"\n"


def annotations(record):
    return {a["key"]: a["value"] for a in record["annotations"]}


def texts(record):
    """Log lines without time and stream: [(stream, text)]."""
    return [tuple(line[31:].split(": ", 1)) for line in record["logs"]]
