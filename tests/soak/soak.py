"""./run soak [SECONDS] [--topology NAME] [--seed N]: mixed load and random faults, in rounds of eight faults. Each round ends in a calm.
Then every acknowledged event is accounted for at every subscriber (support/accounting.py). Each subscriber must have been told the epoch of
its channel in Redis. Presence and session limits must be right on all nodes. Each node's memory and descriptors are looked at. The report
is in build/soak. The exit code is 1 if anything is wrong."""
import argparse
import collections
import random
import shutil
import signal
import sys
import time
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import cluster  # noqa: E402
import growth  # noqa: E402
import report  # noqa: E402
import sentinel  # noqa: E402
import single  # noqa: E402
from faults import BACK_S, wait  # noqa: E402
from plan import Plan  # noqa: E402
from support.wait import until  # noqa: E402
from world import World  # noqa: E402

TOPOLOGIES = {"single": single, "sentinel": sentinel, "cluster": cluster}
ROUND_STEPS = 8
ENOUGH = 100  # problems
ROOT = Path(__file__).resolve().parents[2]


class Soak:
    def __init__(self, arguments):
        self.arguments = arguments
        self.topology = TOPOLOGIES[arguments.topology]
        weights = {fault: weight for fault, weight in self.topology.WEIGHTS.items() if not arguments.only or fault.__name__ in arguments.only}
        self.befalls = {fault.__name__: fault for fault in weights}
        self.plan = Plan(arguments.seed, {fault.__name__: weight for fault, weight in weights.items()})
        self.folder = Path(arguments.folder).resolve()  # Redis works in a folder of its own
        self.began = time.monotonic()
        self.rounds = []
        self.samples = []
        self.problems = []
        self.account = collections.Counter()
        self.faults = collections.Counter()
        self.interrupted = False

    def elapsed(self):
        return time.monotonic() - self.began

    def goes_on(self):
        return self.elapsed() < self.arguments.seconds and not self.interrupted

    def run(self):
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        a = self.arguments
        self.world = World(self.folder, self.topology, random.Random(a.seed), a.clients, a.idle, a.pause_ms / 1000, a.workers)
        self.began = time.monotonic()  # however long the world has taken
        try:
            while self.goes_on() and len(self.problems) < ENOUGH:
                self.round()
        except Exception as failure:  # such as a node that has ended by itself: its log follows
            traceback.print_exc()
            self.problems.append(f"{self.elapsed():.0f} s, it could not go on: {failure!r}")
        finally:
            self.problems += self.world.close()
            self.problems += growth.problems(self.samples)
            report.write(self)
        return 1 if self.problems else 0

    def round(self):
        number, faults, before = len(self.rounds) + 1, [], len(self.problems)
        while len(faults) < ROUND_STEPS and self.goes_on():
            step = self.plan.next()
            wait(step.pause_s)
            self.befall(step)
            faults.append(step.name)
        if self.interrupted:
            return  # so are the nodes, if it was by the terminal
        account = self.settle(number)
        self.rounds.append({"round": number, "at_s": round(self.elapsed(), 1), "faults": faults, "account": dict(account)})
        print(f"soak: {self.elapsed():.0f} s, round {number}: {account['acknowledged']} acknowledged, "
              f"{account['accounted delivered']} accounted at {account['seats']} subscribers, {account['recovered']} recoveries, "
              f"{len(self.problems)} problems; {', '.join(name.replace('_', ' ') for name in faults)}", flush=True)
        for problem in self.problems[before:]:
            print(f"soak: {problem}", flush=True)

    def befall(self, step):
        self.faults[step.name] += 1
        try:
            self.befalls[step.name](self.world, step.random)
            if not step.hurried:
                self.world.all_ready()
        except Exception as failure:
            if not self.interrupted:
                self.problems.append(f"{self.elapsed():.1f} s, {step.name}: {type(failure).__name__}: {failure}")

    def while_connected(self, check):
        """Again if it fails and a node has lost Redis meanwhile: no fault did that, but a machine that stood still."""
        while True:
            before = self.world.reconnects()
            try:
                return check()
            except (AssertionError, OSError):
                self.world.all_ready()
                if self.world.reconnects() == before:
                    raise

    def settle(self, number):
        """The calm. Returns the account of the round."""
        world = self.world
        for quiet in (world.redis.whole, world.all_ready, lambda: world.crowd.calm(until, BACK_S), self.epochs_told, self.all_there, self.presence_right,
                      lambda: world.contenders.check(BACK_S), lambda: world.check_histories(number)):
            try:
                self.while_connected(quiet)
            except (AssertionError, OSError) as failure:
                self.problems.append(f"round {number}: {failure}")
        account = world.ledger.check()
        self.problems += [f"round {number}: {problem}" for problem in world.ledger.problems]
        world.ledger.problems.clear()
        self.account.update(account)
        self.samples += [growth.Sample(self.elapsed(), node.name, node.pid, node.heap.bytes_in_use(), node.resident_bytes(),
                                       int(node.metric("process_open_fds")), int(node.metric("carillon_connections_open")))
                         for node in world.nodes]
        for worker in world.crowd.publishers + world.crowd.subscribers:
            if worker.failure:
                self.problems.append(f"round {number}: {worker.name}: {worker.failure!r}")
        world.ledger.turn_page()
        world.crowd.go_on()
        return account

    def all_there(self):
        world = self.world
        world.contenders.leave()
        until(lambda: world.idlers.open == world.idlers.wanted, "idle connections are back", BACK_S)
        try:
            until(lambda: world.sessions() == world.expected_sessions(), "the nodes have the sessions that there are", BACK_S)
        except TimeoutError as failure:
            raise TimeoutError(f"{failure}: {world.sessions()}, there are {world.expected_sessions()}") from None

    def epochs_told(self):
        try:
            until(lambda: not self.world.wrong_epochs(), "epochs are told", BACK_S)
        except TimeoutError:
            raise TimeoutError(f"an epoch was not told for {BACK_S} s: {self.world.wrong_epochs()}") from None
        self.account["epochs found right"] += 1

    def presence_right(self):
        try:
            until(lambda: not self.world.wrong_presence(), "presence is right", BACK_S)
        except TimeoutError:
            raise TimeoutError(f"presence is still wrong after {BACK_S} s: {self.world.wrong_presence()}") from None
        self.account["presence found right"] += 1


def main():
    parser = argparse.ArgumentParser(prog="./run soak", description=__doc__)
    parser.add_argument("seconds", nargs="?", type=float, default=3600)
    parser.add_argument("--topology", choices=TOPOLOGIES, default="single", help="what Redis is (single)")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32), help="of the plan of faults")
    parser.add_argument("--clients", type=int, default=18, help="subscribers whose every event is accounted for (18)")
    parser.add_argument("--idle", type=int, default=200, help="connections that only stay (200)")
    parser.add_argument("--pause-ms", type=float, default=50, help="of each of six publishers, between events, on average (50)")
    parser.add_argument("--workers", type=int, default=1, help="threads of each node (1)")
    parser.add_argument("--only", nargs="+", metavar="FAULT", help="these faults and no others, by their names in tests/soak")
    parser.add_argument("--folder", default=ROOT / "build/soak", help="for the report and the logs; emptied (build/soak)")
    arguments = parser.parse_args()
    there = {fault.__name__ for fault in TOPOLOGIES[arguments.topology].WEIGHTS}
    if unknown := set(arguments.only or []) - there:
        parser.error(f"no such fault with {arguments.topology}: {', '.join(sorted(unknown))}; there are {', '.join(sorted(there))}")
    soak = Soak(arguments)
    print(f"soak: {soak.arguments.topology}, seed {soak.arguments.seed}, {soak.arguments.seconds:g} s", flush=True)

    def interrupt(*_):
        soak.interrupted = True
    signal.signal(signal.SIGINT, interrupt)
    signal.signal(signal.SIGTERM, interrupt)
    return soak.run()


if __name__ == "__main__":
    sys.exit(main())
