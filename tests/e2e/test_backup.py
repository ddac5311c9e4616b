"""Backups of a gateway under load, and what they are worth after everything else is gone."""

from __future__ import annotations

import json
import shutil
import sqlite3
import tarfile
import threading
from pathlib import Path

import pytest
from conftest import MakeGateway, MakeUpstream
from harness import openai_wire as wire
from harness.cli import run
from harness.gateway import ADMIN_TOKEN, Gateway, simple
from harness.upstream import Request, Step, reply_json
from harness.wire import Connection, call, request_bytes


ASKED = {"model": "m", "messages": [{"role": "user", "content": "Hello"}]}


def script(request: Request) -> list[Step]:
    """Answers."""
    return [*reply_json(wire.completion("hello"))]


class Load:
    """Requests until it is told to stop; remembers the ids of what was answered."""

    def __init__(self, served: Gateway, key: str) -> None:
        self.served, self.key = served, key
        self.seen: list[str] = []
        self.stop = threading.Event()
        self.threads = [threading.Thread(target=self._run, daemon=True) for _ in range(3)]
        for thread in self.threads:
            thread.start()

    def _run(self) -> None:
        body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "Hello"}]}).encode()
        headers = {"authorization": f"Bearer {self.key}", "content-type": "application/json"}
        while not self.stop.is_set():
            try:
                reply = call(self.served.url, "/v1/chat/completions", key=self.key, body=json.loads(body))
            except OSError:
                return
            if reply.status == 200:
                self.seen.append(reply.header("x-request-id") or "")

    def end(self) -> list[str]:
        """Stops and returns what was seen."""
        self.stop.set()
        for thread in self.threads:
            thread.join(20)
        return self.seen


def records(served: Gateway) -> list[str]:
    """Returns the ids of the request log."""
    ids, cursor = [], ""
    while True:
        path = f"/admin/v1/environments/default/requests?limit=200{cursor}"
        page = call(served.admin_url, path, key=ADMIN_TOKEN).json
        ids += [record["id"] for record in page["data"]]
        if page["next_cursor"] is None:
            return ids
        cursor = f"&cursor={page['next_cursor']}"


def test_a_backup_under_load_brings_everything_back(
    gateway: MakeGateway, upstream: MakeUpstream, tmp_path: Path
) -> None:
    """DUR-05: Traffic runs; backup; kill -9; the data directory is lost; restore: the same keys, resources and records."""
    up = upstream(script)
    served = gateway({"webhooks_private": True} | simple(up.base_url))
    key, revoked = served.create_key("kept"), served.create_key("revoked")
    # Somebody who is told of keys and does not listen, and a request that may be sent twice.
    hook = {"name": "deaf", "spec": {"url": "http://127.0.0.1:9/", "events": ["key.*"]}}
    environment = "/admin/v1/environments/default"
    assert call(served.admin_url, f"{environment}/webhooks", hook, key=ADMIN_TOKEN).status == 201
    once = {"idempotency-key": "once"}
    answered = call(served.url, "/v1/chat/completions", ASKED, key=key, headers=once)
    served.revoke_key("revoked")
    deliveries = lambda: call(served.admin_url, f"{environment}/webhooks/deaf/deliveries", key=ADMIN_TOKEN).json["data"]
    waiting = served.wait(deliveries, "an event for the webhook")
    team = tmp_path / "t.yaml"
    team.write_text("kind: team\nname: data\nspec: {description: kept}\n---\nkind: provider\nname: other\nspec: {kind: openai-compatible, base_url: http://127.0.0.1:9/v1, api_key: sk-stored, default_model: x}\n")
    assert run(served, "apply", "-f", team).code == 0
    load = Load(served, key)
    served.wait(lambda: len(load.seen) > 200, "some traffic")
    before = list(load.seen)
    backup = tmp_path / "backup.tar"
    done = run(served, "backup", backup, config=True)
    assert done.code == 0 and "NOT in it" in done.out, done.all
    seen = load.end()
    assert len(seen) > len(before), "traffic went on while the backup was made"
    served.kill()

    assert backup.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir() if "partial" in path.name or "database" in path.name] == []
    names = tarfile.open(backup).getnames()
    assert "master.key" not in names and names[-1] == "manifest.json"
    assert {"control.db", "records.db", "events.db", "idempotency.db"} <= set(names), names
    exported = json.loads(tarfile.open(backup).extractfile("manifest.json").read())  # type: ignore[union-attr]
    assert exported["master_key"]["included"] is False

    data = served.folder / "data"
    refused = run(served, "restore", backup, config=True)
    assert refused.code == 1 and "is not empty" in refused.err, refused.all
    master = (data / "master.key").read_bytes()
    shutil.rmtree(data)
    restored = run(served, "restore", backup, config=True)
    assert restored.code == 0 and "master.key" in restored.out, restored.all
    keyless = run(served, "keys", "list", config=True)
    assert keyless.code == 1 and "master.key is missing" in keyless.err, keyless.all
    (data / "master.key").write_bytes(master)
    for name in ("control.db", "records.db", "events.db", "idempotency.db"):
        assert sqlite3.connect(data / name).execute("PRAGMA integrity_check").fetchone() == ("ok",)

    served.start()
    assert call(served.url, "/v1/models", key=key).status == 200
    assert call(served.url, "/v1/models", key=revoked).status == 401
    assert run(served, "diff", "-f", team).code == 0, "the resources, and what is secret in them"
    served.wait(lambda: set(before) <= set(records(served)), "every record from before the backup")
    ids = records(served)
    assert len(ids) == len(set(ids)), "none is there twice"
    assert call(served.url, "/v1/chat/completions", ASKED, key=key).status == 200
    again = call(served.url, "/v1/chat/completions", ASKED, key=key, headers=once)
    assert (again.header("idempotent-replayed"), again.body) == ("true", answered.body), "it is not run twice"
    assert {one["id"] for one in waiting} <= {one["id"] for one in deliveries()}, "nor are events lost"


def test_damage_is_refused_and_leaves_nothing(gateway: MakeGateway, upstream: MakeUpstream, tmp_path: Path) -> None:
    """Cut short, changed, or no backup at all; a key that is another one."""
    served = gateway(simple(upstream(script).base_url))
    backup = tmp_path / "backup.tar"
    assert run(served, "backup", backup, "--include-master-key", config=True).code == 0
    twice = run(served, "backup", backup, config=True)
    assert twice.code == 1 and "exists already" in twice.err
    whole = backup.read_bytes()
    served.kill()
    elsewhere = {"CROSSWAY_DATA_DIR": str(tmp_path / "elsewhere")}
    changed = bytearray(whole)
    changed[len(whole) // 2] ^= 1
    for name, content in (("cut", whole[: len(whole) // 2]), ("changed", bytes(changed)), ("text", b"hello " * 1000)):
        file = tmp_path / name
        file.write_bytes(content)
        done = run(served, "restore", file, config=True, env=elsewhere)
        assert done.code == 1 and "was not restored" in done.err, (name, done.all)
        assert list((tmp_path / "elsewhere").iterdir()) == [], name
    other = run(served, "restore", backup, config=True, env=elsewhere | {"CROSSWAY_MASTER_KEY": "ab" * 32})
    assert other.code == 1 and "is not the one of this backup" in other.err, other.all
    good = run(served, "restore", backup, config=True, env=elsewhere)
    assert good.code == 0, good.all
    listed = run(served, "keys", "list", config=True, env=elsewhere)
    assert listed.code == 0 and "test" in listed.out, listed.all


def test_a_full_disk_leaves_no_half_backup(gateway: MakeGateway, upstream: MakeUpstream) -> None:
    """The file does not appear, and the message says why."""
    small = Path("/dev/shm")
    if not small.is_dir():
        pytest.fail("this test needs a /dev/shm")
    served = gateway(simple(upstream(script).base_url))
    target = small / f"crossway-{served.process.pid if served.process else 0}.tar"
    # A limit of the process on the size of files stands for the disk: SQLite and the program see an error while writing.
    from harness.gateway import binary
    import subprocess

    command = f"trap '' XFSZ; ulimit -f 4; exec {binary()} backup {target} --config {served.config_file}"
    done = subprocess.run(["bash", "-c", command], env=served._environment(), capture_output=True, timeout=60)
    assert done.returncode == 1, done.stdout
    assert b"not written" in done.stderr or b"cannot be written" in done.stderr or b"no room" in done.stderr, done.stderr
    assert [path for path in small.iterdir() if target.name in path.name] == []


def test_migrate_says_what_it_did(gateway: MakeGateway, upstream: MakeUpstream) -> None:
    """Up to date, running, newer."""
    served = gateway(simple(upstream(script).base_url))
    running = run(served, "migrate", config=True)
    assert running.code == 1 and "another crossway is running" in running.err, running.all
    served.stop()
    done = run(served, "migrate", config=True)
    assert done.code == 0 and "control.db: up to date" in done.out, done.all
    with sqlite3.connect(served.folder / "data" / "control.db") as database:
        database.execute("PRAGMA user_version = 999")
    newer = run(served, "migrate", config=True)
    assert newer.code == 1 and "upgrade crossway" in newer.err, newer.all
