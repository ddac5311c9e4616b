"""The admin API keeps what its OpenAPI document says: schemathesis makes requests from the document, good and bad ones."""

from __future__ import annotations

import subprocess
import sys

import pytest
from conftest import MakeGateway
from harness.gateway import ADMIN_TOKEN, PROVIDER_KEY, Gateway

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


@pytest.mark.parametrize("which", [READS, WRITES], ids=["reads", "writes"])
def test_the_document_is_kept(gateway: MakeGateway, which: list[str]) -> None:
    """No 5xx, no reply that the document does not describe, nothing accepted that it forbids."""
    served: Gateway = gateway({"providers": {"demo": {"kind": "demo"}}})
    (served.folder / "schemathesis.toml").write_text(CONFIG)
    command = [
        *(sys.executable, "-c", "import schemathesis.cli; schemathesis.cli.schemathesis()"),
        *("run", f"{served.admin_url}/admin/v1/openapi.json", "--header", f"Authorization: Bearer {ADMIN_TOKEN}"),
        *("--seed", "1", "--generation-database", "none", "--request-timeout", "20", "--no-color"),
        *(word for operation in EXCLUDED for word in ("--exclude-operation-id", operation)),
        *("--exclude-checks", UNCHECKED, *which),
    ]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=served.folder, check=False)
    assert ran.returncode == 0, ran.stdout[-8000:] + ran.stderr[-2000:]
    assert served.process is not None and served.process.poll() is None
    assert "panicked" not in served.log
    for secret in (ADMIN_TOKEN, PROVIDER_KEY):
        assert secret not in served.log
