"""A node with a network of its own, as on a machine of its own. Its network namespace has a wire to clients and a wire to Redis, which can
be cut. Needs root and iproute2."""
import os
import shutil
import subprocess

from support import reserve

NETWORKS = range(256)


def why_not():
    """Why there can be no namespace here, or ""."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    if not shutil.which("ip"):
        return "there is no ip (iproute2)"
    probe = f"carillon-{os.getpid()}-probe"
    try:
        ip("netns", "add", probe)
        ip("-n", probe, "link", "set", "lo", "up")
    except subprocess.CalledProcessError as error:
        return f"this machine lets nobody use network namespaces: {error.stderr.decode().strip()}"
    finally:
        subprocess.run(["ip", "netns", "del", probe], capture_output=True)
    return ""


def ip(*arguments):
    subprocess.run(["ip", *map(str, arguments)], check=True, capture_output=True)


class Machine:
    """address: where a node in it listens. prefix: the beginning of a command that is to run in it. redis_address: the address of the
    host's Redis for it."""

    def __init__(self):
        self.number = reserve.reserve("network", NETWORKS)
        self.name = f"carillon-test-{self.number}"
        net = f"10.213.{self.number}"
        self.wires = [f"carillon-{self.number}c", f"carillon-{self.number}r"]
        self.address, self.redis_address = f"{net}.2", f"{net}.129"
        self.prefix = ["ip", "netns", "exec", self.name]
        self._delete()  # what a run that was killed has left
        ip("netns", "add", self.name)
        ip("-n", self.name, "link", "set", "lo", "up")
        for wire, base in zip(self.wires, (0, 128)):
            ip("link", "add", wire, "type", "veth", "peer", "name", "inside", "netns", self.name)
            ip("-n", self.name, "link", "set", "inside", "name", f"in{base}")
            ip("addr", "add", f"{net}.{base + 1}/30", "dev", wire)
            ip("-n", self.name, "addr", "add", f"{net}.{base + 2}/30", "dev", f"in{base}")
            ip("link", "set", wire, "up")
            ip("-n", self.name, "link", "set", f"in{base}", "up")

    def cut(self):
        """Packets between it and Redis vanish from now on. Nobody is told."""
        ip("link", "set", self.wires[1], "down")

    def mend(self):
        ip("link", "set", self.wires[1], "up")

    def close(self):
        self._delete()
        reserve.give_back("network", self.number)

    def _delete(self):
        for wire in self.wires:
            subprocess.run(["ip", "link", "del", wire], capture_output=True)
        subprocess.run(["ip", "netns", "del", self.name], capture_output=True)
