#!/usr/bin/python3
"""Links of the documents lead somewhere, every page of docs/ is linked from docs/architecture.md and README.md, and every picture there
is shown. --self-test: each rule finds what it is for."""

import re
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("docs", "docs/adr", "deploy", "tests", "docker")
LINK = re.compile(r"\]\(([^)\s]+)\)")
CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)


def links(page):
    """[(file, anchor)] of the relative ones."""
    found = (target.partition("#") for target in LINK.findall(CODE.sub("", page.read_text(encoding="utf-8"))))
    return [(file, anchor) for file, _, anchor in found if "://" not in file and not file.startswith("mailto:")]


def anchors(page):
    """Of its headings, as GitHub makes them."""
    headings = re.findall(r"^#+ +(.*?) *$", CODE.sub(lambda m: m.group(0).strip("`") if "\n" not in m.group(0) else "",
                                                     page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", h).lower()).replace(" ", "-") for h in headings}


def pages(root):
    yield from root.glob("*.md")
    for folder in FOLDERS:
        yield from (root / folder).glob("*.md" if folder.startswith("docs") else "**/*.md")


def broken(page):
    for file, anchor in links(page):
        target = (page.parent / file) if file else page
        if not target.exists():
            yield f"{page}: {file} does not exist"
        elif anchor and target.suffix == ".md" and anchor not in anchors(target):
            yield f"{page}: {file or page.name} has no heading #{anchor}"


def reached(page):
    return {(page.parent / file).resolve() for file, _ in links(page) if file}


def problems(root):
    for page in pages(root):
        yield from broken(page)
    for start in (root / "README.md", root / "docs/architecture.md"):
        missing = {page.resolve() for page in (root / "docs").glob("*.md")} - reached(start) - {start.resolve()}
        yield from (f"{start}: no link to {page.name}" for page in sorted(missing))
    shown = set().union(*(reached(page) for page in (root / "docs").glob("*.md")))
    yield from (f"{picture}: no page shows it" for picture in sorted((root / "docs").glob("*.svg")) if picture.resolve() not in shown)


def self_test():
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "docs").mkdir()
        (root / "README.md").write_text("[a](docs/architecture.md) [b](docs/b.md#some-heading) `[no](link.md)`\n", encoding="utf-8")
        (root / "docs/architecture.md").write_text("[b](b.md)\n", encoding="utf-8")
        (root / "docs/b.md").write_text("# Some heading\n![p](p.svg) [x](https://example.org/x.md)\n", encoding="utf-8")
        (root / "docs/p.svg").write_text("", encoding="utf-8")
        found = [f"wrongly found: {p}" for p in problems(root)]
        (root / "README.md").write_text("[a](docs/architecture.md) [b](docs/b.md#gone) [c](docs/gone.md)\n", encoding="utf-8")
        (root / "docs/architecture.md").write_text("nothing\n", encoding="utf-8")
        (root / "docs/b.md").write_text("# Some heading\n", encoding="utf-8")
        text = "\n".join(problems(root))
        expected = ("no heading #gone", "docs/gone.md does not exist", "architecture.md: no link to b.md", "p.svg: no page shows it")
        return found + [f"the rule for «{what}» does not find it" for what in expected if what not in text]


def main():
    found = self_test() if "--self-test" in sys.argv[1:] else list(problems(ROOT))
    for line in found:
        print(line.replace(f"{ROOT}/", ""), file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
