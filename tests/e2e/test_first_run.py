"""The first minute: an empty directory, one command, one line to paste."""

from __future__ import annotations

import json
import re
import shlex
import subprocess

from conftest import MakeGateway
from harness.cli import run
from harness.gateway import Gateway, binary
from harness.wire import call

FREE_PORTS = {"CROSSWAY_LISTEN": "127.0.0.1:0", "CROSSWAY_ADMIN_LISTEN": "127.0.0.1:0"}


def curl_line(gateway: Gateway) -> str:
    """The printed command, its continuation lines joined."""
    text = gateway.wait(lambda: gateway.log if "curl" in gateway.log else None, "the curl line")
    gateway.wait(lambda: _complete(gateway.log), "the end of the curl line")
    return _complete(text if _complete(text) else gateway.log) or ""


def _complete(text: str) -> str | None:
    at = re.search(r"^.*?\b(curl\s)", text, re.MULTILINE)
    if not at:
        return None
    command = ""
    for line in text[at.start(1) :].split("\n"):
        command += line.rstrip().removesuffix("\\") + "\n"
        try:
            shlex.split(command)
        except ValueError:
            continue
        if not line.rstrip().endswith("\\"):
            return command.strip()
    return None


def paste(command: str) -> str:
    """What a shell prints for a pasted command."""
    quiet = command.replace("curl ", "curl -sS --fail-with-body ", 1)
    done = subprocess.run(["sh", "-c", quiet], capture_output=True, timeout=30)
    assert done.returncode == 0, (command, done.stdout, done.stderr)
    return done.stdout.decode()


def text_of(answer: str) -> str:
    """The answer's text, whether it was streamed or not."""
    if "data:" not in answer:
        return json.loads(answer)["choices"][0]["message"]["content"]
    datas = [line[5:].strip() for line in answer.splitlines() if line.startswith("data:")]
    assert datas[-1] == "[DONE]"
    chunks = [json.loads(data) for data in datas[:-1]]
    return "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"])


def test_an_empty_directory_and_one_command(gateway: MakeGateway) -> None:
    first = gateway({}, start=False, env=FREE_PORTS)
    first.config_file.unlink()
    first.start(["--demo"])
    assert text_of(paste(curl_line(first))).strip()
    assert first.stop() == 0

    first.log_lines.clear()
    first.start(["--demo"])
    assert text_of(paste(curl_line(first))).strip(), "the second start serves too"
    assert first.stop() == 0


def test_the_master_key_is_private(gateway: MakeGateway) -> None:
    first = gateway({}, start=False, env=FREE_PORTS)
    first.config_file.unlink()
    first.start(["--demo"])
    data = first.folder / "crossway-data"
    assert data.is_dir(), "the data directory has its documented place"
    for path in data.rglob("*"):
        if "key" in path.name and path.is_file():
            assert path.stat().st_mode & 0o077 == 0, f"{path.name} is readable by others"
    assert first.stop() == 0


def test_the_printed_link_makes_the_owner_who_invites_by_a_link(gateway: MakeGateway) -> None:
    """Each link leads to a page; what its form sends, to where it says, does what the page promises."""
    first = gateway({}, start=False)
    first.start()
    link = first.wait(lambda: re.search(r"^(http://\S+/setup)#code=(\w+)$", first.log, re.MULTILINE), "the link")
    for url, fields, says in (
        (link[1], {"code": link[2], "email": "ada@example.com", "name": "Ada"}, "Become the owner"),
        (None, {}, "Set your password"),
    ):
        if url is None:
            invited = run(first, "people", "add", "bob@example.com", "--role", "developer", config=True)
            assert invited.code == 0 and "/invitation#code=" in invited.err, invited.all
            url, fields = f"{first.admin_url}/invitation", {"code": invited.out.strip()}
        origin, path = url.rsplit("/", 1)
        page = call(origin, f"/{path}")
        assert page.status == 200 and says in page.body.decode(), page.body
        for asset in re.findall(r'(?:src|href)="(setup\.\w+)"', page.body.decode()):
            assert call(origin, f"/{asset}").status == 200, asset
        inputs = set(re.findall(r'<input id="(\w+)"', page.body.decode()))
        assert inputs == {*fields, "password"}
        to = re.search(r'data-to="([^"]+)"', page.body.decode())
        done = call(origin, f"/{to[1]}", fields | {"password": "correct horse battery"})  # type: ignore[index]
        assert done.status in (200, 201) and done.header("set-cookie"), done.body
    assert b"is set up" in call(first.admin_url, "/setup").body
    assert "bob@example.com" in run(first, "people", "list", config=True).out


def test_check_says_it_once(gateway: MakeGateway) -> None:
    """`crossway check` where nothing is configured: one problem, and what to do about it."""
    done = run(gateway({}, start=False), "check")
    assert done.code == 1 and done.out == ""
    lines = done.err.splitlines()
    assert len(lines) == 2 and lines[1] == "1 problem found", lines
    assert lines[0].startswith("environment: no provider is configured") and "OPENAI_API_KEY" in lines[0]


def test_commands_that_read_make_nothing(gateway: MakeGateway) -> None:
    """In the wrong folder they say that there is nothing, and leave none behind that would answer the next time."""
    wrong = gateway({}, start=False)
    before = sorted(path.name for path in wrong.folder.iterdir())
    for command in (
        "keys list", "keys rotate app", "keys revoke app", "people list", "people reset ada@example.com",
        "credits list", "audit verify", "ledger verify", "migrate", "backup b.tar",
    ):  # fmt: skip
        done = run(wrong, *command.split())
        assert done.code == 1 and done.out == "", (command, done.all)
        assert len(done.err.splitlines()) == 1 and "data" in done.err, (command, done.err)
    assert sorted(path.name for path in wrong.folder.iterdir()) == before


def test_a_reader_who_has_read_enough_is_no_fault(gateway: MakeGateway) -> None:
    """As in `crossway openapi | head -1`."""
    folder = gateway({}, start=False).folder
    with subprocess.Popen([binary(), "openapi"], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as program:
        assert program.stdout and program.stderr
        program.stdout.read(1)
        program.stdout.close()
        assert program.stderr.read() == b""
