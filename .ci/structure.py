#!/usr/bin/env python3
"""Checks rules of the source tree that the compiler does not check.

1. No circle of files: within a crate, the files' `use` lines (of code outside tests) form no circle.
2. No `cfg(feature = "flex")` outside `pudle-kernels` and the choice of a device (`pudle-core/src/backend.rs`).
3. No flag of the command line (`--name`) in a string of a library crate.
4. Crates depend on each other in one direction, as docs/architecture.md shows.

Prints each violation and exits with 1 if there is one.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LIBRARIES = ["kernels", "core", "data", "train", "explain", "experiments", "plot", "bench"]
# What each crate may use.
MAY_USE = {
    "kernels": [],
    "plot": ["data"],
    "core": ["kernels"],
    "data": ["core"],
    "train": ["core", "data"],
    "explain": ["core", "data", "train", "plot"],
    "experiments": ["core", "data", "train", "plot"],
    "bench": ["core", "data", "train"],
    "cli": ["core", "data", "train", "explain", "experiments", "bench"],
}


def code(path):
    """A file's text without comments and without its test module."""
    text = path.read_text()
    text = re.split(r"#\[cfg\(test\)\]\s*mod \w+ \{", text)[0]
    return re.sub(r"//[^\n]*", "", text)


def modules(src):
    """The module path of each file, as a tuple: () is the crate's root."""
    found = {}
    for path in sorted(src.rglob("*.rs")):
        parts = list(path.relative_to(src).with_suffix("").parts)
        if parts[-1] in ("lib", "main", "mod"):
            parts.pop()
        if "tests" in parts:
            continue
        found[tuple(parts)] = path
    return found


def imports(text):
    """Every path that a `use` of this crate names, as a list of segments."""
    for match in re.finditer(r"\buse\s+((?:crate|super|self)\b[^;]*);", text):
        yield from expand(re.sub(r"\s+", "", match.group(1)))
    # Paths written out in the code.
    rest = re.sub(r"\buse\s[^;]*;", "", text)
    for match in re.finditer(r"\b((?:crate|super)(?:::\w+)+)", rest):
        yield match.group(1).split("::")


def expand(path):
    if "{" not in path:
        yield path.split("::")
        return
    head, _, tail = path.partition("{")
    tail = tail.rsplit("}", 1)[0]
    depth, part, parts = 0, "", []
    for c in tail:
        depth += (c == "{") - (c == "}")
        if c == "," and depth == 0:
            parts.append(part)
            part = ""
        else:
            part += c
    parts.append(part)
    for part in filter(None, parts):
        yield from expand(head + part)


def target(known, own, segments):
    """The file that a path leads to: the longest prefix that is a module."""
    if segments[0] == "crate":
        base, rest = (), segments[1:]
    else:
        base, rest = own, segments
        while rest and rest[0] in ("super", "self"):
            base = base[:-1] if rest[0] == "super" else base
            rest = rest[1:]
    at = base
    for segment in rest:
        if at + (segment,) not in known:
            break
        at = at + (segment,)
    return at


def graph(src):
    known = modules(src)
    edges = {}
    for own, path in known.items():
        text = code(path)
        to = {target(known, own, segments) for segments in imports(text)}
        # `pub use child::Item` of a module of one's own.
        for match in re.finditer(r"\buse\s+(\w+)::", text):
            child = own + (match.group(1),)
            if child in known:
                to.add(child)
        edges[own] = to - {own}
    # The root names all modules; what it re-exports is for other crates.
    edges[()] = set()
    return known, edges


def circles(edges):
    """Strongly connected components of more than one file (Tarjan)."""
    index, low, stack, on, found = {}, {}, [], set(), []

    def visit(v):
        index[v] = low[v] = len(index)
        stack.append(v)
        on.add(v)
        for w in edges.get(v, ()):
            if w not in index:
                visit(w)
                low[v] = min(low[v], low[w])
            elif w in on:
                low[v] = min(low[v], index[w])
        if low[v] == index[v]:
            part = []
            while True:
                w = stack.pop()
                on.remove(w)
                part.append(w)
                if w == v:
                    break
            if len(part) > 1:
                found.append(part)

    for v in edges:
        if v not in index:
            visit(v)
    return found


def main():
    wrong = []
    for crate in [*LIBRARIES, "cli"]:
        src = ROOT / "crates" / f"pudle-{crate}" / "src"
        known, edges = graph(src)
        for circle in circles(edges):
            names = sorted(str(known[v].relative_to(ROOT)) for v in circle)
            wrong.append("a circle of files: " + ", ".join(names))
        for path in known.values():
            text, name = code(path), path.relative_to(ROOT)
            flex = re.search(r'feature\s*=\s*"flex"', text)
            if flex and crate != "kernels" and not str(name).endswith("pudle-core/src/backend.rs"):
                wrong.append(f'{name}: feature = "flex"')
            if crate in LIBRARIES:
                # Rust has no operator `--`, so that this stands in a string.
                for line in re.findall(r"[^\n]*(?<![\w-])--[a-z][^\n]*", text):
                    wrong.append(f"{name}: a library names a flag: {line.strip()}")
        manifest = (ROOT / "crates" / f"pudle-{crate}" / "Cargo.toml").read_text()
        dependencies = manifest.split("[dependencies]")[-1].split("\n[")[0]
        for other in re.findall(r"^pudle-(\w+)", dependencies, re.M):
            if other not in MAY_USE[crate]:
                wrong.append(f"pudle-{crate} depends on pudle-{other}")
    for line in wrong:
        print(line)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
