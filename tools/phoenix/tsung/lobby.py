#!/usr/bin/env python3
"""Lets tsung's users join the lobby of corecast's Phoenix Channels, as in the
document the project began with, and fails unless all come, stay and go without
an error. Needs tsung (Debian: apt-get install tsung).

Tsung says what its users saw, the server what it counted; both must agree.
"""

import argparse
import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

HERE = pathlib.Path(__file__).parent
# Between two heartbeats of a user; Phoenix clients take 30.
PAUSE_SECONDS = 5


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def last_words(file):
    file.seek(0)
    return file.read()[-2000:].decode(errors="replace")


class Server:
    """A corecast on ports of its own, asked through its control plane."""

    def __init__(self, options):
        self.port, self.admin = free_port(), free_port()
        self.errors = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            [options.server, "serve", "--listen", f"127.0.0.1:{self.port}",
             "--admin", f"127.0.0.1:{self.admin}", "--shards", str(options.shards)],
            stderr=self.errors)

    def wait_until_up(self):
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                return self.stats()
            time.sleep(0.05)
        raise SystemExit(f"the server does not answer; it wrote:\n{last_words(self.errors)}")

    def stats(self):
        url = f"http://127.0.0.1:{self.admin}/stats"
        with urllib.request.urlopen(url, timeout=10) as answer:
            return json.load(answer)

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def beats(options):
    """So many that the first user is still there when the last has come."""
    return options.users // options.rate // PAUSE_SECONDS + 2


def scenario(options, port, directory):
    text = (HERE / "lobby.xml").read_text()
    for word, value in [("PORT", port), ("USERS", options.users), ("RATE", options.rate),
                        ("BEATS", beats(options)), ("PAUSE", PAUSE_SECONDS),
                        ("MINUTES", 1 + options.users // options.rate // 60)]:
        text = text.replace(f'"{word}"', f'"{value}"')
    path = pathlib.Path(directory) / "lobby.xml"
    path.write_text(text)
    return path


def totals(directory):
    """The last total of each counter, and of each kind of time how many there
    were, their mean and the longest, in milliseconds. Tsung logs every ten
    seconds: counters with the total behind, times with those of before behind."""
    counters, times = {}, {}
    for log in pathlib.Path(directory).glob("*/tsung.log"):
        for line in log.read_text().splitlines():
            name, *numbers = line.removeprefix("stats: ").split()
            if not line.startswith("stats: ") or name.startswith("{"):
                continue
            if len(numbers) == 2:
                counters[name] = float(numbers[1])
            elif len(numbers) == 7:
                count, mean, _, most, _, mean_before, count_before = map(float, numbers)
                total = count + count_before
                sums = count * mean + count_before * mean_before
                times[name] = {"count": total, "mean": sums / total if total else 0, "most": most}
    return counters, times


def run(options, server, directory):
    """Lets tsung run to its end; the most sessions there were at one time."""
    limit = 120 + 4 * options.users // options.rate + beats(options) * PAUSE_SECONDS
    path = scenario(options, server.port, directory)
    most = 0
    with tempfile.TemporaryFile() as output:
        # A session of its own, so that tsung ends with all it has started.
        tsung = subprocess.Popen(["tsung", "-f", str(path), "-l", directory, "start"],
                                 cwd=directory, stdout=output, stderr=output,
                                 start_new_session=True)
        try:
            deadline = time.monotonic() + limit
            while tsung.poll() is None:
                if time.monotonic() > deadline:
                    raise SystemExit(f"tsung did not end within {limit} s:\n{last_words(output)}")
                most = max(most, server.stats()["total"]["sessions"])
                time.sleep(0.2)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(tsung.pid, signal.SIGKILL)
            tsung.wait()
        if tsung.returncode:
            raise SystemExit(f"tsung failed:\n{last_words(output)}")
    return most


def problems(options, counters, times, stats, most):
    """What is not as it must be, a sentence each."""
    wrong = [f"tsung counted {name}: {count:.0f}" for name, count in counters.items()
             if re.match("error|nomatch|failed", name) and count]
    expected = {
        "users that came": (counters.get("users_count", 0), options.users),
        "users that ended well": (counters.get("finish_users_count", 0), options.users),
        "joins answered": (times.get("tr_join", {}).get("count", 0), options.users),
        "heartbeats answered": (times.get("tr_heartbeat", {}).get("count", 0),
                                options.users * beats(options)),
        "sessions the server opened": (stats["total"]["opened"], options.users),
        "most sessions at one time": (most, options.users),
        "sessions left": (stats["total"]["sessions"], 0),
    }
    wrong += [f"{what}: {seen:.0f}, not {due}" for what, (seen, due) in expected.items()
              if seen != due]
    wrong += [f"sessions that ended otherwise: {reason}: {count}"
              for reason, count in stats["total"]["ended"].items()
              if count and reason != "peer_closed"]
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--server", required=True)
    parser.add_argument("--users", type=int, default=5_000)
    parser.add_argument("--rate", type=int, default=500, help="arrivals per second")
    parser.add_argument("--shards", type=int, default=2)
    options = parser.parse_args()
    options.server = os.path.abspath(options.server)
    if not shutil.which("tsung"):
        raise SystemExit("tsung is not installed; on Debian: apt-get install tsung")
    server = Server(options)
    try:
        server.wait_until_up()
        with tempfile.TemporaryDirectory() as directory:
            most = run(options, server, directory)
            counters, times = totals(directory)
        stats = server.stats()
    finally:
        server.end()
    rows = {
        "users": counters.get("users_count", 0),
        "at one time, by the server": most,
        "connects": times.get("connect", {}).get("count", 0),
        "joins answered": times.get("tr_join", {}).get("count", 0),
        "heartbeats answered": times.get("tr_heartbeat", {}).get("count", 0),
        "users that ended well": counters.get("finish_users_count", 0),
        "errors": sum(count for name, count in counters.items() if name.startswith("error")),
    }
    print(f"{options.users} users of tsung at {options.rate} per second in rooms:lobby:\n")
    print("| figure | value |\n|---|---|")
    for name, value in rows.items():
        print(f"| {name} | {value:,.0f} |")
    for name, word in [("connect", "connect"), ("tr_join", "join"), ("tr_heartbeat", "heartbeat")]:
        if name in times:
            print(f"| {word}, mean and longest | {times[name]['mean']:.2f} ms, "
                  f"{times[name]['most']:.0f} ms |")
    print(f"| server CPU for each user | "
          f"{1e6 * stats['process']['cpu_seconds'] / options.users:,.0f} µs |")
    wrong = problems(options, counters, times, stats, most)
    if wrong:
        print("\n" + "\n".join(wrong), file=sys.stderr)
        raise SystemExit(1)


if __name__ == "__main__":
    main()
