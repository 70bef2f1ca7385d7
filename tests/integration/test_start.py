"""Starts of a node: with addresses of both families, with standard descriptors that are closed or not read, with early signals."""
import fcntl
import json
import os
import re
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import pytest
from support import http, jwt, preload, ws
from support.carillon import BINARY, Process, nested, run
from support.wait import DEADLINE_S, until


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind(("::1", 0))
            return True
    except OSError:
        return False


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")

# --- addresses ---


@needs_ipv6
@pytest.mark.parametrize("host", ["::", "[::]", "*"])
def test_all_addresses_of_both_families(launch, host):
    node = launch({"host": host, "internal.host": host})
    for address in ("127.0.0.1", "::1"):
        assert http.request((address, node.public[1]), "GET", "/ws").status == 426
        assert http.request((address, node.internal[1]), "GET", "/livez").status == 200


@needs_ipv6
def test_an_address_in_brackets(launch):
    node = launch({"host": "[::1]"})
    assert node.public[0] == "::1"
    assert http.request(node.public, "GET", "/ws").status == 426


def test_an_ipv4_address_in_the_form_of_ipv6(launch):
    node = launch({"host": "::ffff:127.0.0.1"})
    assert node.public[0] == "127.0.0.1"
    with node.connect():
        assert [s["address"] for s in node.api("GET", "/api/v1/sessions").json["sessions"]] == ["127.0.0.1"]


# As the start sees it, check does. (Whether the machine has the address is not for check.)
@pytest.mark.parametrize("host, good", [
    ("::", True), ("[::]", True), ("[::1]", True), ("::1", True), ("*", True), ("0.0.0.0", True), ("localhost", True),
    ("127.0.0.1:80", False), ("[::1]:80", False), ("[127.0.0.1]", False), ("[::1", False), ("::1]", False), ("[]", False), (":::", False),
    ("a b", False), ("http://x", False)])
@pytest.mark.parametrize("option", ["host", "internal.host"])
def test_check_and_start_take_the_same_hosts(tmp_path, option, host, good):
    config = tmp_path / "carillon.jsonc"
    config.write_text('{"port": 0, "internal": {"port": 0}}')
    flag = "--" + option.replace(".", "-")
    checked = run("check", "--config", config, flag, host)
    assert (checked.returncode == 0) == good, checked
    if not good:
        served = run("serve", "--config", config, flag, host)
        assert served.returncode == 2 and served.stderr.splitlines()[:-1] == checked.stderr.splitlines()[:-1]
        assert "expected a host name" in served.stderr


class Inherited(Process):
    """A node that systemd's way of activation gives one listening socket for both families (BindIPv6Only=both)."""

    def __init__(self, folder, config, listening, internal):
        path = Path(folder) / "inherited.json"
        path.write_text(json.dumps(nested(config)))
        start = ("import os, sys\n"
                 "public, internal = int(sys.argv[1]), int(sys.argv[2])\n"
                 "os.dup2(internal, 40); os.dup2(public, 3); os.dup2(40, 4); os.close(40)\n"
                 "os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='2', LISTEN_FDNAMES='public:internal')\n"
                 "os.execv(sys.argv[3], sys.argv[3:])")
        super().__init__(folder, ["serve", "--config", path], "inherited", pass_fds=[listening.fileno(), internal.fileno()],
                         prefix=["/usr/bin/python3", "-c", start, str(listening.fileno()), str(internal.fileno())])


@needs_ipv6
def test_ipv4_through_a_socket_of_both_families_is_ipv4(launch, tmp_path):
    """::ffff:127.0.0.1 is 127.0.0.1: for trusted_proxies, for the limit by address, and in what is told."""
    with socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as listening, \
            socket.create_server(("127.0.0.1", 0)) as internal:
        public = ("127.0.0.1", listening.getsockname()[1])
        config = {"token.secret": jwt.SECRET, "api.keys": ["an-api-key-for-tests-only"], "log.level": "debug", "drain_window": "100ms",
                  "channels": [{"match": "*", "allow": ["subscribe"]}], "trusted_proxies": ["127.0.0.0/8"],
                  "limits.connections_per_address": 2}
        node = Inherited(tmp_path, config, listening, internal)
        try:
            node.logged("ready in")

            def sessions():
                answer = http.request(internal.getsockname(), "GET", "/api/v1/sessions",
                                          headers={"X-API-Key": "an-api-key-for-tests-only"})
                return sorted(session["address"] for session in answer.json["sessions"])

            with ws.connect(public, jwt.mint()), \
                    ws.connect(public, jwt.mint(), headers=[("X-Forwarded-For", "::ffff:192.0.2.7")]), \
                    ws.connect(public, jwt.mint(), headers=[("X-Forwarded-For", "192.0.2.7")]):
                assert sessions() == ["127.0.0.1", "192.0.2.7", "192.0.2.7"]
                with pytest.raises(ws.Refused) as refused:
                    ws.connect(public, jwt.mint(), headers=[("X-Forwarded-For", "[::ffff:c000:207]:80")])
                assert refused.value.response.status == 429
        finally:
            node.close()


# --- standard descriptors ---


def closing(*fds):
    redirections = {0: "0<&-", 1: "1>&-", 2: "2>&-"}
    return ["sh", "-c", 'exec "$@" ' + " ".join(redirections[fd] for fd in fds), "sh"]


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1), (0, 1, 2)])
def test_standard_descriptors_that_are_closed(launch, closed):
    """No socket may get their numbers: what is logged or printed would go there."""
    node = launch(prefix=closing(*closed))
    for fd in closed:
        assert os.readlink(f"/proc/{node.pid}/fd/{fd}") == "/dev/null"
    with node.connect() as client:
        client.nothing_before_pong()
    assert node.terminate() == 0


def test_a_command_still_finds_out_that_nobody_gets_its_output():
    ended = subprocess.run([*closing(1), BINARY, "reference", "--errors"], stderr=subprocess.PIPE, text=True, timeout=DEADLINE_S)
    assert ended.returncode != 0 and "stdout" in ended.stderr, ended


class Pipe:
    """Takes a node's log and keeps it until it is read."""

    def __init__(self, folder):
        self.path = folder / "log.pipe"
        os.mkfifo(self.path)
        self.fd = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK)

    def read(self):
        try:
            return os.read(self.fd, 1 << 20).decode()
        except BlockingIOError:
            return ""


@pytest.mark.parametrize("level", ["debug", "info"])
def test_a_log_that_nobody_reads_stops_nothing(launch, tmp_path, level):
    pipe = Pipe(tmp_path)
    fcntl.fcntl(pipe.fd, fcntl.F_SETPIPE_SZ, 4096)
    node = launch({"log.level": level, "workers": 2, "pong_timeout": "5m"},
                  prefix=["sh", "-c", f'exec "$@" 2>"{pipe.path}"', "sh"])

    def log_something():  # each of them logs a line or more
        node.signal(signal.SIGHUP)
        node.api("GET", "/api/v1/info")
        return node.metric("carillon_log_lines_dropped_total") > 20

    with node.connect() as client:
        until(log_something, "lines are dropped")
        client.nothing_before_pong()
        with node.connect():
            pass
        # Somebody reads again: it is said what is missing, without another event.
        logged = ""

        def is_told():
            nonlocal logged
            logged += pipe.read()
            return re.search(r"WARN  log: \d+ lines of the log were dropped", logged)

        until(is_told, "the log says so")
        assert all(re.match(r"\d{4}-", line) for line in logged.splitlines()), "lines are whole"
    assert node.terminate() == 0
    os.close(pipe.fd)


# --- early signals ---


@pytest.mark.parametrize("workers", [1, 3])
def test_libwebsockets_cannot_start(tmp_path, workers):
    """Its context is there already when it fails, with handles on the loop."""
    try:
        library = preload.build("no_vhost", tmp_path)
    except FileNotFoundError:
        pytest.skip("no C compiler")
    done = run("serve", "--port", 0, "--internal.port", 0, "--workers", workers, env=preload.environment(library))
    assert done.returncode == 1
    assert "libwebsockets could not start on the worker's loop" in done.stderr


def test_a_hangup_before_the_node_is_ready_is_a_reload(launch, tmp_path):
    """The signal comes with the process: it waits until it can be served."""
    start = ("import os, signal, sys\n"
             "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGHUP])\n"
             "os.kill(os.getpid(), signal.SIGHUP)\n"
             "os.execv(sys.argv[1], sys.argv[1:])")
    node = launch(prefix=["/usr/bin/python3", "-c", start])
    node.logged("reload: done")
    for n in range(3):
        early = Process(tmp_path, ["serve", "--config", node.config_path, "--port", "0", "--internal-port", "0"], f"early-{n}")
        try:
            until(lambda: signal.SIGUSR1 in ignored(early.pid), "it is a server by now")
            early.signal(signal.SIGHUP)
            early.logged("ready in")
        finally:
            early.close()


def ignored(pid):
    try:
        bits = int(re.search(r"SigIgn:\s*(\w+)", Path(f"/proc/{pid}/status").read_text()).group(1), 16)
    except (FileNotFoundError, AttributeError):
        return []
    return [number for number in signal.Signals if bits >> (number - 1) & 1]


def test_ready_fd(tmp_path):
    """docs/operations/install.md, "Starting"."""
    read, write = os.pipe()
    config = tmp_path / "carillon.jsonc"
    config.write_text(json.dumps(nested({"host": "127.0.0.1", "port": 0, "internal.port": 0, "token.secret": jwt.SECRET})))
    node = Process(tmp_path, ["serve", "--config", config, "--ready-fd", write], pass_fds=[write])
    os.close(write)
    try:
        told = b""
        while chunk := os.read(read, 4096):
            told += chunk
        assert re.fullmatch(rb"clients 127\.0\.0\.1:\d+\ninternal 127\.0\.0\.1:\d+\n", told), told
    finally:
        os.close(read)
        node.close()


# --- the systemd unit ---

UNIT = Path(__file__).resolve().parents[2] / "config/carillon.service"


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="there is no systemd-analyze")
def test_the_unit_is_one_that_systemd_takes(tmp_path):
    """With this binary in the place of the installed one, and without the man page, which is not installed here."""
    unit = tmp_path / "carillon.service"
    unit.write_text(re.sub(r"Documentation=.*\n", "", UNIT.read_text()).replace("/usr/bin/carillon", BINARY))
    verified = subprocess.run(["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True, timeout=DEADLINE_S)
    complaints = [line for line in verified.stderr.splitlines() if "carillon.service" in line]
    assert verified.returncode == 0 and not complaints, verified


def test_the_unit_leaves_no_core():
    """It would hold tokens and keys."""
    assert "\nLimitCORE=0\n" in UNIT.read_text()
