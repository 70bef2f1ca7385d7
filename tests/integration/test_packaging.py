"""The files that packages are made of: configurations that the server takes, and scripts that the shell takes. ./run package test tries the
packages themselves."""
import hashlib
import json
import os
import re
import shutil
import subprocess
import tarfile

import pytest

from support import node_js
from support.carillon import BINARY
from support.routes import ROOT

PACKAGING = ROOT / "packaging"


SCRIPTS = sorted(path.relative_to(ROOT) for path in [
    *PACKAGING.glob("*.sh"), *PACKAGING.glob("deb/*.sh"), *ROOT.glob("docker/*.sh"), *(PACKAGING / "deb" / name for name in ("postinst", "prerm", "postrm"))])


@pytest.mark.parametrize("script", SCRIPTS, ids=str)
def test_the_shell_takes_the_script(script):
    done = subprocess.run(["sh", "-n", ROOT / script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    started = (ROOT / script).read_text().startswith("#!")  # else other scripts read it
    assert bool((ROOT / script).stat().st_mode & 0o111) == started, "it is not executable"


def test_each_script_finds_the_version_itself(tmp_path):
    version, = re.findall(r"^project\(carillon VERSION ([0-9.]+)", (ROOT / "CMakeLists.txt").read_text(), re.M)
    done = subprocess.run([PACKAGING / "components.sh"], capture_output=True, text=True, env={"PATH": os.environ["PATH"], "PACKAGES": str(tmp_path / "made")})
    assert done.stdout.splitlines()[0].split("\t")[:2] == ["carillon", version], done.stderr
    for script in SCRIPTS:
        text = (ROOT / script).read_text()
        if re.search(r"\$(VERSION|PACKAGES)\b", text) and script.name != "variables.sh":
            assert '\ncd "$(dirname "$0")/.."\n. packaging/variables.sh\n' in text, f"{script} takes the version from who calls it"


def test_packages_need_a_commit(tmp_path):
    """Files that were copied, and are neither a clone nor an archive of git."""
    for folder in ("packaging", "cmake"):
        (tmp_path / folder).mkdir()
    for file in ("CMakeLists.txt", "packaging/components.sh", "packaging/variables.sh"):
        shutil.copy(ROOT / file, tmp_path / file)
    (tmp_path / "cmake/commit.txt").write_text("$Format" + ":%H %ct$\n")
    done = subprocess.run([tmp_path / "packaging/components.sh"], capture_output=True, text=True, env={"PATH": os.environ["PATH"]})
    assert (done.returncode, done.stdout) == (1, "") and "take a clone, or an archive that git has made" in done.stderr


def test_the_configuration_of_the_debian_package(tmp_path):
    """With the secrets that postinst draws, in another folder."""
    text = (PACKAGING / "deb/carillon.jsonc").read_text()
    names = re.findall(r'_file": "/etc/carillon/([a-z-]+)"', text)
    drawn = re.findall(r"draw /etc/carillon/([a-z-]+) (\d+)", (PACKAGING / "deb/postinst").read_text())
    assert sorted(names) == sorted(name for name, _ in drawn)
    for name, size in drawn:
        (tmp_path / name).write_text("0f" * int(size) + "\n")
    (tmp_path / "carillon.jsonc").write_text(text.replace("/etc/carillon/", f"{tmp_path}/"))
    done = subprocess.run([BINARY, "check", "--config", tmp_path / "carillon.jsonc"], capture_output=True, text=True, env={})
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{tmp_path}/carillon.jsonc: ok\n", "")


def test_a_packed_folder_depends_on_names_contents_and_what_is_executable(tmp_path):
    """Not on the umask of whoever cloned, nor on times, nor on the order in which files were made."""
    for folder, mask, names in (("one", 0o022, ("a", "b", "run")), ("two", 0o077, ("run", "b", "a"))):
        before = os.umask(mask)
        (tmp_path / folder / "tree").mkdir(parents=True)
        for name in names:
            (tmp_path / folder / "tree" / name).write_text(name)
        os.umask(before)
        (tmp_path / folder / "tree/run").chmod(0o777 & ~mask)
        os.utime(tmp_path / folder / "tree/a", (mask, mask))
        subprocess.run([PACKAGING / "pack.sh", tmp_path / folder, "tree", tmp_path / f"{folder}.tgz"], check=True,
                       env={**os.environ, "SOURCE_DATE_EPOCH": "1000000000"})
    assert (tmp_path / "one.tgz").read_bytes() == (tmp_path / "two.tgz").read_bytes()


def test_an_image_depends_on_its_layers_and_configuration_alone(tmp_path):
    """Not on the names that buildah draws, nor on the umask and the time of the build."""
    for drawn in ("first", "second"):
        folder = tmp_path / drawn
        folder.mkdir()
        config = {"config": {"User": "10001", "Hostname": drawn}, "container": drawn, "parent": drawn, "container_config": {"Hostname": drawn},
                  "history": [{"created_by": "COPY", "comment": f"FROM {drawn}"}]}
        (folder / f"{drawn}.json").write_text(json.dumps(config))
        (folder / "manifest.json").write_text(json.dumps([{"Config": f"{drawn}.json", "RepoTags": [drawn, "carillon:1"], "Layers": ["layer.tar"]}]))
        (folder / "layer.tar").write_text("of the program")
        subprocess.run(["tar", "-C", folder, "-cf", tmp_path / f"{drawn}.tar", *os.listdir(folder)], check=True)
        subprocess.run([PACKAGING / "image.py", tmp_path / f"{drawn}.tar", "carillon:1"], check=True, env={**os.environ, "SOURCE_DATE_EPOCH": "1"})
    assert (tmp_path / "first.tar").read_bytes() == (tmp_path / "second.tar").read_bytes()
    with tarfile.open(tmp_path / "first.tar") as archive:
        manifest, = json.load(archive.extractfile("manifest.json"))
        assert manifest["RepoTags"] == ["carillon:1"] and archive.extractfile("layer.tar").read() == b"of the program"
        config = archive.extractfile(manifest["Config"]).read()
    assert manifest["Config"] == hashlib.sha256(config).hexdigest() + ".json"
    assert json.loads(config) == {"config": {"User": "10001"}, "container_config": {}, "history": [{"created_by": "COPY"}]}


# --- the npm package ---


NODE = shutil.which("node", path=node_js.ENVIRONMENT["PATH"])


@pytest.fixture
def npm_package(tmp_path):
    """The package as npm installs it, without or with the platform package (`program`). Node runs `before` first."""
    package = tmp_path / "node_modules/carillon"
    (package / "bin").mkdir(parents=True)
    shutil.copy(PACKAGING / "npm/index.js", package)
    shutil.copy(PACKAGING / "npm/carillon.js", package / "bin")
    (package / "package.json").write_text((PACKAGING / "npm/package.json").read_text().replace("VERSION", "1.2.3"))

    def run(before, program=None):
        if program:
            file = tmp_path / "node_modules/@carillon/linux-x64/bin/carillon"
            file.parent.mkdir(parents=True)
            file.write_text(program)
            file.chmod(0o755)
        (tmp_path / "before.js").write_text(before)
        done = subprocess.run([NODE, "--require", tmp_path / "before.js", package / "bin/carillon.js", "dev"], capture_output=True, text=True)
        return done.returncode, done.stdout, done.stderr
    return run


NO_PROGRAM = {
    "macOS": ('Object.defineProperty(process, "platform", { value: "darwin" })', "carillon has no program for darwin-x64 yet. It runs on Linux"),
    "Windows": ('Object.defineProperty(process, "platform", { value: "win32" })', "carillon has no program for win32-x64 yet. It runs on Linux"),
    "arm64": ('Object.defineProperty(process, "arch", { value: "arm64" })', "carillon has no program for linux-arm64 yet. It runs on Linux"),
    "Alpine": ('require("fs").existsSync = () => false', "carillon has no program for a system without glibc, such as Alpine, yet. It runs on Linux"),
    "Alpine with gcompat": (
        """const fs = require("fs"), read = fs.readFileSync
        fs.readFileSync = (file, ...more) => file === "/proc/self/maps" ? "7f r-xp /lib/ld-musl-x86_64.so.1\\n" : read(file, ...more)""",
        "carillon has no program for a system without glibc, such as Alpine, yet. It runs on Linux"),
    "without the platform package": ("", "npm install FOLDER/carillon-linux-x64-1.2.3.tgz FOLDER/carillon-1.2.3.tgz"),
}


@pytest.mark.skipif(not NODE, reason="there is no Node")
@pytest.mark.parametrize("machine", NO_PROGRAM)
def test_clear_words_on_a_machine_without_a_program(npm_package, machine):
    before, words = NO_PROGRAM[machine]
    code, out, err = npm_package(before)
    assert (code, out) == (1, "") and words in err and err.count("\n") == 1, err


@pytest.mark.skipif(not NODE, reason="there is no Node")
def test_clear_words_after_the_loader_has_refused_the_program(npm_package):
    refused = "#!/bin/sh\necho \"version 'GLIBC_2.34' not found\" >&2\nexit 1\n"
    old = "process.report.getReport = () => ({ header: { glibcVersionRuntime: '2.31' } })"
    assert npm_package(old, refused) == (
        1, "", "version 'GLIBC_2.34' not found\ncarillon has no program for glibc 2.31. It runs on Linux on x64 with glibc 2.34 or newer "
        "(Debian 12, Ubuntu 22.04, Fedora 35, RHEL 9, or later), in WSL and in containers of these.\n")


@pytest.mark.skipif(not NODE, reason="there is no Node")
def test_a_program_that_fails_for_another_reason_has_the_last_word(npm_package):
    assert npm_package("", "#!/bin/sh\necho no port >&2\nexit 1\n") == (1, "", "no port\n")


# --- docker/compose.yaml ---


def environment_of_nodes():
    text = (ROOT / "docker/compose.yaml").read_text().partition("  environment:\n")[2]
    return dict(re.findall(r"^    (CARILLON_\w+): (.+)$", text.partition("\n  secrets:")[0], re.M))


def test_nodes_of_compose_have_a_right_configuration(tmp_path):
    """With the variables, and the secrets that docker/secrets.sh draws, in other folders."""
    (tmp_path / "docker").mkdir()
    script = shutil.copy(ROOT / "docker/secrets.sh", tmp_path / "docker")
    drawn = subprocess.run([script], capture_output=True, text=True, check=True).stdout
    files = {name: (tmp_path / "docker/secrets" / name).read_text() for name in ("token-secret", "api-keys")}
    assert all(re.fullmatch(r"[0-9a-f]{64}\n", text) for text in files.values()) and all(f"secrets/{name} is new" in drawn for name in files)
    assert (tmp_path / "docker/secrets").stat().st_mode & 0o777 == 0o700
    assert subprocess.run([script], capture_output=True, check=True).stdout == b"" and \
        {name: (tmp_path / "docker/secrets" / name).read_text() for name in files} == files, "what is there stays"

    variables = {name: value.replace("/run/secrets/", f"{tmp_path}/docker/secrets/").replace("/etc/carillon/", f"{ROOT}/docker/")
                 for name, value in environment_of_nodes().items()}
    done = subprocess.run([BINARY, "check"], capture_output=True, text=True, env=variables)
    assert (done.returncode, done.stderr) == (0, ""), done


def test_secrets_of_compose_are_those_that_are_drawn():
    text = (ROOT / "docker/compose.yaml").read_text()
    assert re.findall(r"^  ([a-z-]+):\n    file: \./secrets/\1$", text, re.M) == ["token-secret", "api-keys"]
    assert "/docker/secrets/\n" in (ROOT / ".gitignore").read_text() and "docker/secrets\n" in (ROOT / "docker/Dockerfile.dockerignore").read_text()
    for mounted in re.findall(r"^      - (\.[^:]+):", text, re.M):
        assert (ROOT / "docker" / mounted).is_file(), mounted


@pytest.mark.skipif(not shutil.which("haproxy") and not shutil.which("/usr/sbin/haproxy"), reason="there is no haproxy")
def test_haproxy_takes_the_configuration_of_compose():
    done = subprocess.run([shutil.which("haproxy") or "/usr/sbin/haproxy", "-c", "-f", ROOT / "docker/haproxy.cfg"], capture_output=True, text=True)
    assert done.returncode == 0, done


def test_the_balancer_of_compose_may_open_what_its_connections_take():
    """Two descriptors for each connection, and 20 of HAProxy itself: with less it does not start."""
    connections = int(re.search(r"^    maxconn (\d+)$", (ROOT / "docker/haproxy.cfg").read_text(), re.M)[1])
    balancer = (ROOT / "docker/compose.yaml").read_text().partition("\n  balancer:\n")[2].partition("\n\n")[0]
    assert int(re.search(r"nofile: (\d+)", balancer)[1]) >= 2 * connections + 20


@pytest.mark.skipif(not shutil.which("promtool"), reason="there is no promtool")
def test_prometheus_takes_its_configuration_and_the_alerts(tmp_path):
    for file in ("docker/prometheus.yml", "config/alerts.yml"):
        shutil.copy(ROOT / file, tmp_path)
    done = subprocess.run(["promtool", "check", "config", tmp_path / "prometheus.yml"], capture_output=True, text=True)
    assert done.returncode == 0, done


def test_alerts_are_those_of_the_runbook_and_of_metrics_that_exist():
    """The runbook has one more, for which there is no number, and the file has one for nodes that do not answer."""
    rules = re.findall(r"^        expr: (.+)$", (ROOT / "config/alerts.yml").read_text(), re.M)
    table = (ROOT / "docs/operations/runbook.md").read_text().partition("## Alerts")[2].partition("\n## ")[0]
    told = [row.split("`")[1] for row in re.findall(r"^\| [^|]+ \| (`.*)$", table, re.M)]
    assert rules[1:] == told[:-1]
    known = (ROOT / "docs/reference/metrics.md").read_text()
    for name in re.findall(r"carillon_\w+", " ".join(rules)):
        assert re.sub(r"_(bucket|total)$", "", name) in known, name
