"""./run soak [SECONDS] [--seed N]: mixed load and random faults, in rounds of half a minute. Each round ends in a calm, in
which every acknowledged event is accounted for at every subscriber (support/accounting.py) and each node's memory and
descriptors are looked at. The report is in build/soak; the exit code is 1 if anything is wrong."""
import argparse
import collections
import random
import shutil
import signal
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from report import Sample, growth, write  # noqa: E402
from support.wait import until  # noqa: E402
from world import BACK_S, LONG, SHORT, World  # noqa: E402

ROUND_S = 30
ROOT = Path(__file__).resolve().parents[2]


class Soak:
    def __init__(self, arguments):
        self.arguments = arguments
        self.random = random.Random(arguments.seed)
        self.folder = ROOT / "build/soak"
        self.began = time.monotonic()
        self.rounds = []
        self.samples = []
        self.problems = []
        self.account = collections.Counter()
        self.faults = collections.Counter()
        self.interrupted = False

    def elapsed(self):
        return time.monotonic() - self.began

    def run(self):
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        a = self.arguments
        self.world = World(self.folder, self.random, a.clients, a.idle, a.pause_ms / 1000)
        try:
            while self.elapsed() < a.seconds and not self.interrupted:
                self.round()
                if len(self.problems) > 100:
                    break
        finally:
            self.problems += self.world.close()
        self.problems += growth(self.samples)
        write(self)
        return 1 if self.problems else 0

    def round(self):
        number, faults, before = len(self.rounds) + 1, [], len(self.problems)
        end = min(self.elapsed() + ROUND_S, self.arguments.seconds)
        while self.elapsed() < end and not self.interrupted:
            self.world.wait(0.5, 4)
            faults.append(self.befall())
        account = self.settle(number)
        self.rounds.append({"round": number, "at_s": round(self.elapsed(), 1), "faults": faults, "account": dict(account)})
        print(f"soak: {self.elapsed():.0f} s, round {number}: {account['acknowledged']} acknowledged, "
              f"{account['accounted delivered']} accounted at {account['seats']} subscribers, {account['recovered']} recoveries, "
              f"{len(self.problems)} problems; {', '.join(faults)}", flush=True)
        for problem in self.problems[before:]:
            print(f"soak: {problem}", flush=True)

    def befall(self):
        fault = self.random.choice(self.world.FAULTS)
        self.faults[fault.__name__] += 1
        try:
            fault(self.world)
            self.world.all_ready()
        except Exception as failure:
            self.problems.append(f"{self.elapsed():.1f} s, {fault.__name__}: {type(failure).__name__}: {failure}")
        return fault.__name__

    def settle(self, number):
        world = self.world
        try:
            world.crowd.calm(until, BACK_S)
            until(lambda: world.idlers.open == world.idlers.wanted, "idle connections are back", BACK_S)
            until(lambda: world.sessions() == world.expected_sessions(), "the nodes have the sessions that there are", BACK_S)
        except TimeoutError as failure:
            self.problems.append(f"round {number}: {failure}; {world.sessions()} sessions, expected {world.expected_sessions()}")
        for channel in LONG + SHORT:
            world.ledger.check_history(channel, *world.history(channel))
        account = world.ledger.check()
        self.problems += [f"round {number}: {problem}" for problem in world.ledger.problems]
        world.ledger.problems.clear()
        self.account.update(account)
        for node in world.nodes:
            self.samples.append(Sample(self.elapsed(), node.name, node.pid, node.resident_bytes(),
                                       int(node.metric("process_open_fds")), int(node.metric("carillon_connections_open"))))
        for worker in world.crowd.publishers + world.crowd.subscribers:
            if worker.failure:
                self.problems.append(f"round {number}: {worker.name}: {worker.failure!r}")
        world.ledger.turn_page()
        world.crowd.go_on()
        return account


def main():
    parser = argparse.ArgumentParser(prog="./run soak", description=__doc__)
    parser.add_argument("seconds", nargs="?", type=float, default=3600)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32), help="of the faults and the load")
    parser.add_argument("--clients", type=int, default=18, help="subscribers whose every event is accounted for (18)")
    parser.add_argument("--idle", type=int, default=200, help="connections that only stay (200)")
    parser.add_argument("--pause-ms", type=float, default=50, help="of each of six publishers, between events, on average (50)")
    soak = Soak(parser.parse_args())
    print(f"soak: seed {soak.arguments.seed}, {soak.arguments.seconds:g} s", flush=True)

    def interrupt(*_):
        soak.interrupted = True
    signal.signal(signal.SIGINT, interrupt)
    signal.signal(signal.SIGTERM, interrupt)
    return soak.run()


if __name__ == "__main__":
    sys.exit(main())
