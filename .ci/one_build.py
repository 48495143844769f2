#!/usr/bin/env python3
"""Checks that the tests compile no crate that the command has compiled already.

Compares the units of `cargo run --release` with those of `cargo test --release --workspace`: a crate that both
need, with other features in each, is compiled twice. Prints each of them and exits with 1 if there is one.
Cargo prints units as JSON with an unstable option, which RUSTC_BOOTSTRAP allows on a stable toolchain.
"""

import json
import os
import subprocess
import sys


def units(*arguments):
    """The compiled crates: name, version, kind of target and platform, with their features."""
    command = ["cargo", *arguments, "--release", "--locked", "-Zunstable-options", "--unit-graph"]
    environment = {**os.environ, "RUSTC_BOOTSTRAP": "1"}
    graph = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True).stdout
    found = {}
    for unit in json.loads(graph)["units"]:
        if unit["mode"] != "build" or "path+file" in unit["pkg_id"]:
            continue
        package = unit["pkg_id"].split("#")[-1]
        key = (package, unit["target"]["kind"][0], unit["platform"], unit["profile"]["name"], unit["profile"]["opt_level"])
        found.setdefault(key, set()).add(frozenset(unit["features"]))
    return found


def main():
    command = units("build", "--bin", "pudle")
    tests = units("test", "--workspace", "--no-run")
    twice = False
    for key in sorted(command, key=str):
        again = tests.get(key, set()) - command[key]
        for features in again:
            had = set().union(*command[key])
            twice = True
            print(f"{key[0]} ({key[1]}): more {sorted(features - had)}, less {sorted(had - features)}")
    sys.exit(1 if twice else 0)


if __name__ == "__main__":
    main()
