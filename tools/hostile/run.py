#!/usr/bin/env python3
"""Attacks a corecast with tools that nobody here wrote, and prints what came of it.

Each tool runs against the same server, one after the other, twice: the first
run warms up, the second is measured. While it runs, witnesses must hear every
publication and newcomers must be served; afterwards the gauges, the descriptors
of each thread and the memory must be back where they were. A tool that is not
installed is left out, with a line that says so.
"""

import argparse
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

from target import Target, Witness

HERE = pathlib.Path(__file__).parent
# Memory that may stay: the allocator keeps pages of sizes it has seen, for each
# shard, and the kernel chooses anew which shard gets which connection.
GROWTH_KIB = 8 * 1024
# Time without any handshake in flight comes after the handshake timeout and the
# two seconds in which a refused client may read its answer.
SETTLE = 20
OPTIONS = ["--shards", "2", "--handshake-timeout", "2s", "--idle-timeout", "4s",
           "--close-timeout", "1s", "--demo", "--route", "/fuzzed=broadcast"]


def tool(command, target, limit):
    """Runs a tool to its end, but no longer than the server lives: what it
    printed, its exit code, and what is wrong with that."""
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        until, fault = time.monotonic() + limit, None
        while process.poll() is None and not fault:
            time.sleep(0.05)
            if target.process.poll() is not None:
                fault = "the server has ended"
            elif time.monotonic() > until:
                fault = f"took longer than {limit} s"
        process.kill()
        code = process.wait()
        output.seek(0)
        return output.read(), code, fault


def scripted(python, script, *arguments):
    """An attack by a script of this folder, which says how many cases it was."""
    def run(target):
        command = [python, "-B", str(HERE / script), str(target.port), *map(str, arguments)]
        said, code, fault = tool(command, target, 150)
        found = re.search(r"^cases (\d+)$", said, re.MULTILINE)
        if fault or code or not found:
            return 0, fault or said[-2_000:]
        return int(found[1]), None
    return run


def slow(kind, connections, *arguments):
    """An attack by slowhttptest; its own probe must find the server available."""
    def run(target):
        command = ["slowhttptest", kind, "-c", str(connections), "-r", "400", "-l", "8", "-p", "3",
                   "-u", f"http://127.0.0.1:{target.port}/", *arguments]
        said, _, fault = tool(command, target, 60)
        said = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", said)
        available = set(re.findall(r"service available:\s+(\w+)", said))
        ended_well = re.search(r"Exit status:\s+(No open connections left|Hit test time limit)", said)
        if fault or available != {"YES"} or not ended_well:
            return 0, fault or said[-2_000:]
        return connections, None
    return run


def attacks(options, folder):
    """Name, program it needs and how to get it, and what runs it."""
    boofuzz, zzuf = "boofuzz: handshakes and frames", "zzuf: flipped bits in sessions"
    python = pathlib.Path(options.venv, "bin/python")
    return [
        (boofuzz, python, "make hostile needs python3 with venv and pip",
         scripted(str(python), "boofuzz_session.py", options.boofuzz_cases, folder)),
        (zzuf, "zzuf", "apt-get install zzuf",
         scripted(sys.executable, "zzuf_sessions.py", options.zzuf_cases)),
        *((f"slowhttptest: {name}", "slowhttptest", "apt-get install slowhttptest", run)
          for name, run in [
              ("slow headers", slow("-H", 1_500, "-i", "1")),
              ("slow bodies", slow("-B", 1_500, "-i", "1", "-s", "100000")),
              ("slow reads", slow("-X", 1_500, "-w", "1", "-y", "8", "-z", "1", "-n", "2")),
          ]),
    ]


def settle(target, before, descriptors):
    """Waits until nothing of the attack is left; what is, or None."""
    until = time.monotonic() + SETTLE
    while True:
        left = [
            f"{target.total(gauge)} {gauge}" for gauge in ("sessions", "handshakes")
            if target.total(gauge) != before[gauge]
        ]
        now = target.descriptors()
        if now != descriptors:
            left.append(f"descriptors {now} for {descriptors}")
        if target.process.poll() is not None:
            return f"the server has ended with {target.process.returncode}"
        if any("panicked" in line for line in target.log):
            return "a panic"
        if not left:
            return None
        if time.monotonic() > until:
            return "left behind: " + ", ".join(left)
        time.sleep(0.1)


def attack(target, run):
    """One run of an attack under witness: cases, the witness, what went wrong."""
    before = {"sessions": target.total("sessions"), "handshakes": target.total("handshakes")}
    descriptors = target.descriptors()
    witness = Witness(target)
    witness.start()
    cases, fault = run(target)
    witness.end()
    return cases, witness, fault or witness.fault or settle(target, before, descriptors)


def row(*cells):
    print("{:<32} {:>7} {:>6} {:>7} {:>21} {:>9} {:>23} {:>13}".format(*cells), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", required=True, help="the corecast binary")
    parser.add_argument("--venv", required=True, help="where boofuzz is installed")
    parser.add_argument("--driver", default="auto")
    parser.add_argument("--boofuzz-cases", type=int, default=1_500)
    parser.add_argument("--zzuf-cases", type=int, default=2_000)
    options = parser.parse_args()
    target = Target(options.server, [*OPTIONS, "--driver", options.driver])
    failures = []
    row("tool", "cases", "s", "result", "deliveries, newcomers", "slowest",
        "KiB before/peak/after", "descriptors")
    try:
        with tempfile.TemporaryDirectory() as folder:
            for name, program, remedy, run in attacks(options, folder):
                if not shutil.which(str(program)):
                    print(f"SKIPPED: {name}: there is no {program}; {remedy}")
                    continue
                warming, _, fault = attack(target, run)
                if fault:
                    row(name, warming, "", "FAILED", "", "", "", "")
                    failures.append(f"{name}: {fault}")
                    break
                size, descriptors = target.resident(), sum(target.descriptors().values())
                begun = time.monotonic()
                cases, witness, fault = attack(target, run)
                if fault:
                    row(name, warming + cases, "", "FAILED", "", "", "", "")
                    failures.append(f"{name}: {fault}")
                    break
                took, after = time.monotonic() - begun, target.resident()
                if after - size > GROWTH_KIB:
                    fault = f"{after - size} KiB more than before"
                row(name, warming + cases, f"{took:.1f}", "FAILED" if fault else "ok",
                    f"{witness.deliveries}, {witness.newcomers}", f"{witness.slowest * 1000:.0f} ms",
                    f"{size}/{witness.peak}/{after}",
                    f"{descriptors}/{sum(target.descriptors().values())}")
                if fault:
                    failures.append(f"{name}: {fault}")
    finally:
        target.stop()
    if failures:
        print("\n".join(["", *failures, "", "the server said:", *target.log[-20:]]))
        sys.exit(1)


main()
