"""Every example of the pages about resources, on a gateway: as a file, and with curl."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from conftest import MakeGateway
from harness.cli import run
from harness.gateway import ADMIN_TOKEN

PAGES = sorted((Path(__file__).parents[2] / "docs" / "resources").glob("*.md"))


def blocks(page: Path, language: str) -> list[str]:
    """Returns the code of a page in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.M | re.S)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page(page: Path, gateway: MakeGateway, tmp_path: Path) -> None:
    """Files apply and are then no difference; curl lines succeed on a gateway that has nothing yet."""
    files, lines = blocks(page, "yaml"), blocks(page, "sh")
    assert files and lines
    served = gateway({})
    for text in files:
        file = tmp_path / "example.yaml"
        file.write_text(text)
        env = {"HOUSE_KEY": "sk-house", "HOOK_SECRET": "hook-secret-of-the-tests-0123456789abcdef"}
        applied = run(served, "apply", "-f", file, env=env)
        assert applied.code == 0 and f"created   {page.stem} " in applied.out, applied.all
        assert run(served, "diff", "-f", file, env=env).code == 0
    fresh = gateway({})
    env = {"PATH": "/usr/bin:/bin", "CROSSWAY_ADMIN_URL": fresh.admin_url, "CROSSWAY_ADMIN_TOKEN": ADMIN_TOKEN}
    for text in lines:
        done = subprocess.run(["bash", "-e", "-c", text], env=env, capture_output=True, timeout=60)
        assert done.returncode == 0, f"{text}\n{done.stdout.decode()}{done.stderr.decode()}"
