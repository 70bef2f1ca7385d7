"""docs/endpoints.md: each configuration and each command of the page, run as they stand with both backends of docs/examples. Only ports are
others, so that tests run side by side."""
import json
import re
import shutil
import socket
import subprocess
import sys

import pytest
from support import node_js
from support.carillon import BINARY, ROOT, Process, clean_environment
from support.wait import Deadline, TOOL_S, until

PAGE = (ROOT / "docs/endpoints.md").read_text()
NODE = shutil.which("node", path=node_js.ENVIRONMENT["PATH"])
BACKENDS = {"backend.mjs": NODE, "backend.py": sys.executable}
SHAPES = ["Events and commands", "Requests and answers", "Sockets with tickets", "Streams of bytes"]

pytestmark = pytest.mark.skipif(not NODE, reason="there is no Node")


def steps(title):
    """[command, lines that it prints] of a section."""
    section = re.search(rf"^## {title}$(.*?)(?=^## |\Z)", PAGE, re.M | re.S)[1]
    found = []
    for block in re.findall(r"(?:^    .*\n)+", section, re.M):
        for line in block.splitlines():
            if line.startswith("    $ "):
                found.append([line[6:], []])
            elif block.startswith("    $ "):
                found[-1][1].append(line[4:])
    return found


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Place:
    """A folder in which the commands of the page run."""

    def __init__(self, folder):
        self.folder = folder
        self.ports = {str(usual): str(free_port()) for usual in (8080, 8081, 9000)}
        self.processes, self.server = [], None
        (folder / "docs").symlink_to(ROOT / "docs")
        (folder / "bin").mkdir()
        (folder / "bin/carillon").symlink_to(BINARY)
        version = int(subprocess.run([NODE, "-p", "process.versions.node.split('.')[0]"], capture_output=True, text=True).stdout)
        flags = "--no-warnings --experimental-websocket " if version < 22 else ""
        (folder / "bin/node").write_text(f'#!/bin/sh\nexec {NODE} {flags}"$@"\n')
        (folder / "bin/node").chmod(0o755)
        environment = clean_environment()
        self.environment = {**environment, "PATH": f"{folder}/bin:{environment['PATH']}", "PORT": self.ports["9000"]}

    def here(self, text):
        return re.sub(r"(?<=:)(8080|9000)\b", lambda found: self.ports[found[0]], text)

    def start(self, command):
        process = subprocess.Popen(["sh", "-ec", "exec " + command], cwd=self.folder, env=self.environment, text=True,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.processes.append(process)
        return process

    def run(self, command):
        done = subprocess.run(["sh", "-ec", command], cwd=self.folder, env=self.environment, capture_output=True, text=True,
                              timeout=TOOL_S)
        assert done.returncode == 0, f"{command}: {done}"
        return (done.stdout or done.stderr).splitlines()

    def check(self, command):
        """A configuration to copy has nothing to be noted either."""
        done = subprocess.run(["sh", "-ec", command], cwd=self.folder, env=self.environment, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, ""), done
        return done.stdout.splitlines()

    def serve(self, command):
        words = [*command.split()[1:], "--host", "127.0.0.1", "--port", self.ports["8080"], "--internal-port", self.ports["8081"]]
        self.server = Process(self.folder, words, name="server")
        self.server.logged("ready in")

    def close(self):
        for process in self.processes:
            process.kill()
            process.communicate()
        if self.server:
            self.server.close()


@pytest.fixture
def place(tmp_path):
    one = Place(tmp_path)
    yield one
    one.close()


def same(printed, expected):
    """Lines of JSON may have other spaces."""
    def plain(line):
        try:
            return json.loads(line)
        except ValueError:
            return line
    return list(map(plain, printed)) == list(map(plain, expected))


def client_lines(place, client, expected, others):
    """Runs the client, and the commands that make it print, until it ends."""
    process = place.start(client)
    deadline = Deadline(what="the client of the page ends")
    while others and process.poll() is None:
        for command in others:
            place.run(command)
        deadline.remaining()
    printed = process.communicate(timeout=TOOL_S)[0].splitlines()
    assert same(printed, expected), f"{client}: {printed}"


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("shape", SHAPES)
def test_a_shape_works_as_the_page_says(place, shape, backend):
    listening = place.start(f"{BACKENDS[backend]} docs/examples/{backend}").stdout.readline()
    assert listening == f"listening on {place.ports['9000']}\n"
    for command, _ in steps("Before you serve")[:2]:
        place.run(command)
    ours = steps(shape)
    published = [place.here(c.replace("publish ", f"publish --url http://127.0.0.1:{place.ports['8081']} ")) for c, _ in ours if "carillon publish" in c]
    for command, expected in ours:
        here = place.here(command)
        if command.startswith("cat "):
            (place.folder / command.split()[1]).write_text(place.here("\n".join(expected)))
        elif command.startswith("carillon check"):
            assert place.check(command) == expected, command
        elif command.startswith("carillon serve"):
            place.serve(command)
        elif command.startswith("node -e"):
            client_lines(place, here, expected, published)
        elif "carillon publish" in command:
            place.run(published[0])
        elif not command.startswith("carillon dev"):
            assert same(place.run(here), expected), here


@pytest.mark.parametrize("command", re.findall(r"^    \$ (carillon dev .*)$", PAGE, re.M))
def test_the_commands_of_dev_start(place, tmp_path, command):
    dev = Process(tmp_path, [*command.split()[1:], "--port", 0, "--internal-port", 0], name="dev")
    dev.check_log = lambda: None  # dev shows its demo token: that is what it is for
    try:
        until(lambda: "Carillon for development" in dev.output() and dev.output().endswith("\n\n"), "it prints what a client needs")
        curl = next(c for c, _ in steps("Try it without a backend") if c.startswith("curl"))
        internal = re.search(r"internal on (\S+),", dev.log())[1]
        assert set(json.loads(place.run(curl.replace("127.0.0.1:8081", internal))[0])) == {"token", "ws_url"}
    finally:
        dev.close()


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_request_that_fails_is_answered(place, backend):
    """The page shows this frame."""
    place.start(f"{BACKENDS[backend]} docs/examples/{backend}").stdout.readline()
    for command, expected in [*steps("Before you serve")[:2], *steps("Requests and answers")]:
        if command.startswith("cat "):
            (place.folder / command.split()[1]).write_text(place.here("\n".join(expected)))
        elif command.startswith("carillon serve"):
            place.serve(command)
        elif command.startswith(("openssl", "carillon token")):
            place.run(command)
        elif command.startswith("node -e"):
            broken = place.here(command).replace('"payload":{"text":"Good morning"}', '"payload":null').replace('"done"', '"error"')
            answer = json.loads(place.run(broken)[0])
    shown = json.loads(re.search(r'^    (\{.*"state":"error".*)$', PAGE, re.M)[1])
    assert answer == shown


def test_the_page_has_every_preset():
    presets = re.findall(r'^PRESET\("([\w-]+)"', (ROOT / "server/app/options_presets.def").read_text(), re.M)
    used = {step for shape in SHAPES for command, lines in steps(shape) for step in re.findall(r'"preset": "([\w-]+)"', "\n".join(lines))}
    assert used == set(presets)
