"""The admin API keeps what its OpenAPI document says: schemathesis makes requests from the document, good and bad ones.

Each run waits for the API's rates most of the time. All of them are begun at once, each with a gateway of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from conftest import MakeGateway
from harness.gateway import ADMIN_TOKEN, PROVIDER_KEY, Gateway
from harness.wire import call

pytestmark = pytest.mark.long

# The requests stay below the API's own rates (100 reads and 20 writes a second), so that few are answered with 429.
GET = ["--include-method", "GET"]
READS = ["--max-examples", "5", "--rate-limit", "80/s", "--phases"]
WRITES = ["--exclude-method", "GET", "--phases", "examples,fuzzing", "--max-examples", "4", "--rate-limit", "18/s"]

# What takes some twenty parameters has most of the cases. They are begun in two halves.
REPORTS = "/(audit|requests|requests/(count|histogram|tail)|usage)$"

# A schema does not say which names exist and which values go together: a good document may still be refused.
UNCHECKED = "positive_data_acceptance"

# What refuses bad input: the tool's own list, and what is said of requests that are too large for it to be read.
CONFIG = """
[checks]
negative_data_rejection.expected-statuses = [400, 401, 403, 404, 405, 406, 409, 413, 414, 415, 422, 428, 429, 431]
"""

# Left to other tests: it connects to wherever it is told to (scripted providers), and a browser is sent there and back
# (a real OpenID provider).
EXCLUDED = ("testProviderDraft", "startOidc", "finishOidc", "getEffectiveLimits")


# What a person of a role is asked with: fewer examples, for most of what they ask is not theirs.
PERSON = ["--phases", "examples,fuzzing", "--max-examples", "2", "--rate-limit", "18/s"]

PASSWORD = "correct horse battery"


def signed_in(served: Gateway, role: str) -> list[str]:
    """Invites somebody and signs them in; returns the header lines of their browser."""
    spec = {"spec": {"email": f"{role}@example.com", "role": role}}
    made = call(served.admin_url, "/admin/v1/users", spec, key=ADMIN_TOKEN)
    code = {"code": made.json["invitation"]["code"], "password": PASSWORD}
    entered = call(served.admin_url, "/admin/v1/invitation", code)
    assert entered.status == 200, entered.body
    cookie = (entered.header("set-cookie") or "").split(";")[0]
    return [f"Cookie: {cookie}", f"x-crossway-csrf: {entered.json['csrf_token']}", f"Origin: {served.admin_url}"]


ROLES = ["viewer", "developer", "team_admin", "operator"]


@dataclass
class Run:
    """One run of the tool, and the gateway that it asks."""

    served: Gateway
    process: subprocess.Popen[str]

    @classmethod
    def begin(cls, served: Gateway, headers: list[str], which: list[str], document: str = "") -> Run:
        (served.folder / "schemathesis.toml").write_text(CONFIG)
        command = [
            *(sys.executable, "-c", "import schemathesis.cli; schemathesis.cli.schemathesis()"),
            *("run", document or f"{served.admin_url}/admin/v1/openapi.json"),
            *(word for header in headers for word in ("--header", header)),
            *("--seed", "1", "--generation-database", "none", "--request-timeout", "20", "--no-color"),
            *excluded(*EXCLUDED),
            *("--exclude-checks", UNCHECKED, *which),
        ]
        with (served.folder / "schemathesis.txt").open("w") as said:
            process = subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT, text=True, cwd=served.folder)
        return cls(served, process)

    def check(self) -> None:
        """Waits for its end. Nothing may have gone wrong, and no secret may be told."""
        ended = self.process.wait(timeout=600)
        assert ended == 0, (self.served.folder / "schemathesis.txt").read_text()[-8000:]
        assert self.served.process is not None and self.served.process.poll() is None
        assert "panicked" not in self.served.log
        for secret in (ADMIN_TOKEN, PROVIDER_KEY, PASSWORD):
            assert secret not in self.served.log


@pytest.fixture(scope="module")
def runs(shared_gateway: MakeGateway) -> Iterator[dict[str, Run]]:
    """All runs, begun."""
    begun: dict[str, Run] = {}
    coverage = [*READS, "coverage"]
    # Of what is included, a request needs to fit one word only.
    of_administrators = {
        "coverage of reports": [*coverage, "--include-path-regex", REPORTS],
        "coverage of the others": [*GET, *coverage, "--exclude-path-regex", REPORTS],
        "reads": [*GET, *READS, "examples,fuzzing"],
        "writes": WRITES,
    }
    for name, which in of_administrators.items():
        served = shared_gateway({"providers": {"demo": {"kind": "demo"}}})
        begun[name] = Run.begin(served, [f"Authorization: Bearer {ADMIN_TOKEN}"], which)
    for role in ROLES:
        served = shared_gateway({"providers": {"demo": {"kind": "demo"}}})
        document = call(served.admin_url, "/admin/v1/openapi.json").json
        # The tool, told of tokens, would send made-up ones instead of the cookie.
        del document["security"], document["components"]["securitySchemes"]
        for operation in (operation for path in document["paths"].values() for operation in path.values()):
            operation.pop("security", None)
        (served.folder / "openapi.json").write_text(json.dumps(document))
        # Signing out would only end the run.
        which = [*PERSON, "--url", served.admin_url, *excluded("signOut", "endSession", "setPassword")]
        begun[role] = Run.begin(served, signed_in(served, role), which, "openapi.json")
    yield begun
    for run in begun.values():
        run.process.kill()
        run.process.wait()


def excluded(*operations: str) -> list[str]:
    return [word for operation in operations for word in ("--exclude-operation-id", operation)]


@pytest.mark.parametrize("which", ["coverage of reports", "coverage of the others", "reads", "writes"])
def test_the_document_is_kept(runs: dict[str, Run], which: str) -> None:
    """FUZZ-02: No 5xx, no reply that the document does not describe, nothing accepted that it forbids."""
    runs[which].check()


@pytest.mark.parametrize("role", ROLES)
def test_the_document_is_kept_for_people(runs: dict[str, Run], role: str) -> None:
    """FUZZ-02: the same for whoever may do less."""
    runs[role].check()
