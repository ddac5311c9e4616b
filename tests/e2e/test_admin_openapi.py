"""The admin API keeps what its OpenAPI document says: schemathesis makes requests from the document, good and bad ones."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from conftest import MakeGateway
from harness.gateway import ADMIN_TOKEN, PROVIDER_KEY, Gateway
from harness.wire import call

# The requests stay below the API's own rates (100 reads and 20 writes a second), so that few are answered with 429.
READS = ["--include-method", "GET", "--phases", "examples,coverage,fuzzing", "--max-examples", "5", "--rate-limit", "80/s"]
WRITES = ["--exclude-method", "GET", "--phases", "examples,fuzzing", "--max-examples", "4", "--rate-limit", "18/s"]

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


@pytest.mark.parametrize("role", ["viewer", "developer", "team_admin", "operator"])
def test_the_document_is_kept_for_people(gateway: MakeGateway, role: str) -> None:
    """FUZZ-02: the same for whoever may do less. Signing out would only end the run; and the tool, told of tokens, would
    send made-up ones instead of the cookie."""
    served = gateway({"providers": {"demo": {"kind": "demo"}}})
    document = call(served.admin_url, "/admin/v1/openapi.json").json
    del document["security"], document["components"]["securitySchemes"]
    for operation in (operation for path in document["paths"].values() for operation in path.values()):
        operation.pop("security", None)
    (served.folder / "openapi.json").write_text(json.dumps(document))
    which = [*PERSON, "--url", served.admin_url, *excluded("signOut", "endSession", "setPassword")]
    fuzzed(served, signed_in(served, role), which, "openapi.json")


@pytest.mark.parametrize("which", [READS, WRITES], ids=["reads", "writes"])
def test_the_document_is_kept(gateway: MakeGateway, which: list[str]) -> None:
    """FUZZ-02: No 5xx, no reply that the document does not describe, nothing accepted that it forbids."""
    served: Gateway = gateway({"providers": {"demo": {"kind": "demo"}}})
    fuzzed(served, [f"Authorization: Bearer {ADMIN_TOKEN}"], which)


def excluded(*operations: str) -> list[str]:
    return [word for operation in operations for word in ("--exclude-operation-id", operation)]


def fuzzed(served: Gateway, headers: list[str], which: list[str], document: str = "") -> None:
    (served.folder / "schemathesis.toml").write_text(CONFIG)
    command = [
        *(sys.executable, "-c", "import schemathesis.cli; schemathesis.cli.schemathesis()"),
        *("run", document or f"{served.admin_url}/admin/v1/openapi.json"),
        *(word for header in headers for word in ("--header", header)),
        *("--seed", "1", "--generation-database", "none", "--request-timeout", "20", "--no-color"),
        *excluded(*EXCLUDED),
        *("--exclude-checks", UNCHECKED, *which),
    ]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=served.folder, check=False)
    assert ran.returncode == 0, ran.stdout[-8000:] + ran.stderr[-2000:]
    assert served.process is not None and served.process.poll() is None
    assert "panicked" not in served.log
    for secret in (ADMIN_TOKEN, PROVIDER_KEY, PASSWORD):
        assert secret not in served.log
