"""A node on a machine of its own, as far as its network goes: a network namespace with one wire to clients and one to
Redis, which can be cut. Needs root and iproute2."""
import itertools
import os
import shutil
import subprocess

_numbers = itertools.count(1)


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
    """address: where a node in it listens; prefix: what a command is started with to run in it; redis_address: under
    which it reaches the host's Redis."""

    def __init__(self):
        number = next(_numbers)
        self.name = f"carillon-{os.getpid()}-{number}"
        net = f"10.{os.getpid() % 200 + 20}.{number}"
        self.wires = [f"cw{os.getpid() % 100000}-{number}c", f"cw{os.getpid() % 100000}-{number}r"]
        self.address, self.redis_address = f"{net}.2", f"{net}.129"
        self.prefix = ["ip", "netns", "exec", self.name]
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
        """Packets between it and Redis vanish from now on; nobody is told."""
        ip("link", "set", self.wires[1], "down")

    def mend(self):
        ip("link", "set", self.wires[1], "up")

    def close(self):
        for wire in self.wires:
            subprocess.run(["ip", "link", "del", wire], capture_output=True)
        subprocess.run(["ip", "netns", "del", self.name], capture_output=True)
