#!/usr/bin/env python3
"""Plants faults into the engine, one at a time, and lets the simulation find them.

Each fault is one change of one line or two, as a person makes it in a hurry. The tree
is copied, so that nothing here is touched; a fault that cannot be planted any more,
because the code has changed, is an error. Prints the seed that found each fault.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

# Name, file, the text there, the text put in its place.
FAULTS = [
    (
        "a session that was not read to the end is not read again",
        "src/session/serve.rs",
        "        self.at.read_later();\n        LIVES\n    }\n\n    /// Serves freshly",
        "        LIVES\n    }\n\n    /// Serves freshly",
    ),
    (
        "a paused session does not remember that it has to be read",
        "src/session/serve.rs",
        "                session.owe_read();\n                return LIVES;",
        "                return LIVES;",
    ),
    (
        "the end of a stream that comes with the last bytes is overlooked",
        "src/session/serve.rs",
        "if drained && !hung_up {",
        "if drained {",
    ),
    (
        "a short write is not continued where it stopped",
        "src/link/outlet.rs",
        "|queue, sent| queue.push_shared(run, sent),",
        "|queue, sent| queue.push_shared(run, sent.saturating_sub(1)),",
    ),
    (
        "bytes are sent past those that wait",
        "src/link/outlet.rs",
        "            Some(_) => 0,\n        };",
        "            Some(_) => send(&mut self.link)?,\n        };",
    ),
    (
        "another shard is not woken for what was published",
        "src/mesh/mod.rs",
        "            woken += u64::from(producer.notify());\n",
        "            woken += u64::from(producer.has_room());\n",
    ),
    (
        "a shard that found a ring full is not told of room",
        "src/mesh/ring.rs",
        "        if taken > 0 {\n            self.room.tell_if_starved();\n        }\n",
        "",
    ),
    (
        "a session that waits for room is not put into the list",
        "src/session/serve.rs",
        "            publishing.waiting.push_back(self.at.key);\n",
        "",
    ),
    (
        "a session stays in its topics after its end",
        "src/session/close.rs",
        "        hub.leave_all(&mut session.subscriptions);\n",
        "        let _ = (&mut *hub, &mut session.subscriptions);\n",
    ),
    (
        "a session leaves a topic and the gap is closed across the fan-out",
        "src/hub/subscribers.rs",
        "        if gap < entry.visited {",
        "        if gap + 1 < entry.visited {",
    ),
    (
        "held input is served again from its beginning",
        "src/session/serve.rs",
        "            held.served += served;\n",
        "            held.served = served.min(held.served);\n",
    ),
    (
        "a permit is not given back",
        "src/shard/entrance/mod.rs",
        "        self.permits.give_back();\n        if let",
        "        if let",
    ),
    (
        "a session that is lost is not ended",
        "src/session/close.rs",
        "            Stage::Open { .. } => self.vanish(),",
        "            Stage::Open { .. } => LIVES,",
    ),
]

FOUND = re.compile(r"failed with CORECAST_SIMULATE_SEED=(\d+)")
PANIC = re.compile(r"panicked at [^\n]*\n([^\n]*)")


def copy_tree(to):
    """Makes a copy of what git tracks, or brings an older copy up to date."""
    listed = subprocess.run(["git", "ls-files", "-z"], check=True, capture_output=True)
    for name in listed.stdout.decode().split("\0"):
        source, copy = Path(name), to / name
        if not name or not source.is_file():
            continue
        copy.parent.mkdir(parents=True, exist_ok=True)
        if not copy.exists() or copy.read_bytes() != source.read_bytes():
            shutil.copyfile(source, copy)


def simulate(tree, target, minutes):
    """Runs the simulation in the copy. Returns whether it passed, and what it printed."""
    environment = dict(os.environ, CARGO_TARGET_DIR=str(target), RUST_BACKTRACE="0")
    if minutes:
        environment["CORECAST_SIMULATE_MINUTES"] = str(minutes)
    cargo = os.environ.get("CARGO", "cargo")
    command = [cargo, "test", "--package", "corecast", "--lib", "--", "shard::simulation"]
    run = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True)
    printed = run.stdout + run.stderr
    if "1 passed" not in printed and "1 failed" not in printed:
        sys.exit(f"the simulation did not run:\n{printed}")
    return run.returncode == 0, printed


def find(tree, target):
    """Looks for the fault that was planted: in the usual seeds, then for a minute."""
    for minutes in (0, 1):
        passed, printed = simulate(tree, target, minutes)
        if not passed:
            seed, panic = FOUND.search(printed), PANIC.search(printed)
            return (seed.group(1) if seed else "?"), (panic.group(1) if panic else "?")
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--directory", type=Path, default=Path("target/simulate"), help="where the copy is kept")
    parser.add_argument("--only", default="", help="plant only faults whose name has this in it")
    options = parser.parse_args()
    # A target of its own: cargo takes a workspace's copy for the workspace.
    tree, target = options.directory.absolute() / "tree", options.directory.absolute() / "target"
    copy_tree(tree)
    passed, printed = simulate(tree, target, 0)
    if not passed:
        sys.exit(f"the simulation fails without a planted fault:\n{printed}")
    missed = 0
    for name, file, old, new in FAULTS:
        if options.only not in name:
            continue
        path = tree / file
        text = path.read_text()
        if text.count(old) != 1:
            sys.exit(f"'{name}' cannot be planted: {file} has {text.count(old)} places for it; bring it up to date")
        path.write_text(text.replace(old, new))
        try:
            found = find(tree, target)
        finally:
            path.write_text(text)
        if found:
            print(f"found   {name}: seed {found[0]}: {found[1]}", flush=True)
        else:
            missed += 1
            print(f"MISSED  {name}", flush=True)
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
