#!/usr/bin/env python3
"""Opens connections to corecast with tsung and with corecast-load, at the same
rate, and compares what the server saw of each.

The server is the judge: it counts handshakes, sessions and its own CPU time, so
neither generator's word is taken. Needs tsung (Debian: apt-get install tsung).
"""

import argparse
import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

HERE = pathlib.Path(__file__).parent


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """A corecast on one core, watched through its control plane."""

    def __init__(self, options):
        self.port, self.admin = free_port(), free_port()
        self.errors = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            ["taskset", "-c", str(options.server_cpu), options.server, "serve", "--shards", "1",
             "--listen", f"127.0.0.1:{self.port}", "--admin", f"127.0.0.1:{self.admin}",
             "--cpus", str(options.server_cpu)],
            stderr=self.errors)

    def wait_until_up(self):
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            try:
                self.stats()
                return
            except OSError:
                time.sleep(0.05)
        raise SystemExit(f"the server does not answer; it wrote:\n{words(self.errors)}")

    def stats(self):
        url = f"http://127.0.0.1:{self.admin}/stats"
        with urllib.request.urlopen(url, timeout=5) as answer:
            return json.load(answer)

    def watch(self, generator, connections, limit):
        """What the server sees until the generator has opened all and ended."""
        arrivals, most, failure = [], 0, None
        begun = time.monotonic()
        cpu_before = self.stats()["process"]["cpu_seconds"]
        cpu_after = cpu_before
        while generator.poll() is None:
            if time.monotonic() - begun > limit:
                failure = f"did not end within {limit} s"
                break
            stats = self.stats()
            opened = stats["total"]["opened"]
            most = max(most, stats["total"]["sessions"])
            arrivals.append((time.monotonic(), opened))
            if opened < connections:
                cpu_after = stats["process"]["cpu_seconds"]
            time.sleep(0.1)
        opened = self.stats()["total"]["opened"]
        # The middle of the climb; its ends are those of the generators' starts.
        climb = [it for it in arrivals if 0.1 * connections <= it[1] <= 0.9 * connections]
        if len(climb) < 2:
            failure = failure or f"only {opened} connections were opened"
            return {"opened": opened, "failure": failure}
        (begin, first), (end, last) = climb[0], climb[-1]
        return {
            "opened": opened,
            "most at once": most,
            "per second": (last - first) / (end - begin),
            "server CPU, µs each": 1e6 * (cpu_after - cpu_before) / opened,
            "failure": failure,
        }

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def tsung(options, port, directory):
    text = (HERE / "connections.xml").read_text()
    for word, value in [("PORT", port), ("CONNECTIONS", options.connections),
                        ("RATE", options.rate), ("STAY", stay(options)),
                        ("MINUTES", 1 + options.connections // options.rate // 60)]:
        text = text.replace(word, str(value))
    scenario = pathlib.Path(directory) / "connections.xml"
    scenario.write_text(text)
    return ["tsung", "-f", str(scenario), "-l", directory, "start"]


def corecast_load(options, port, directory):
    return [options.load, "connect", f"ws://127.0.0.1:{port}/echo", "--threads", "1",
            "--cpus", str(options.load_cpu), "--connections", str(options.connections),
            "--arrival-rate", str(options.rate), "--hold", "2s", "--quiet"]


def stay(options):
    """Long enough that all are open at one time."""
    return options.connections // options.rate * 2 + 2


def words(file):
    """What a process wrote last."""
    file.seek(0)
    return file.read()[-2000:].decode(errors="replace")


def measure(options, command):
    server = Server(options)
    try:
        server.wait_until_up()
        with tempfile.TemporaryDirectory() as directory, tempfile.TemporaryFile() as output:
            line = command(options, server.port, directory)
            # A session of its own, so that tsung ends with all it has started.
            generator = subprocess.Popen(
                ["taskset", "-c", str(options.load_cpu), *line], cwd=directory,
                stdout=output, stderr=output, start_new_session=True)
            try:
                limit = 60 + 4 * stay(options)
                figures = server.watch(generator, options.connections, limit)
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(generator.pid, signal.SIGKILL)
                generator.wait()
            if figures["failure"]:
                print(words(output), file=sys.stderr)
            return figures
    finally:
        server.end()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--server", required=True)
    parser.add_argument("--load", required=True)
    parser.add_argument("--connections", type=int, default=5_000)
    parser.add_argument("--rate", type=int, default=500, help="arrivals per second")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--server-cpu", type=int, default=0)
    parser.add_argument("--load-cpu", type=int, default=1)
    options = parser.parse_args()
    options.server, options.load = map(os.path.abspath, (options.server, options.load))
    if not shutil.which("tsung"):
        raise SystemExit("tsung is not installed; on Debian: apt-get install tsung")
    rounds = {"tsung": [], "corecast-load": []}
    for number in range(1, options.rounds + 1):
        for name, command in [("tsung", tsung), ("corecast-load", corecast_load)]:
            figures = measure(options, command)
            print(f"round {number}, {name}: {figures}", file=sys.stderr)
            if figures.pop("failure"):
                raise SystemExit(1)
            rounds[name].append(figures)
    print(f"{options.connections} connections at {options.rate} per second, medians of "
          f"{options.rounds} interleaved rounds, as the server counted:\n")
    print("| figure | tsung | corecast-load | ratio |\n|---|---|---|---|")
    for figure in rounds["tsung"][0]:
        theirs, ours = (statistics.median(one[figure] for one in rounds[name]) for name in rounds)
        print(f"| {figure} | {theirs:,.1f} | {ours:,.1f} | {ours / theirs:.3f} |")


if __name__ == "__main__":
    main()
