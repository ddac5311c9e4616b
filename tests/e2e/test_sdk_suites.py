"""The test suites of the official SDKs, run through the gateway against strict upstreams.

The suites come from the SDKs' own source packages; the upstreams are made of the providers' OpenAPI documents and
refuse what those do not allow. Faults of a suite are listed in sdk_suites.toml with their reason; the list only gets
shorter.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import tomllib
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from xml.etree import ElementTree

import pytest
from anthropic.resources.messages import DEPRECATED_MODELS
from conftest import MakeGateway
from harness.gateway import model, provider
from harness.notes import note
from harness.readers import KINDS
from harness.steady import SCHEMAS, Steady

HERE = Path(__file__).parent
# Where the sources of the packages lie: beside the virtual environment.
SOURCES = Path(sys.prefix).parent / "sources"

# suite -> its file, which of its tests, the models it asks for
SUITES = {
    # What is stored, listed and deleted is not served; the third client is the SDK's transport over aiohttp.
    "openai": ("tests/api_resources/chat/test_completions.py", "create and not aiohttp", ["gpt-6-astra"]),
    "anthropic": (
        "tests/api_resources/test_messages.py",
        "not aiohttp",
        ["claude-opus-5-5", *DEPRECATED_MODELS],
    ),
}
# dialect -> its document
UPSTREAMS = {"openai_chat": "openai", "openai_responses": "openai", "anthropic": "anthropic", "ollama": "ollama"}
RUNS = [(suite, dialect) for suite in SUITES for dialect in UPSTREAMS]

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not SCHEMAS.exists(), reason=f"no OpenAPI documents in {SCHEMAS}"),
]


@pytest.fixture(scope="module")
def steady() -> Iterator[dict[str, Steady]]:
    """One strict upstream per document."""
    made = {dialect: Steady(schema, dialect) for dialect, schema in UPSTREAMS.items()}
    yield made
    for upstream in made.values():
        upstream.stop()


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sources of the SDKs."""
    folder = tmp_path_factory.mktemp("sources")
    for name in SUITES:
        package = SOURCES / f"{name}-{version(name)}.tar.gz"
        assert package.exists(), f"no {package}: `cargo xtask test` downloads it"
        with tarfile.open(package) as archive:
            archive.extractall(folder, filter="data")
        (folder / f"{name}-{version(name)}").rename(folder / name)
    return folder


def outcomes(folder: Path, suite: str, base_url: str, more: str) -> dict[str, str]:
    """Runs a suite and returns what its report says: test -> "passed", or why not."""
    file, selection, _ = SUITES[suite]
    selection += more
    report = folder / "report.xml"
    plain = ["-c", os.devnull, "--rootdir", ".", "--noconftest", "-p", "harness.sdk_suite", "-o", "asyncio_mode=auto"]
    quiet = ["-q", "-p", "no:llmock", "-p", "no:cacheprovider", "-W", "ignore", f"--junitxml={report}"]
    env = {k: v for k, v in os.environ.items() if not k.startswith(("OPENAI_", "ANTHROPIC_", "PYTEST_"))}
    env |= {"TEST_API_BASE_URL": base_url, "PYTHONPATH": f"{HERE}{os.pathsep}{folder}"}
    command = [sys.executable, "-m", "pytest", *plain, *quiet, "-k", selection, file]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, timeout=120)
    assert report.exists(), done.stdout.decode() + done.stderr.decode()
    found = {}
    for case in ElementTree.parse(report).iter("testcase"):
        wrong = case.find("failure") if case.find("failure") is not None else case.find("error")
        name = f"{str(case.get('classname')).rpartition('.')[2]}::{case.get('name')}"
        found[name] = "passed" if wrong is None else reason(wrong.text or "")
    return found


def reason(text: str) -> str:
    """The line of a failure that says what is wrong."""
    lines = re.findall(r"^E\s+(.*)$", text, re.MULTILINE)
    return lines[-1][:400] if lines else text[-400:]


def known(suite: str, upstream: str) -> dict[str, str]:
    """The tests that are known to fail, with the reason."""
    listed = tomllib.loads((HERE / "sdk_suites.toml").read_text()).get(f"{suite}-over-{upstream}", [])
    assert all(entry["reason"].strip() for entry in listed), "a fault needs a reason"
    return {name: entry["reason"] for entry in listed for name in entry["tests"]}


@pytest.mark.parametrize(("suite", "upstream"), RUNS, ids=lambda name: name)
def test_suite(gateway: MakeGateway, steady: dict[str, Steady], unpacked: Path, suite: str, upstream: str) -> None:
    kind, path = KINDS[upstream]
    config = {
        # The suites bring a key of their own.
        "anonymous": "loopback",
        "providers": {"up": provider(steady[upstream].front.url + path, kind=kind)},
        "models": [model(name, "up", name) for name in SUITES[suite][2]],
    }
    served = gateway(config)
    # The provider's own dialect sees them all; the others one client of four.
    own = upstream.startswith(suite) and upstream != "openai_responses"
    found = outcomes(unpacked / suite, suite, served.url, "" if own else " and strict and not Async")
    passed = sum(1 for what in found.values() if what == "passed")
    listed = known(suite, upstream)
    note(f"suite of {suite} over {upstream}: {passed} of {len(found)} tests passed, {len(listed)} faults listed")
    wrong = {name: what for name, what in found.items() if what != "passed" and name.partition("[")[0] not in listed}
    assert not wrong, "\n".join([f"{len(wrong)} fail", *[f"{name}: {what}" for name, what in list(wrong.items())[:12]]])
    assert passed >= (30 if own else 6), f"only {passed} ran"
    failed = {name.partition("[")[0] for name, what in found.items() if what != "passed"}
    assert not set(listed) - failed, f"passing by now: take them off the list: {sorted(set(listed) - failed)}"
