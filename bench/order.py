"""Writes apps/crossway/order.txt: the functions that run when Crossway starts and serves, for the linker to put together.

    python3 bench/order.py [BINARY]

The binary is that of `cargo build --release -p crossway`, which keeps its names. It is started under callgrind (Debian: valgrind), given the
limits of conf/governed.json and some requests, plain and streamed, and stopped. Build once more to have the new order. It is worth doing
after an upgrade of Rust or of Cargo.lock, which change the names; an old list does no harm.
"""
import glob
import json
import os
import re
import subprocess
import sys
import tempfile
import time

import peers

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
ORDER = os.path.join(ROOT, "apps", "crossway", "order.txt")
MOCK = os.path.join(HERE, "target", "release", "mock")


def executed(binary, work):
    """The names of the functions that ran."""
    profile = os.path.join(work, "callgrind")
    mock = subprocess.Popen([MOCK, "127.0.0.1:9000"], stdout=subprocess.DEVNULL)
    gateway = peers.Crossway("crossway", work, binary=binary, plain=False)
    gateway.prepare()
    gateway.prepare = lambda: None
    gateway.cmd = ["valgrind", "--quiet", "--tool=callgrind", "--demangle=no", f"--callgrind-out-file={profile}"] + gateway.cmd
    chat = dict(model="gpt-4o-mini", messages=[dict(role="user", content="Hello")], max_tokens=64)
    try:
        gateway.start(json.dumps(chat))
        gateway.settle()
        for asked in range(50):
            gateway.chat(json.dumps(chat | dict(stream=asked % 5 == 0)))
        time.sleep(3)
    finally:
        gateway.process.terminate()
        gateway.process.wait(60)
        mock.terminate()
        mock.wait()
    named = re.compile(r"c?fn=\(\d+\) (\S+?)('\d+)?$")
    lines = (line.rstrip() for path in glob.glob(profile + "*") for line in open(path, errors="replace"))
    return {found.group(1) for found in map(named.match, lines) if found}


def main():
    binary = sys.argv[1] if len(sys.argv) > 1 else os.path.join(ROOT, "target", "release", "crossway")
    subprocess.run(["cargo", "build", "--release", "--quiet"], cwd=os.path.join(HERE, "tools"), check=True,
                   env={**os.environ, "CARGO_TARGET_DIR": os.path.join(HERE, "target")})
    with tempfile.TemporaryDirectory() as work:
        ran = executed(os.path.abspath(binary), work)
    table = subprocess.run(["nm", "--numeric-sort", binary], capture_output=True, text=True, check=True).stdout
    symbols = [line.split()[2] for line in table.splitlines() if len(line.split()) == 3 and line.split()[1] in "tTwW"]
    order = [name for name in dict.fromkeys(symbols) if name in ran]
    if len(order) < 1_000:
        raise SystemExit(f"only {len(order)} functions were found: does the binary have its names?")
    with open(ORDER, "w") as f:
        f.write("".join(f"{name}\n" for name in order))
    print(f"{len(order)} functions in {os.path.relpath(ORDER)}")


if __name__ == "__main__":
    main()
