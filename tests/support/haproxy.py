"""HAProxy in front of nodes, on a free port, with a generated configuration or with the sample."""
import re
import shutil
import subprocess

from support import http, reserve
from support.routes import ROOT
from support.wait import DEADLINE_S, until

CONFIG = """
global
    maxconn 4000
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    timeout tunnel 1h
frontend public
    bind 127.0.0.1:{port}
    option forwardfor
    default_backend nodes
backend nodes
    balance roundrobin
    option httpchk GET /readyz
    default-server check inter 200ms fall 1 rise 1
{servers}
"""


def generated(port, nodes):
    servers = "\n".join(f"    server {n.name} {n.public[0]}:{n.public[1]} check port {n.internal[1]}" for n in nodes)
    return CONFIG.format(port=port, servers=servers)


def from_the_sample(port, nodes):
    """config/haproxy.cfg with other addresses, without TLS, and without what needs root."""
    text, changes = (ROOT / "config/haproxy.cfg").read_text(), [
        (r"maxconn 20000\b", "maxconn 1000"),
        (r"    log /dev/log local0\n", ""),
        (r"bind :443 ssl .*", f"bind 127.0.0.1:{port}"),
        (r"check port 8081 ", ""),
        (r"(    server .*\n?)+", generated(port, nodes).partition("fall 1 rise 1\n")[2]),
    ]
    for pattern, text_instead in changes:
        text, count = re.subn(pattern, text_instead, text)
        assert count == 1, f"config/haproxy.cfg has {pattern!r} {count} times"
    return text


class HAProxy:
    def __init__(self, folder, nodes, configure=generated):
        binary = shutil.which("haproxy") or "/usr/sbin/haproxy"
        self.address = ("127.0.0.1", reserve.port())
        path = folder / "haproxy.cfg"
        path.write_text(configure(self.address[1], nodes))
        with open(folder / "haproxy.log", "wb") as log:
            self.process = subprocess.Popen([binary, "-db", "-f", str(path)], stdout=log, stderr=log)
        until(lambda: self.process.poll() is not None or self.answers(), "HAProxy forwards")
        assert self.process.poll() is None, (folder / "haproxy.log").read_text()

    def answers(self):
        try:
            return http.request(self.address, "GET", "/ws").status == 426
        except OSError:
            return False

    def close(self):
        self.process.terminate()
        self.process.wait(DEADLINE_S)
        reserve.give_back("port", self.address[1])
