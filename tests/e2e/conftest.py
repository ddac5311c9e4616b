"""Fixtures: gateways and scripted upstreams that end with their test."""

from __future__ import annotations

import re
import resource
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from harness import notes
from harness.gateway import Config, Gateway, simple
from harness.upstream import Script, Upstream


def pytest_configure() -> None:
    """Lets tests open some hundred connections, whatever the shell allows by itself."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    enough = 4096 if hard == resource.RLIM_INFINITY else min(4096, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, enough) if soft >= 0 else soft, hard))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes long is begun first."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hands the figures on where suites run side by side."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["notes"] = notes.LINES


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Takes over the figures of one that ran beside others."""
    notes.LINES.extend(getattr(node, "workeroutput", {}).get("notes", []))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Shows the figures."""
    for line in notes.LINES:
        terminalreporter.write_line(line)


MakeGateway = Callable[..., Gateway]
MakeUpstream = Callable[..., Upstream]


def _gateways(folders: Callable[[], Path], session: pytest.Session) -> Iterator[MakeGateway]:
    """What a gateway wrote, 33 MiB of journal at least, is kept only where a test failed meanwhile."""
    made: list[Gateway] = []
    failed = session.testsfailed

    def make(config: Config, start: bool = True, **more: object) -> Gateway:
        gateway = Gateway(folders(), config, **more)  # type: ignore[arg-type]
        made.append(gateway)
        return gateway.start() if start else gateway

    yield make
    for gateway in made:
        gateway.kill()
        if session.testsfailed == failed:
            shutil.rmtree(gateway.folder, ignore_errors=True)


@pytest.fixture
def gateway(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[MakeGateway]:
    """Starts gateways: `gateway(config)`."""
    yield from _gateways(lambda: tmp_path_factory.mktemp("gateway"), request.session)


@pytest.fixture(scope="module")
def shared_gateway(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[MakeGateway]:
    """Starts gateways that serve a whole module."""
    yield from _gateways(lambda: tmp_path_factory.mktemp("gateway"), request.session)


def _upstreams() -> Iterator[MakeUpstream]:
    made: list[Upstream] = []

    def make(script: Script | None = None) -> Upstream:
        made.append(Upstream(script))
        return made[-1]

    yield make
    for upstream in made:
        upstream.close()


@pytest.fixture
def upstream() -> Iterator[MakeUpstream]:
    """Starts scripted upstreams: `upstream(script)`."""
    yield from _upstreams()


@pytest.fixture(scope="module")
def shared_upstream() -> Iterator[MakeUpstream]:
    """Starts scripted upstreams that serve a whole module."""
    yield from _upstreams()


class Pair:
    """A gateway in front of one scripted upstream with the model `m`."""

    def __init__(self, gateway: Gateway, upstream: Upstream) -> None:
        self.gateway, self.upstream = gateway, upstream

    def script(self, script: Script) -> None:
        """Gives the upstream a new script and an empty journal."""
        self.upstream.script = script
        self.upstream.journal.clear()


@pytest.fixture(scope="module")
def pair(shared_gateway: MakeGateway, shared_upstream: MakeUpstream) -> Pair:
    """One gateway and one upstream for a whole module; each test sets its script. Deadlines are the usual ones."""
    upstream = shared_upstream()
    return Pair(shared_gateway(simple(upstream.base_url)), upstream)


@pytest.fixture(scope="module")
def silent(shared_gateway: MakeGateway, shared_upstream: MakeUpstream) -> Pair:
    """A pair with short deadlines, for upstreams that fall silent. One that is to answer needs another: on a busy machine it
    may take as long."""
    upstream = shared_upstream()
    deadlines = {"first_token_timeout_ms": 1000, "idle_timeout_ms": 1000, "timeout_ms": 30_000}
    return Pair(shared_gateway(simple(upstream.base_url, **deadlines)), upstream)


@pytest.fixture(scope="module")
def fading(shared_gateway: MakeGateway, shared_upstream: MakeUpstream) -> Pair:
    """A pair that is patient until an answer begins, and then no more."""
    upstream = shared_upstream()
    return Pair(shared_gateway(simple(upstream.base_url, idle_timeout_ms=1000)), upstream)


@pytest.fixture(scope="session")
def llama() -> Iterator[str]:
    """The address of a running model server."""
    script = Path(__file__).parent / "harness" / "real_model.py"
    process = subprocess.Popen([sys.executable, script, "0"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert process.stdout is not None
    # One that says nothing is ended, and what it has said is shown.
    patience = threading.Timer(120, process.kill)
    patience.start()
    seen = []
    address = None
    for raw in process.stdout:
        line = raw.decode("utf-8", "replace")
        seen.append(line)
        # The model's own log writes a line in pieces, and this one may come after the first of them.
        if found := re.search(r"serving (http://\S+)", line):
            address = found[1].rstrip("/")
            break
    patience.cancel()
    assert address, "".join(seen)
    threading.Thread(target=lambda: [None for _ in process.stdout or ()], daemon=True).start()
    yield address
    process.kill()
    process.wait(10)
