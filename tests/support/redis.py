"""A Redis of a test's own, on a free port and in a temporary folder. The test can stop it, freeze it and start it again. A client of a few
lines looks into it."""
import os
import re
import select
import shutil
import signal
import socket
import subprocess

from support import reserve
from support.wait import DEADLINE_S, until


class RedisError(Exception):
    pass


class Connection:
    """RESP2, one command at a time."""

    def __init__(self, port, tls=None):
        """tls: an SSL context of a client."""
        self.socket = socket.create_connection(("127.0.0.1", port), DEADLINE_S)
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_hostname="127.0.0.1")
        self.file = self.socket.makefile("rb")

    def __call__(self, *words):
        out = [f"*{len(words)}\r\n".encode()]
        for word in words:
            raw = word if isinstance(word, bytes) else str(word).encode()
            out.append(b"$%d\r\n%s\r\n" % (len(raw), raw))
        self.socket.sendall(b"".join(out))
        return self.reply()

    def is_cut(self):
        """Between commands there is nothing to read but an end."""
        return bool(select.select([self.socket], [], [], 0)[0])

    def reply(self):
        line = self.file.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("Redis has gone")
        kind, rest = line[:1], line[1:-2]
        if kind == b"+":
            return rest.decode()
        if kind == b"-":
            raise RedisError(rest.decode())
        if kind == b":":
            return int(rest)
        if kind == b"$":
            if rest == b"-1":
                return None
            return self.file.read(int(rest) + 2)[:-2].decode()
        return None if rest == b"-1" else [self.reply() for _ in range(int(rest))]

    def close(self):
        self.file.close()
        self.socket.close()


class Redis:
    """Survives stop and start with its content (append-only file), as a Redis in production does."""

    def __init__(self, folder, *options, certificate=None):
        """certificate: of tls.Certificate; then the port speaks TLS only."""
        binary = os.environ.get("REDIS_SERVER_BIN") or shutil.which("redis-server") or shutil.which("valkey-server")
        assert binary, "no redis-server"
        self.binary = binary
        self.folder = folder
        self.options = options
        self.certificate = certificate
        self.process = None
        self.port = reserve.port()
        self._connection = None
        self.start()

    @property
    def url(self):
        return f"{'rediss' if self.certificate else 'redis'}://127.0.0.1:{self.port}"

    def connect(self):
        return Connection(self.port, self.certificate and self.certificate.client())

    def _ports(self):
        if not self.certificate:
            return ["--port", str(self.port)]
        files = self.certificate
        return ["--port", "0", "--tls-port", str(self.port), "--tls-cert-file", str(files.certificate), "--tls-key-file",
                str(files.key), "--tls-ca-cert-file", str(files.certificate), "--tls-auth-clients", "no"]

    def start(self, *options):
        """options: this time, beside those of always."""
        self.process = subprocess.Popen(
            [self.binary, *self._ports(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "yes",
             "--appendfsync", "always", "--dir", str(self.folder), "--logfile", str(self.folder / "redis.log"), *self.options, *options],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until(self._answers, "Redis answers", 6 * DEADLINE_S)  # a long soak leaves it much to load

    def _answers(self):
        if self.process.poll() is not None:
            raise AssertionError(f"Redis does not start: {(self.folder / 'redis.log').read_text()[-2000:]}")
        try:
            connection = self.connect()
        except ConnectionRefusedError:
            return False
        try:
            connection("PING")
        except RedisError as error:
            if str(error).startswith("NOAUTH"):
                return True
            return False  # still loading
        except (ConnectionError, OSError):
            return False
        finally:
            connection.close()
        return True

    def role(self):
        try:
            return self("ROLE")[0]
        except (OSError, RedisError):
            return None

    def calls(self, command):
        """How often the command was run."""
        found = re.search(rf"^cmdstat_{re.escape(command)}:calls=(\d+)", self("INFO", "commandstats"), re.MULTILINE)
        return int(found.group(1)) if found else 0

    def __call__(self, *words):
        """Sends a command on a connection of our own. The connection is made again if it has been cut, as by a server that changes its
        role."""
        if self._connection is not None and self._connection.is_cut():
            self._disconnect()
        if self._connection is None:
            self._connection = self.connect()
        try:
            return self._connection(*words)
        except OSError:
            self._disconnect()
            raise

    def _disconnect(self):
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _end(self):
        self._disconnect()
        self.process.wait(DEADLINE_S)

    def stop(self):
        self.process.terminate()
        self._end()

    def kill(self):
        self.process.kill()
        self._end()

    def freeze(self):
        """Connections stay open, nothing is answered."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)

    def close(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.kill()
        reserve.give_back("port", self.port)


class Sentinels:
    """A primary, a replica of it and three Sentinels, which fail over within about a second."""

    NAME = "the-primary"

    def __init__(self, folder, *options, certificate=None, down_after_ms=500):
        """options: of Redis. certificate: all of them speak TLS only, also with each other."""
        self.servers, self.sentinels = [], []
        self.certificate = certificate
        if certificate:
            options += ("--tls-replication", "yes")
        try:
            for name in ("a", "b"):
                self.servers.append(Redis(make_folder(folder, f"redis-{name}"), "--repl-diskless-sync-delay", "0", *options,
                                          certificate=certificate))
            self.primary, self.replica = self.servers
            self.follow(self.replica)
            for n in range(3):
                self.sentinels.append(Sentinel(make_folder(folder, f"sentinel-{n}"), self.NAME, self.primary.port,
                                               certificate=certificate, down_after_ms=down_after_ms))
            until(lambda: all(s.knows_all(len(self.sentinels)) for s in self.sentinels), "the Sentinels know all")
        except BaseException:
            self.close()
            raise

    def follow(self, replica):
        replica("REPLICAOF", "127.0.0.1", self.primary.port)
        until(lambda: "master_link_status:up" in replica("INFO", "replication"), "the replica follows")

    @property
    def url(self):
        hosts = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in self.sentinels)
        return f"{'rediss' if self.certificate else 'redis'}+sentinel://{hosts}/{self.NAME}"

    def turn_over(self):
        """Once the Sentinels have made the replica the primary."""
        until(lambda: self.replica.role() == "master", "the replica is promoted", 3 * DEADLINE_S)
        self.primary, self.replica = self.replica, self.primary

    def close(self):
        for server in self.servers + self.sentinels:
            server.close()


class Sentinel(Redis):
    """Keeps in its configuration file what it learns, also over a restart."""

    def __init__(self, folder, name, primary_port, password=None, certificate=None, down_after_ms=500):
        self.config = folder / "sentinel.conf"
        self.name = name
        self.config.write_text(
            f"bind 127.0.0.1\ndir {folder}\nlogfile {folder}/sentinel.log\n"
            f"sentinel monitor {name} 127.0.0.1 {primary_port} 2\n"
            f"sentinel down-after-milliseconds {name} {down_after_ms}\nsentinel failover-timeout {name} 3000\n"
            + (f"requirepass {password}\n" if password else ""))
        super().__init__(folder, certificate=certificate)

    def start(self):
        tls = ["--tls-replication", "yes"] if self.certificate else []
        self.process = subprocess.Popen([self.binary, str(self.config), "--sentinel", *self._ports(), *tls],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until(self._answers, "Sentinel answers")

    def facts(self):
        """Of the primary, as it sees it."""
        told = self("SENTINEL", "MASTER", self.name)
        return dict(zip(told[::2], told[1::2]))

    def knows_all(self, sentinels):
        facts = self.facts()
        return facts["num-slaves"] == "1" and facts["num-other-sentinels"] == str(sentinels - 1)


def make_folder(parent, name):
    folder = parent / name
    folder.mkdir()
    return folder


class ClusterNode(Redis):
    def __init__(self, folder, *options, certificate=None):
        self.bus_port = reserve.port()
        super().__init__(folder, "--cluster-enabled", "yes", "--cluster-node-timeout", "1000", "--cluster-port", str(self.bus_port),
                         "--repl-diskless-sync-delay", "0", *options, certificate=certificate)

    @property
    def id(self):
        return self("CLUSTER", "MYID")

    def close(self):
        super().close()
        reserve.give_back("port", self.bus_port)


class Cluster:
    """Primaries that share the slots evenly. replicas: one for each of the first so many."""

    def __init__(self, folder, primaries=3, replicas=0, *options, certificate=None):
        self.certificate = certificate
        self.nodes = []
        try:
            for n in range(primaries + replicas):
                self.nodes.append(ClusterNode(make_folder(folder, f"cluster-{n}"), *options, certificate=certificate))
            self.primaries, self.replicas = self.nodes[:primaries], self.nodes[primaries:]
            self._join()
        except BaseException:
            self.close()
            raise

    def _join(self):
        count = len(self.primaries)
        for n, node in enumerate(self.primaries):
            node("CLUSTER", "ADDSLOTSRANGE", 16384 * n // count, 16384 * (n + 1) // count - 1)
        for n, node in enumerate(self.nodes):
            node("CLUSTER", "SET-CONFIG-EPOCH", n + 1)
        for node in self.nodes[1:]:
            node("CLUSTER", "MEET", "127.0.0.1", self.nodes[0].port, self.nodes[0].bus_port)
        until(lambda: all(node("CLUSTER", "NODES").count("connected") == len(self.nodes) for node in self.nodes), "all have met")
        for replica, primary in zip(self.replicas, self.primaries):
            replica("CLUSTER", "REPLICATE", primary.id)
        until(lambda: all("cluster_state:ok" in node("CLUSTER", "INFO") for node in self.nodes), "the cluster is up", 3 * DEADLINE_S)
        until(lambda: all("master_link_status:up" in r("INFO", "replication") for r in self.replicas), "the replicas follow")

    def add(self, folder):
        """An empty primary."""
        node = ClusterNode(make_folder(folder, f"cluster-{len(self.nodes)}"), certificate=self.certificate)
        self.nodes.append(node)
        node("CLUSTER", "MEET", "127.0.0.1", self.nodes[0].port, self.nodes[0].bus_port)
        until(lambda: all(n("CLUSTER", "NODES").count("connected") == len(self.nodes) for n in self.nodes), "it is known")
        until(lambda: "cluster_state:ok" in node("CLUSTER", "INFO"), "it is ready", 3 * DEADLINE_S)
        self.primaries.append(node)
        return node

    @property
    def url(self):
        scheme = "rediss+cluster" if self.certificate else "redis+cluster"
        return f"{scheme}://" + ",".join(f"127.0.0.1:{node.port}" for node in self.nodes[:2])

    def slot(self, key):
        return self.nodes[0]("CLUSTER", "KEYSLOT", key)

    def owner(self, slot):
        for first, last, primary, *_ in self.nodes[0]("CLUSTER", "SLOTS"):
            if first <= slot <= last:
                return next(node for node in self.nodes if node.port == primary[1])
        return None

    def begin_migration(self, slot, source, target):
        target("CLUSTER", "SETSLOT", slot, "IMPORTING", source.id)
        source("CLUSTER", "SETSLOT", slot, "MIGRATING", target.id)

    def migrate_keys(self, slot, source, target):
        while keys := source("CLUSTER", "GETKEYSINSLOT", slot, 10):
            source("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *keys)

    def end_migration(self, slot, source, target):
        """As redis-cli does: the new owner first. Fails if a key has come meanwhile."""
        for node in (target, source, *[n for n in self.primaries if n not in (source, target)]):
            node("CLUSTER", "SETSLOT", slot, "NODE", target.id)

    def epochs(self, node):
        """The config epoch of each node, as that one knows it."""
        return sorted((line.split()[0], line.split()[6]) for line in node("CLUSTER", "NODES").splitlines())

    def agrees(self):
        first, *others = [self.epochs(node) for node in self.nodes]
        return all(epochs == first for epochs in others) and len({epoch for _, epoch in first}) >= len(self.primaries)

    def migrate(self, slot, source, target):
        """A target that has not heard of the source's epoch yet takes a slot without a greater one. An old message of
        the source may then take it back, and each of them points to the other for ever."""
        until(self.agrees, "the nodes agree on their epochs", 3 * DEADLINE_S)
        self.begin_migration(slot, source, target)
        while True:
            self.migrate_keys(slot, source, target)
            try:
                return self.end_migration(slot, source, target)
            except RedisError as error:
                if "still hold keys" not in str(error):
                    raise

    def close(self):
        for node in self.nodes:
            node.close()
