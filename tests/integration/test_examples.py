"""The examples of the man page and of the commands' own help, run as they stand against a server with the files that they name."""
import json
import re
import subprocess
from pathlib import Path

import pytest
from support import jwt
from support.carillon import API_KEY, BINARY, ROOT, Process, clean_environment, run
from support.wait import DEADLINE_S, TOOL_S

RULES = [{"match": "*", "allow": ["subscribe", "publish"], "history": {"size": 10, "ttl": "1m"}}]
# The values that the examples leave to defaults, or that would take too long.
WRAPPER = """#!/bin/sh
case $1 in
publish) set -- "$@" --url http://{internal} ;;
listen) set -- "$@" --url ws://{public}/ws --last 1 --count 1 ;;
healthcheck) set -- "$@" --url http://{internal} ;;
bench)
    set -- "$@" --url ws://{public}/ws --api http://{internal} --warmup 0 --count 20
    case $2 in
    rooms) set -- "$@" --channels 2 --members 2 ;;
    fanout) set -- "$@" --connections 4 ;;
    esac
    ;;
esac
exec {binary} "$@"
"""


def of_help(command):
    text = run(command, "--help").stdout
    return re.findall(r"^  ((?:carillon|date) .*)$", text.partition("examples:\n")[2], re.M)


def of_man_page():
    text = (ROOT / "docs/carillon.1").read_text().partition(".SH EXAMPLES\n.nf\n")[2]
    return text.partition(".fi")[0].replace("\\-", "-").splitlines()


def examples():
    found = [line for command in ("publish", "listen", "token", "bench", "healthcheck") for line in of_help(command)]
    return list(dict.fromkeys(found + of_man_page()))


@pytest.fixture(scope="module")
def place(launch_for_module, tmp_path_factory):
    """A folder with the files, and a bin folder in front of all others."""
    node = launch_for_module({"channels": RULES, "limits.message_rate": 0})
    folder = tmp_path_factory.mktemp("examples")
    (folder / "secret").write_text(jwt.SECRET)
    (folder / "api-key").write_text(API_KEY)
    (folder / "token.jwt").write_text(jwt.mint("user-456"))
    jwt.KeyPair(folder, "PS256").private_path.rename(folder / "private.pem")
    address = {name: "{}:{}".format(*getattr(node, name)) for name in ("public", "internal")}
    scripts = {"carillon": WRAPPER.format(binary=Path(BINARY).resolve(), **address), "jq": "#!/bin/sh\ncat\n",
               "pidof": f"#!/bin/sh\necho {node.pid}\n"}
    (folder / "bin").mkdir()
    for name, text in scripts.items():
        (folder / "bin" / name).write_text(text)
        (folder / "bin" / name).chmod(0o755)
    for channel in ("public:news", "user:user-456"):
        node.publish(channel, {"message": "Hello"}, type_="notification")
    return folder


def test_there_are_examples():
    assert len(examples()) >= 12


@pytest.mark.parametrize("line", [e for e in examples() if not e.startswith(("carillon dev", "carillon check"))])
def test_it_works(place, line):
    small = re.sub(r"--(?:duration|rate|members|connections) \d+", "", line)
    environment = clean_environment()
    done = subprocess.run(["sh", "-ec", small], cwd=place, capture_output=True, text=True, timeout=TOOL_S,
                          env={**environment, "PATH": f"{place}/bin:{environment['PATH']}"})
    assert done.returncode == 0 and (done.stdout or ">" in line), f"{small}: {done}"
    if " bench " in line and "--json" in line:
        assert json.loads(done.stdout)["operations"] >= 20


# --- the README's session ---


def session():
    """[command, lines that it prints] of each line that begins with a prompt."""
    steps = []
    for line in (ROOT / "README.md").read_text().splitlines():
        if line.startswith("    $ "):
            steps.append([line[6:], []])
        elif line.startswith("    ") and steps and steps[-1] is not None:
            steps[-1][1].append(line[4:])
        elif steps and steps[-1] is not None:
            steps.append(None)
    return [step for step in steps if step]


def masked(line):
    """Without what is another each time."""
    line = re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "ID", line)
    line = re.sub(r'"epoch":"\w+"', '"epoch":"E"', line)
    return re.sub(r"ws://[\d.:]+/ws", "URL", line)


def printed(process, count):
    """So many lines, or fewer if it ends before."""
    lines = [process.stdout.readline().rstrip("\n") for _ in range(count)]
    process.kill()
    process.communicate()
    return lines


def test_the_session_of_the_readme(tmp_path):
    environment = clean_environment()
    environment["PATH"] = f"{tmp_path}:{environment['PATH']}"
    server = None
    (tmp_path / "carillon").symlink_to(Path(BINARY).resolve())
    try:
        for command, expected in session():
            if command == "cat carillon.jsonc":
                (tmp_path / "carillon.jsonc").write_text("\n".join(expected))
                continue
            if command.startswith("carillon serve"):
                server = Process(tmp_path, [*command.split()[1:], "--host", "127.0.0.1", "--port", 0, "--internal-port", 0], name="server")
                public, internal = server.logged(r"ready in .*clients on (\S+), internal on (\S+), ").groups()
                continue
            url = {"listen": f" --url ws://{server and public}/ws", "publish": f" --url http://{server and internal}"}
            shell = "exec " + command + url.get(command.split()[1], "")
            process = subprocess.Popen(["sh", "-c", shell], cwd=tmp_path, env=environment, text=True, stdout=subprocess.PIPE,
                                       stderr=subprocess.STDOUT)
            if not expected:
                assert process.wait(DEADLINE_S) == 0, command
            assert list(map(masked, printed(process, len(expected)))) == list(map(masked, expected)), command
    finally:
        if server:
            server.close()
