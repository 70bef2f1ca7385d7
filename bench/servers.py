"""Starts the servers that are measured: each one fresh, on free ports of 127.0.0.1, with one worker unless said, ended by its
own process id. A server that is not installed raises Unavailable, with the reason."""
import contextlib
import functools
import json
import os
import random
import re
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parents[1]
PEERS = Path(__file__).resolve().parent / "peers"
NCHAN_MODULE = "/usr/lib/nginx/modules/ngx_nchan_module.so"
START_S = 20
STOP_S = 20
FILES = 20000
PORTS = (12000, 30000)
CONNECTIONS = 18000
RULES = [{"match": "bench:*", "allow": ["subscribe", "publish"]}]


NODE_CORE, OTHER_CORE = 0, -1  # the first and the last that there are


class Unavailable(Exception):
    """This server cannot be measured here, and why."""


class Server:
    """A running server. url and api are for `carillon bench`. pids: the processes whose CPU time and memory count. ready_ms: the time from
    the program's start to its first line or its first accepted connection."""

    def __init__(self, name, protocol, command, env=None, fds=()):
        self.name = name
        self.protocol = protocol
        self.folder = Path(tempfile.mkdtemp(prefix="carillon-bench-"))
        self.command = command
        self.env = env or {}
        self.fds = fds
        self.options = []  # further options of `carillon bench` for this server
        self.port = self.api_port = None
        self.url_path = ""

    def start(self):
        self.started = time.monotonic()
        with open(self.folder / "output", "wb") as log:
            self.process = subprocess.Popen([str(word) for word in self.command], stdin=subprocess.DEVNULL,
                                            stdout=subprocess.PIPE, stderr=log, env={**os.environ, **self.env},
                                            pass_fds=self.fds, cwd=self.folder)
        self.pids = [self.process.pid]

    def ready(self):
        self.ready_ms = (time.monotonic() - self.started) * 1000

    def resident_bytes(self):
        return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{self.pids[0]}/status").read_text()).group(1)) * 1024

    def forget_peak(self):
        Path(f"/proc/{self.pids[0]}/clear_refs").write_text("5")

    def peak_bytes(self):
        """The most that was resident since forget_peak."""
        return int(re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{self.pids[0]}/status").read_text()).group(1)) * 1024

    def cpu_s(self):
        """User and kernel, in ticks of the kernel's clock (usually 10 ms)."""
        fields = Path(f"/proc/{self.pids[0]}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def open_files(self):
        return len(os.listdir(f"/proc/{self.pids[0]}/fd"))

    @property
    def url(self):
        return f"ws://127.0.0.1:{self.port}{self.url_path}"

    @property
    def api(self):
        return f"http://127.0.0.1:{self.api_port or self.port}"

    def read_line(self, stream):
        """The next line of what the server says when it is ready."""
        line = stream.readline()
        if not line:
            raise RuntimeError(f"{self.name} did not start: {self.said()}")
        return line if isinstance(line, str) else line.decode()

    def wait_for_port(self):
        deadline = time.monotonic() + START_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"{self.name} did not start: {self.said()}") from None
                time.sleep(0.001)

    def said(self):
        return (self.folder / "output").read_text(errors="replace")[-2000:]

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process.stdout.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def starting(make):
    """A start function whose server is stopped if its start fails half-way."""
    @functools.wraps(make)
    def start(**options):
        made = []
        try:
            return make(made.append, **options)
        except BaseException:
            for server in made:
                if hasattr(server, "process"):
                    server.stop()
            raise
    return start


@contextlib.contextmanager
def on_core(number):
    """This process, and all that it starts meanwhile, have one core: that of this number among those that there are."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {sorted(before)[number]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def free_port():
    """For servers that cannot say which port they took. The kernel never gives this port to clients. Otherwise a client that connects
    before the server listens could get that very port, and talk to itself."""
    while True:
        port = random.randrange(*PORTS)
        try:
            socket.create_server(("127.0.0.1", port)).close()
            return port
        except OSError:
            pass


def fill(template, folder, **values):
    """Writes peers/template with its @WORDS@ replaced to the folder."""
    text = (PEERS / template).read_text()
    for word, value in {"FOLDER": folder, "FILES": FILES, "CONNECTIONS": CONNECTIONS, **values}.items():
        text = text.replace(f"@{word}@", str(value))
    path = folder / template
    path.write_text(text)
    return path


def found(*programs):
    for program in programs:
        path = shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
        if path:
            return path
    raise Unavailable(f"{programs[0]} is not installed")


def carillon_binary(build="release"):
    return Path(os.environ.get("CARILLON_BENCH_BUILD", ROOT / "build")) / build / "carillon"


@starting
def floor(own):
    server = Server("floor", "plain", [carillon_binary().parent / "bench/floor"])
    own(server)
    server.start()
    server.port = int(server.read_line(server.process.stdout).split()[1])
    server.ready()
    return server


@starting
def carillon(own, workers=1, build="release", rules=RULES, like=None, program=None, **options):
    """options are configuration keys with __ for the dot, as in limits__channels=128. like: another node, whose keys it
    takes. program: this one in place of a build."""
    binary = Path(program) if program else carillon_binary(build)
    if not binary.exists():
        raise Unavailable(f"there is no build {build}")
    key, secret = (like.key, like.secret) if like else (secrets.token_hex(24), secrets.token_hex(32))
    ready, ready_for_server = os.pipe()
    server = Server("carillon", "carillon", [], fds=[ready_for_server])
    own(server)
    config = {"host": "127.0.0.1", "port": 0, "internal": {"port": 0}, "workers": workers, "channels": rules,
              "log": {"level": "warn"}, "drain_window": "0s", "ready_fd": ready_for_server, "api": {"keys": [key]},
              "limits": {"connections": CONNECTIONS, "message_rate": 0}}
    if "token__keys" not in options:
        config["token"] = {"secret": secret}
    for name, value in options.items():
        group, _, member = name.rpartition("__")
        (config.setdefault(group, {}) if group else config)[member] = value
    (server.folder / "config.json").write_text(json.dumps(config))
    server.command = [binary, "serve", "--config", server.folder / "config.json"]
    try:
        server.start()
    finally:
        os.close(ready_for_server)
    with os.fdopen(ready) as lines:
        server.port = int(server.read_line(lines).rpartition(":")[2])
        server.api_port = int(server.read_line(lines).rpartition(":")[2])
    server.ready()
    server.secret, server.key = secret, key
    server.load_env = {"CARILLON_API_KEY": key}
    if "token__keys" not in options:
        server.load_env["CARILLON_TOKEN_SECRET"] = secret
    return server


@starting
def carillon_dev(own):
    """The server for development, with the rules and limits of the others. It shows nothing in its terminal, and keeps its journal."""
    key, secret = secrets.token_hex(24), secrets.token_hex(32)
    server = Server("carillon dev", "carillon", [])
    own(server)
    config = {"workers": 1, "channels": RULES, "log": {"level": "warn"}, "drain_window": "0s",
              "limits": {"connections": CONNECTIONS, "message_rate": 0}}
    (server.folder / "config.json").write_text(json.dumps(config))
    server.env = server.load_env = {"CARILLON_TOKEN_SECRET": secret, "CARILLON_API_KEY": key, "CARILLON_API_KEYS": key}
    server.command = [carillon_binary(), "dev", "--config", server.folder / "config.json", "--port", "0", "--internal-port", "0", "--json", "--quiet"]
    server.start()
    facts = json.loads(server.read_line(server.process.stdout))
    server.port, server.api_port = urlsplit(facts["ws_url"]).port, urlsplit(facts["api_url"]).port
    server.ready()
    return server


@starting
def backend(own, think_ms=0):
    """An HTTP backend that answers each request with its own body, after so many milliseconds."""
    server = Server("backend", "plain", [carillon_binary().parent / "bench/echo_backend", 0, think_ms])
    own(server)
    server.start()
    server.port = int(server.read_line(server.process.stdout).rpartition(":")[2])
    server.ready()
    return server


@starting
def nchan(own, buffer=10):
    """buffer: messages kept for each channel; 10 is nchan's default."""
    if not Path(NCHAN_MODULE).exists():
        raise Unavailable("libnginx-mod-nchan is not installed")
    server = Server("nchan" if buffer else "nchan live", "nchan", [])
    own(server)
    server.port = free_port()
    config = fill("nchan.conf", server.folder, PORT=server.port, BUFFER=buffer,
                  USER="user root;" if os.geteuid() == 0 else "")
    server.command = [found("nginx"), "-p", server.folder, "-e", server.folder / "nginx.log", "-c", config]
    server.start()
    server.wait_for_port()
    server.ready()
    # The master process, which listens first, holds no connection: the worker is what costs.
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children")
    while not (started := children.read_text().split()):
        time.sleep(0.001)
    server.pids = [int(pid) for pid in started]
    return server


def node(own, name, script, protocol):
    if not (PEERS / "node/node_modules").exists():
        raise Unavailable("its npm packages are not installed")
    server = Server(name, protocol, [found("node", "nodejs"), PEERS / f"node/{script}.js"])
    own(server)
    server.env = {"NODE_ENV": "production"}
    server.start()
    server.port = int(server.read_line(server.process.stdout).split()[1])
    server.ready()
    return server


@starting
def ws(own):
    return node(own, "ws", "ws", "plain")


@starting
def socketio(own):
    return node(own, "Socket.IO", "socketio", "socketio")


@starting
def aedes(own):
    major = int(version_of([found("node", "nodejs"), "--version"]).partition(".")[0])
    if major < 20:
        raise Unavailable(f"aedes needs Node.js 20 or later, found {major}")
    return node(own, "aedes", "aedes", "mqtt")


@starting
def mosquitto(own):
    server = Server("Mosquitto", "mqtt", [])
    program = found("mosquitto")
    own(server)
    server.port = free_port()
    config = fill("mosquitto.conf", server.folder, PORT=server.port, USER="user root" if os.geteuid() == 0 else "")
    server.command = [program, "-c", config]
    server.start()
    server.wait_for_port()
    server.ready()
    return server


@starting
def nats(own):
    server = Server("NATS", "nats", [], env={"GOMAXPROCS": "1"})
    program = found("nats-server")
    own(server)
    server.port = free_port()
    server.command = [program, "-c", fill("nats.conf", server.folder, PORT=server.port)]
    server.start()
    server.wait_for_port()
    server.ready()
    return server


@starting
def redis(own):
    server = Server("Redis", "redis", [])
    program = found("redis-server")
    own(server)
    server.port = free_port()
    server.command = [program, "--bind", "127.0.0.1", "--port", server.port, "--save", "", "--appendonly", "no",
                      "--dir", server.folder, "--logfile", server.folder / "redis.log"]
    server.start()
    server.wait_for_port()
    server.ready()
    return server


# In the order in which they are measured and shown.
ALL = {"floor": floor, "carillon": carillon, "nchan": nchan, "nchan live": functools.partial(nchan, buffer=0),
       "ws": ws, "Socket.IO": socketio, "aedes": aedes, "Mosquitto": mosquitto, "NATS": nats}


def version_of(command):
    """The first version number that a program says."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=START_S)
    match = re.search(r"\d+(\.\d+)+", done.stdout + done.stderr)
    return match.group() if match else "unknown"


def npm_version(package):
    path = PEERS / "node/node_modules" / package / "package.json"
    return json.loads(path.read_text())["version"] if path.exists() else None


def debian_version(package):
    done = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", package], capture_output=True, text=True)
    return done.stdout or None


def versions():
    """Of every server that is installed, and of what they run on."""
    programs = {"nginx": ["nginx", "-v"], "Mosquitto": ["mosquitto", "-h"], "NATS": ["nats-server", "--version"],
                "Redis": ["redis-server", "--version"], "Node.js": ["node", "--version"]}
    out = {"carillon": version_of([carillon_binary(), "version"])}
    for name, (program, *rest) in programs.items():
        try:
            out[name] = version_of([found(program), *rest])
        except Unavailable:
            pass
    out["nchan"] = debian_version("libnginx-mod-nchan")
    out.update({"ws": npm_version("ws"), "Socket.IO": npm_version("socket.io"), "aedes": npm_version("aedes"),
                "bufferutil": npm_version("bufferutil")})
    return {name: version for name, version in out.items() if version}
