#!/usr/bin/env python3
"""Flame graphs from perf. usage: flame.py PID SECONDS FILE.svg [TITLE]

Width is time on a processor, the call goes upwards, the name and share of a box show when the pointer rests on it."""

import html
import subprocess
import sys
import tempfile
from pathlib import Path

WIDTH, ROW, LEFT, TOP = 1200, 17, 10, 40
HERTZ = 499
LEAST = 0.7  # pixels: what is narrower is left out
STACK_BYTES = 16384  # perf's own default is too small for some of ours
COLOURS = {"kernel": "#f0b35e", "librdkafka": "#7fb3d5", "cwhisk": "#e5735e", "other": "#b9c98a"}


class Frame:
    def __init__(self, name="all", kind="other"):
        self.name, self.kind, self.samples, self.callees = name, kind, 0, {}

    def add(self, stack):
        self.samples += 1
        if stack:
            name, kind = stack[0]
            self.callees.setdefault(name, Frame(name, kind)).add(stack[1:])

    def depth(self):
        return 1 + max((callee.depth() for callee in self.callees.values()), default=0)


def kind_of(module):
    if "kernel" in module or "vmlinux" in module or module.startswith("["):
        return "kernel"
    return next((name for name in ("librdkafka", "cwhisk") if name in module), "other")


def parse(script):
    """perf script's text → stacks, outermost first, below the thread's name."""
    for sample in script.split("\n\n"):
        head, *lines = sample.strip("\n").split("\n")
        if not lines:
            continue
        frames = []
        for line in lines:
            _, _, rest = line.strip().partition(" ")
            name, _, module = rest.rpartition(" (")
            name = name.split("+0x")[0]
            if name and name != "[unknown]":
                frames.append((name, kind_of(module.rstrip(")"))))
        yield [(head.rsplit(None, 3)[0].strip() or "?", "other"), *reversed(frames)]


def boxes(frame, x, level, scale):
    """→ (x, level, width, frame) of everything wide enough, the outermost first."""
    width = frame.samples * scale
    if width < LEAST:
        return
    yield x, level, width, frame
    for name in sorted(frame.callees):
        yield from boxes(frame.callees[name], x, level + 1, scale)
        x += frame.callees[name].samples * scale


def draw(root, title):
    height = TOP + root.depth() * ROW + ROW
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" font-family="monospace" font-size="11">',
           f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
           f'<text x="{LEFT}" y="22" font-size="15">{html.escape(title)}</text>']
    for i, (name, colour) in enumerate(COLOURS.items()):
        x = WIDTH - 400 + 100 * i
        out.append(f'<rect x="{x}" y="12" width="11" height="11" fill="{colour}"/><text x="{x + 15}" y="22">{name}</text>')
    for x, level, width, frame in boxes(root, LEFT, 0, (WIDTH - 2 * LEFT) / max(root.samples, 1)):
        y = height - ROW * (level + 1) - 5
        name = html.escape(frame.name)
        shown = html.escape(frame.name[: max(0, int(width / 6.7))]) if width > 20 else ""
        out.append(f'<g><title>{name} {100 * frame.samples / root.samples:.1f}%</title><rect x="{x:.1f}" y="{y}" '
                   f'width="{width:.1f}" height="{ROW - 1}" fill="{COLOURS[frame.kind]}"/>'
                   + (f'<text x="{x + 2:.1f}" y="{y + 12}">{shown}</text>' if shown else "") + "</g>")
    return "\n".join([*out, "</svg>"]) + "\n"


def record(pid, seconds, target, title, folder):
    """Samples all threads of the process for so long; folder: for perf's data."""
    data = Path(folder) / "perf.data"
    subprocess.run(["perf", "record", "-q", "-F", str(HERTZ), "-g", "--call-graph", f"dwarf,{STACK_BYTES}", "-p", str(pid), "-o", str(data),
                    "--", "sleep", str(seconds)], check=True, capture_output=True)
    script = subprocess.run(["perf", "script", "-i", str(data), "--no-inline"], check=True, capture_output=True, text=True,
                            errors="replace").stdout
    root = Frame()
    for stack in parse(script):
        root.add(stack)
    Path(target).write_text(draw(root, f"{title}: {root.samples} samples of processor time at {HERTZ} Hz"))


def main():
    if len(sys.argv) not in (4, 5):
        raise SystemExit(__doc__)
    with tempfile.TemporaryDirectory() as folder:
        record(int(sys.argv[1]), float(sys.argv[2]), sys.argv[3], sys.argv[4] if len(sys.argv) == 5 else "cwhisk", folder)


if __name__ == "__main__":
    main()
