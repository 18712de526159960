#!/usr/bin/env python3
"""Everything there is to run here, on a machine with just Rust and Python 3.11: `python3 dev.py demo`, `python3 dev.py test`.

What a command needs (virtual environments, builds) it makes below target/dev, once.
"""

import argparse
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent
DEV = ROOT / "target" / "dev"
RELEASE = ROOT / "target" / "release"
EXAMPLES = ROOT / "examples" / "python"

#: Between these two versions, making an array of anything that is one by its `__array__` crashes.
NUMPY = ["numpy==1.26.4; python_version < '3.11'", "numpy==2.3.5; python_version >= '3.11'"]

#: Packages of each virtual environment. Stock RPyC has environments of its own, so that nothing of ours is near it.
ENVIRONMENTS = {
    "netref": [
        "maturin==1.16.0",
        "pytest==9.2.0",
        "hypothesis==6.170.15",
        "mypy==2.4.1",
        "ruff==0.17.6",
        "plumbum==2.0.2",
        "gevent==26.9.0",
        "uvloop==0.23.0",
        *NUMPY,
    ],
    "stock6": ["rpyc==6.0.2", *NUMPY],
    "stock5": ["rpyc==5.3.1"],
    "peers": ["Pyro5==5.17", "grpcio==1.85.1"],
}

#: The Pythons that the package is for. They are looked for in NETREF_PYTHONS (interpreters, listed like PATH), by name on the
#: path and where pyenv keeps them.
PYTHONS = ["3.10", "3.11", "3.12", "3.13"]
#: What the tests of the package need, in versions for all of these.
TEST_PACKAGES = ["pytest==9.2.0", "hypothesis==6.168.5", "plumbum==2.0.2", "gevent==26.9.0", "uvloop==0.23.0", *NUMPY]
#: Tests that say the same under any Python, or are about the sources.
SAME_FOR_ANY_PYTHON = (
    *("test_abuse", "test_brine", "test_documentation", "test_examples", "test_network", "test_soak", "test_stubs"),
    *("test_abuse_calls", "test_threads", "test_zerodeploy"),
)

#: Programs that import rpyc, and those whose requirements would bring in other versions of it, or what they can do without.
PROGRAMS = [
    *("rpyc==6.0.2", "pytest==9.2.0", "numpy==2.3.5", "scipy==1.17.1", "pandas==3.1.1", "rpyc-ws==0.3.3", "uvicorn==0.54.0"),
    *("pykeepass==4.1.1.post1", "python-daemon==3.1.2", "greenlet==3.5.6"),
]
PROGRAMS_ALONE = ["mt5linux==0.1.9", "pykeepass-cache==2.0.3", "pystuck==0.8.5", "pylablib==1.4.5"]

#: The program that checks dependencies.
CARGO_DENY = "0.20.2"

LISTING = "The number of lines in the file was"


def main():
    if sys.version_info < (3, 11):
        sys.exit("Python 3.11 or newer is needed; this is " + sys.version.split()[0])
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="command")
    demo = commands.add_parser("demo", help="run the main job in every pairing of Rust, Python and stock RPyC")
    demo.add_argument("--file", type=pathlib.Path, default=EXAMPLES / "testfile.txt", help="a text file of your own")
    demo.set_defaults(run=run_demo)
    test = commands.add_parser("test", help="run every check and every test")
    test.add_argument("--only", choices=[name for name, _ in CHECKS], help="run one group")
    test.set_defaults(run=run_tests)
    bench = commands.add_parser("bench", help="measure; further arguments go to bench/run.py")
    bench.set_defaults(run=run_bench)
    compare = commands.add_parser("compare", help="measure beside other systems; further arguments go to bench/compare.py")
    compare.set_defaults(run=run_compare)
    options, rest = parser.parse_known_args()
    if rest and options.run not in (run_bench, run_compare):
        parser.error("unrecognized arguments: " + " ".join(rest))
    sys.exit(options.run(options, rest))


# ---- the main job


def run_demo(options, _):
    """The line counter for every client and server, each in a process of its own."""
    path = options.file.resolve()
    lines = read_lines(path)
    expected = "".join(f"Noisy: {line!r}\n" for line in lines) + f"{LISTING} {len(lines)}\n"
    build_python()
    interpreter("stock6")
    cargo("build", "--release", "-p", "netref", "--examples")
    results = {}
    for server in DEMO_COMMANDS:
        for client in DEMO_COMMANDS:
            say(f"client {client}, server {server}")
            output, error = run_pairing(client, server, path)
            show(output, error)
            results[client, server] = output == expected
    print_table(results)
    return 0 if all(results.values()) else 1


def python_twin(environment, script):
    """Runs one of the two Python programs as it is. Stock gets it under the name that it imports; and no call expires, for a
    long file takes RPyC longer than the 30 seconds that it allows by default."""
    if environment == "netref":
        prelude = "import netref as rpyc\n"
    else:
        prelude = (
            "import rpyc, rpyc.utils.server\n"
            "sys.modules.update({'netref': rpyc, 'netref.utils': rpyc.utils, 'netref.utils.server': rpyc.utils.server})\n"
        )
    program = (
        "import runpy, sys\n" + prelude + "rpyc.core.protocol.DEFAULT_CONFIG['sync_request_timeout'] = None\n"
        "sys.argv = sys.argv[1:]\n"
        "runpy.run_path(sys.argv[0], run_name='__main__')\n"
    )
    return [interpreter(environment), "-c", program, str(EXAMPLES / script)]


def rust_twin(role, port, *rest):
    return [str(RELEASE / "examples" / f"line_counter_{role}"), f"tcp://localhost:{port}", *rest]


DEMO_COMMANDS = {
    "Rust": lambda role, port, *rest: rust_twin(role, port, *rest),
    "Python": lambda role, port, *rest: [*python_twin("netref", f"rpyc_{role}.py"), port, *rest],
    "RPyC 6.0.2": lambda role, port, *rest: [*python_twin("stock6", f"rpyc_{role}.py"), port, *rest],
}


def run_pairing(client, server, path):
    """What the client printed, and what went wrong."""
    port = str(free_port())
    # The servers never end by themselves, so what they say goes to a file rather than a pipe that could fill up.
    with tempfile.TemporaryFile("w+") as log:
        running = subprocess.Popen(DEMO_COMMANDS[server]("server", port), stdout=log, stderr=log)
        try:
            wait_for_port(int(port), running)
            command = DEMO_COMMANDS[client]("client", port, str(path))
            done = subprocess.run(command, capture_output=True, text=True, timeout=600)
            error = done.stderr
        except Exception as failure:
            log.seek(0)
            return "", f"{failure}\n{log.read()}"
        finally:
            running.kill()
            running.wait()
    return done.stdout, error


def read_lines(path):
    with open(path) as file:
        return file.readlines()


def show(output, error, most=12):
    lines = output.splitlines()
    for line in lines if len(lines) <= most else [*lines[: most - 2], "…", lines[-1]]:
        print("    " + line)
    for line in error.splitlines()[-20:]:
        print("  ! " + line)


def print_table(results):
    names = list(DEMO_COMMANDS)
    width = max(map(len, names)) + 2
    print("\nWas the output exactly right?\n")
    print("client \\ server".ljust(17) + "".join(name.ljust(width) for name in names))
    for client in names:
        cells = ("yes" if results[client, server] else "NO" for server in names)
        print(client.ljust(17) + "".join(cell.ljust(width) for cell in cells))


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def wait_for_port(port, process, seconds=30):
    deadline = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            if process.poll() is not None:
                raise RuntimeError(f"the server ended with status {process.returncode}") from None
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


# ---- tests


def check_style():
    cargo("fmt", "--all", "--check")
    cargo("clippy", "--workspace", "--all-targets", "--all-features", "--", "-D", "warnings")
    cargo("doc", "--workspace", "--all-features", "--no-deps", env={"RUSTDOCFLAGS": "-D warnings"})
    python = interpreter("netref")
    run([python, "-m", "ruff", "check", "."])
    run([python, "-m", "ruff", "format", "--check", "."])


def test_rust():
    build_python()
    cargo("test", "--workspace", "--all-features", env=peers())


def test_python():
    build_python()
    cargo("build", "--release", "-p", "netref", "--examples")
    cargo("build", "--release", "-p", "interop-peer")
    run([interpreter("netref"), "-m", "pytest", "-q", "python/tests"], env=peers())


def test_pythons():
    """One wheel for every Python that the package is for, but the one that the other groups have used."""
    wheel = None
    for version in PYTHONS:
        python = find_python(version)
        if python_version(sys.executable) == version:
            say(f"Python {version}: the other groups use it")
        elif python is None:
            say(f"Python {version}: skipped, for there is none on this machine")
        else:
            say(f"Python {version}")
            wheel = wheel or build_wheel()
            ours = environment(f"python{version}", TEST_PACKAGES, python)
            stock = environment(f"stock6-python{version}", ENVIRONMENTS["stock6"], python)
            run([ours, "-m", "pip", "install", "--quiet", "--no-deps", "--force-reinstall", wheel])
            ignored = [f"--ignore=python/tests/{name}.py" for name in SAME_FOR_ANY_PYTHON]
            path = (
                f"{pathlib.Path(ours).parent}{os.pathsep}{os.environ['PATH']}"  # where servers are started by the name python3.x
            )
            variables = peers() | {"NETREF_PYTHON": ours, "NETREF_STOCK6_PYTHON": stock, "PATH": path}
            run([ours, "-m", "pytest", "-q", "-p", "no:cacheprovider", "python/tests", *ignored], env=variables)


def test_programs():
    """Programs from PyPI, in an environment of their own. Not part of a full run: whoever cannot install them skips it."""
    try:
        python = environment("programs", PROGRAMS, sys.executable)
        run([python, "-m", "pip", "install", "--quiet", "--no-deps", *PROGRAMS_ALONE])
    except SystemExit as failure:
        say(f"skipped: the programs cannot be installed ({failure})")
        return
    run([python, "-m", "pip", "install", "--quiet", "--no-deps", "--force-reinstall", build_wheel()])
    run([python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "python/programs"])


def test_interop():
    build_python()
    cargo("build", "--release", "-p", "interop-peer")
    run([interpreter("netref"), "-m", "pytest", "-q", "interop"], env=peers())


def test_bench():
    run([interpreter("netref"), "-m", "unittest", "discover", "bench/tests"], env=peers())


def test_dependencies():
    """Licences, sources and known faults of what the project depends on."""
    deny = cargo_deny()
    if deny is None:
        say("left out: cargo-deny is not installed, and cannot be")
        return
    run([deny, "check", "--hide-inclusion-graph", "bans", "licenses", "sources"])
    if subprocess.run([deny, "fetch", "db"], cwd=ROOT, timeout=300).returncode != 0:
        say("left out: advisories, for the database of them cannot be fetched")
        return
    run([deny, "check", "--disable-fetch", "advisories"])


def test_fuzz():
    """What fuzz targets do on their corpora and on changes of those; `fuzz/README.md` has the real thing."""
    cargo("test", "-p", "netref-core", "--test", "fuzz", env={"NETREF_FUZZ_SECONDS": "10"})


def test_demo():
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "long.txt")
        path.write_text("".join(f"line {number} of 'many'\n" for number in range(2000)))
        for file in (EXAMPLES / "testfile.txt", path):
            if run_demo(argparse.Namespace(file=file), None) != 0:
                raise SystemExit("the main job went wrong in some pairing")


CHECKS = [
    ("style", check_style),
    ("rust", test_rust),
    ("python", test_python),
    ("pythons", test_pythons),
    ("programs", test_programs),
    ("interop", test_interop),
    ("bench", test_bench),
    ("dependencies", test_dependencies),
    ("fuzz", test_fuzz),
    ("demo", test_demo),
]

#: Groups that run only if they are asked for.
OPTIONAL = {"programs"}


def run_tests(options, _):
    for name, check in CHECKS:
        if options.only == name or (options.only is None and name not in OPTIONAL):
            say(name)
            check()
    say("all passed")
    return 0


def run_bench(_, rest):
    return measure("bench/run.py", rest)


def run_compare(_, rest):
    return measure("bench/compare.py", rest, {"NETREF_PEERS_PYTHON": interpreter("peers")})


def measure(program, arguments, env=None):
    build_python()
    cargo("build", "--release", "-p", "bench-peer")
    variables = {**peers(), "NETREF_BENCH_PEER": str(RELEASE / "bench-peer"), **(env or {})}
    return subprocess.run([interpreter("netref"), program, *arguments], cwd=ROOT, env=os.environ | variables).returncode


# ---- what the commands need


def peers():
    """Where tests find the programs that they pair."""
    return {
        "NETREF_PYTHON": interpreter("netref"),
        "NETREF_STOCK6_PYTHON": interpreter("stock6"),
        "NETREF_STOCK5_PYTHON": interpreter("stock5"),
        "NETREF_PEER_BIN": str(RELEASE / "interop-peer"),
        "NETREF_EXAMPLES_DIR": str(RELEASE / "examples"),
    }


def interpreter(name):
    """The Python of one of the virtual environments that every group uses."""
    return environment(name, ENVIRONMENTS[name], sys.executable)


def environment(name, packages, base):
    """The Python of a virtual environment, which is made if it is not there or lists other packages."""
    folder = DEV / name
    python = folder / "bin" / "python"
    wanted = "\n".join(packages)
    stamp = folder / "packages.txt"
    if not stamp.exists() or stamp.read_text() != wanted:
        say(f"making the environment {name}: {', '.join(packages)}")
        run([base, "-m", "venv", "--clear", str(folder)])
        run([str(python), "-m", "pip", "install", "--quiet", *packages])
        stamp.write_text(wanted)
    return str(python)


def find_python(version):
    """An interpreter of a version, or None."""
    pyenv = pathlib.Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser()
    named = os.environ.get("NETREF_PYTHONS", "").split(os.pathsep)
    on_path = shutil.which(f"python{version}")
    candidates = [*named, on_path, *sorted(pyenv.glob(f"versions/{version}.*/bin/python"))]
    return next((str(python) for python in candidates if python and python_version(python) == version), None)


def python_version(python):
    """Such as 3.11; None if the interpreter cannot be run, like a place-holder of pyenv's for a version that is not in use."""
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    try:
        done = subprocess.run([python, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, timeout=60)
    except OSError:
        return None
    return done.stdout.strip() or None


def cargo_deny():
    """The program, which is built if it is not there; that takes some minutes, once. None if it cannot be."""
    folder = DEV / f"cargo-deny-{CARGO_DENY}"
    program = folder / "bin" / "cargo-deny"
    if not program.exists():
        say(f"building cargo-deny {CARGO_DENY}")
        build = ["cargo", "install", "cargo-deny", "--version", CARGO_DENY, "--locked", "--debug", "--quiet"]
        if subprocess.run([*build, "--root", str(folder)], cwd=ROOT).returncode != 0:
            return None
    return str(program)


def build_wheel():
    folder = DEV / "wheels"
    shutil.rmtree(folder, ignore_errors=True)
    run([interpreter("netref"), "-m", "maturin", "build", "--release", "--quiet", "--out", str(folder)])
    return str(next(folder.glob("*.whl")))


def build_python():
    python = interpreter("netref")
    variables = {"VIRTUAL_ENV": str(DEV / "netref"), "PATH": f"{DEV / 'netref' / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    run([python, "-m", "maturin", "develop", "--release", "--quiet"], env=variables)


def cargo(*arguments, env=None):
    run(["cargo", *arguments], env=env)


def run(command, env=None):
    """Runs a command and ends the program if it fails."""
    status = subprocess.run(command, cwd=ROOT, env=os.environ | (env or {})).returncode
    if status != 0:
        sys.exit(f"failed with status {status}: {' '.join(command)}")


def say(text):
    print(f"\n== {text}", flush=True)


if __name__ == "__main__":
    main()
