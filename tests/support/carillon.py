"""The real binary (CARILLON_BIN), started on free ports in a temporary folder and stopped by its own process id. A node's
log is checked when it is closed: a sanitizer's report, a token or a key in it fails the test."""
import json
import os
import re
import select
import signal
import socket
import subprocess
from pathlib import Path

from support import http, jwt, ws
from support.wait import DEADLINE_S, Deadline, until

ROOT = Path(__file__).resolve().parents[2]
BINARY = os.environ.get("CARILLON_BIN") or str(ROOT / "build/dev/carillon")
API_KEY = "an-api-key-for-tests-only"
SECRETS = [jwt.SECRET, API_KEY]
REPORT = re.compile(r"(AddressSanitizer|LeakSanitizer|ThreadSanitizer|runtime error:|Assertion .* failed)")

ALL = ["subscribe", "publish", "presence", "history"]

# Keys with a dot are nested when they are written.
# pong_timeout: a client of these tests answers pings only while it is being read from.
DEFAULTS = {
    "pong_timeout": "5m",
    "host": "127.0.0.1",
    "port": 0,
    "internal.port": 0,
    "workers": 2,
    "log.level": "debug",
    "token.secret": jwt.SECRET,
    "api.keys": [API_KEY],
    "drain_window": "100ms",
    "channels": [
        {"match": "log:*", "allow": ALL, "history": {"size": 1000, "ttl": "10m"}},
        {"match": "*", "allow": ALL},
    ],
}


def nested(config):
    """{"limits.channels": 1} as {"limits": {"channels": 1}}."""
    out = {}
    for key, value in config.items():
        group, dot, name = key.partition(".")
        if dot:
            out.setdefault(group, {})[name] = value
        else:
            out[key] = value
    return out


def run(*arguments, given=None, seconds=DEADLINE_S, env=None):
    """Runs the binary to its end."""
    return subprocess.run([BINARY, *map(str, arguments)], input=given, capture_output=True, text=True, timeout=seconds,
                          env={**clean_environment(), **(env or {})})


def clean_environment():
    """Without settings of whoever runs the tests."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("CARILLON_") and k not in ("PORT", "REDIS_URL")}
    return {"TSAN_OPTIONS": f"suppressions={ROOT}/tests/support/tsan.supp", **kept}


class Process:
    """A running carillon whose output goes to files. prefix: words of a command that becomes it."""

    def __init__(self, folder, arguments, name="carillon", env=None, pass_fds=(), prefix=()):
        self.folder = Path(folder)
        self.name = name
        self.arguments = list(map(str, arguments))
        self.stdout_path = self.folder / f"{name}.out"
        self.stderr_path = self.folder / f"{name}.log"
        with open(self.stdout_path, "ab") as out, open(self.stderr_path, "ab") as err:
            self.process = subprocess.Popen([*prefix, BINARY, *self.arguments], stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                                            cwd=self.folder, env={**clean_environment(), **(env or {})}, pass_fds=pass_fds)
        self.may_die = False

    @property
    def pid(self):
        return self.process.pid

    def output(self):
        return self.stdout_path.read_text(errors="replace")

    def log(self):
        return self.stderr_path.read_text(errors="replace")

    def logged(self, pattern, seconds=DEADLINE_S):
        """Waits for a line of the log that matches, and returns the match."""
        return until(lambda: re.search(pattern, self.log()), f"{self.name} logs {pattern!r}", seconds)

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self, seconds=DEADLINE_S):
        """Waits for the end and returns the exit code."""
        return self.process.wait(seconds)

    def terminate(self, seconds=DEADLINE_S):
        self.signal(signal.SIGTERM)
        return self.wait(seconds)

    def hurry(self, number=None):
        """Signals a node that drains until it has heard it as a second signal: those right after the first do not count."""
        self.may_die = True
        until(lambda: "second signal" in self.log() or self.process.poll() is not None or self.signal(number or signal.SIGTERM),
              f"{self.name} ends at once")

    def kill(self):
        self.may_die = True
        self.process.kill()
        self.process.wait(DEADLINE_S)

    def close(self):
        """Ends it, and fails if it did not end as it should or has left something in its log that must not be there."""
        try:
            if self.process.poll() is None:
                self.signal(signal.SIGCONT)
                self.signal(signal.SIGTERM)
                self.wait()
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(DEADLINE_S)
            raise AssertionError(f"{self.name} does not end on SIGTERM; its log ends:\n{self.log()[-3000:]}") from None
        finally:
            self.check_log()
        assert self.may_die or self.process.returncode == 0, \
            f"{self.name} ended with {self.process.returncode}:\n{self.log()[-3000:]}"

    def check_log(self):
        log = self.log()
        report = REPORT.search(log)
        assert not report, f"{self.name}:\n{log[max(0, report.start() - 500):report.start() + 6000]}"
        for secret in SECRETS:
            assert secret not in log, f"{self.name}: a secret is in the log"
        token = re.search(r".{0,100}eyJ[A-Za-z0-9_-]{10,}\..*", log)
        assert not token, f"{self.name}: a token is in the log: {token.group()}"

    def resident_bytes(self):
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status).group(1)) * 1024


class Node(Process):
    """`carillon serve`, ready. config is laid over DEFAULTS. A key with the value None is left out."""

    def __init__(self, folder, config=None, name="node", arguments=(), env=None, prefix=(), certificate=None):
        """certificate: the public listener speaks TLS with it, and so do clients that are given nothing else."""
        self.config_path = Path(folder) / f"{name}.json"
        self.tls_options = certificate.options if certificate else {}
        self.tls = certificate.trusted() if certificate else None
        self.write_config(config or {})
        ready, ready_for_server = os.pipe()
        try:
            super().__init__(folder, ["serve", "--config", self.config_path, "--ready-fd", ready_for_server, *arguments],
                             name, env, pass_fds=[ready_for_server], prefix=prefix)
        finally:
            os.close(ready_for_server)
        try:
            told = self._wait_ready(ready)
        except BaseException:
            self.may_die = True
            self.process.kill()
            self.process.wait(DEADLINE_S)
            raise
        finally:
            os.close(ready)
        self._learn_addresses(told)

    def write_config(self, config):
        self.config = {k: v for k, v in {**DEFAULTS, **self.tls_options, **config}.items() if v is not None}
        self.config_path.write_text(json.dumps(nested(self.config), indent=2))

    def reload(self, config):
        """Returns when the new settings are on their way to the workers, where they arrive a moment later."""
        self.write_config(config)
        seen = len(re.findall(r"reload: (?:done|refused)", self.log()))
        self.signal(signal.SIGHUP)
        until(lambda: len(re.findall(r"reload: (?:done|refused)", self.log())) > seen, "the reload is logged")

    def _wait_ready(self, fd):
        deadline = Deadline(what=f"{self.name} is ready")
        told = b""
        while told.count(b"\n") < 2:
            if not select.select([fd], [], [], deadline.remaining())[0]:
                continue
            chunk = os.read(fd, 4096)
            if not chunk:
                break
            told += chunk
        assert told.count(b"\n") == 2, f"{self.name} ended before it was ready: {self.process.poll()}\n{self.log()[-3000:]}"
        return told.decode()

    def _learn_addresses(self, told):
        address = r"\[?([0-9a-fA-F.:]+?)\]?:(\d+)\n"
        found = re.fullmatch(f"clients {address}internal {address}", told)
        assert found, told
        self.public, self.internal = (found[1], int(found[2])), (found[3], int(found[4]))

    # --- clients ---

    def client(self, token=None, **options):
        """A raw client; see ws.Client."""
        return ws.Client(self.public, token, **{"tls": self.tls, **options})

    def connect(self, sub="user-456", claims=None, **options):
        """A client with a good token that has its session_init."""
        return self.client(jwt.mint(sub, **(claims or {})), **options).start()

    def accepts(self, token):
        """Whether a session begins with the token, or the upgrade is refused because of it."""
        try:
            with self.client(token) as client:
                client.start()
                return True
        except ws.Refused as refused:
            assert refused.response.status == 401
            return False

    def dial(self):
        """A connection to the public listener. By TLS it has shaken hands."""
        plain = socket.create_connection(self.public, DEADLINE_S)
        if not self.tls:
            return plain
        try:
            return self.tls.wrap_socket(plain, server_hostname=self.public[0])
        except OSError:
            plain.close()
            raise

    def exchange(self, sent, shut=False):
        """Sends bytes to the public listener and returns all that comes until it closes."""
        return http.exchange(self.dial(), sent, shut)

    def api(self, method, path, body=None, key=API_KEY, headers=None, seconds=DEADLINE_S):
        sent = {"Authorization": f"Bearer {key}"} if key else {}
        return http.request(self.internal, method, path, body, {**sent, **(headers or {})}, seconds)

    def publish(self, channel, data, type_="test", **more):
        """Publishes and returns the answer, which must be good."""
        answer = self.api("POST", "/api/v1/publish", {"channel": channel, "type": type_, "data": data, **more})
        assert answer.status == 200, answer
        return answer.json

    def metric(self, name, **labels):
        """The sum of a metric's samples with those labels."""
        text = http.request(self.internal, "GET", "/metrics").body.decode()
        total, found = 0.0, False
        for line in text.splitlines():
            match = re.match(r"([a-z_]+)(?:\{(.*)\})? (\S+)", line)
            if match and match.group(1) == name:
                have = dict(re.findall(r'([a-z_]+)="([^"]*)"', match.group(2) or ""))
                if all(have.get(k) == v for k, v in labels.items()):
                    total += float(match.group(3))
                    found = True
        assert found, f"there is no metric {name} {labels}"
        return total

    def ready(self):
        try:
            return http.request(self.internal, "GET", "/readyz").status == 200
        except OSError:
            return False
