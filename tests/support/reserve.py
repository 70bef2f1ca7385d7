"""Reserves numbers on this machine: ports and networks. Tests run side by side, and so may several runs of them. The ports are for servers
that cannot take any free port, or come back on the same one."""
import random
import socket

# Below those that the kernel gives to a socket that asks for any port, or connects.
PORTS = range(20000, 32000)
_held = {}


def reserve(kind, numbers):
    """One of the numbers. An abstract socket of its name holds it until it is given back, or the process ends."""
    for number in random.sample(numbers, len(numbers)):
        holder = socket.socket(socket.AF_UNIX)
        try:
            holder.bind(f"\0carillon-test-{kind}-{number}")
        except OSError:
            holder.close()
            continue
        _held[kind, number] = holder
        return number
    raise AssertionError(f"each {kind} of {numbers} is held by another")


def give_back(kind, number):
    _held.pop((kind, number)).close()


def port():
    """A port of 127.0.0.1 on which nobody listens."""
    while True:
        number = reserve("port", PORTS)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", number))
                return number
            except OSError:
                give_back("port", number)
