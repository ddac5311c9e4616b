"""What is measured: nginx (the floor), direct (no gateway), Crossway, Crossway with a phrase guard on replies, and
further peers from a JSON file.

A peer file is a list of objects:
  {"name": "other", "cmd": ["/opt/other", "--port", "9110"], "addr": "127.0.0.1:9110",
   "env": {}, "cwd": "/tmp", "path": "/v1/chat/completions", "stream_path": null, "model": "gpt-4o-mini",
   "translated": null,
   "headers": {"authorization": "Bearer sk-bench"}, "ready": ["127.0.0.1:9110", "/health"]}
All but name, cmd and addr have these defaults (no `ready`: the first good answer stands for it). Its upstream is
http://127.0.0.1:9000/v1.
"""
import json
import os
import secrets
import signal
import subprocess
import threading
import time

from measure import call, until

HERE = os.path.dirname(os.path.abspath(__file__))
CHAT = "/v1/chat/completions"
FLOOR = "nginx"
GATEWAY_CPU, LOAD_CPU = {0}, {1}
CONFIG = """listen = "127.0.0.1:8080"
admin_listen = "127.0.0.1:8081"
data_dir = "{dir}/data"

[providers.mock]
kind = "openai-compatible"
base_url = "http://127.0.0.1:9000/v1"
api_key = "sk-upstream"

[providers.other]
kind = "anthropic"
base_url = "http://127.0.0.1:9000/v1"
api_key = "sk-upstream"

[[models]]
slug = "gpt-4o-mini"
provider = "mock"
input_price = "0.15"
output_price = "0.60"

[[models]]
slug = "claude-bench"
provider = "other"
input_price = "0.15"
output_price = "0.60"
"""


GUARD = """
[guardrails.bench]
banned_phrases = ["internal use only", "project nightjar", "guaranteed returns"]
"""


class Peer:
    """One thing to send requests to; `start` and `stop` once a round."""
    cmd = None
    path = CHAT
    stream_path = None
    model = "gpt-4o-mini"
    translated = None  # the model that an Anthropic upstream serves; without one the same dialect is measured
    ready = None
    env = {}
    cwd = "/"

    def __init__(self, name, work, **fields):
        self.name, self.work = name, work
        self.headers = {"authorization": "Bearer sk-bench"}
        self.process = None
        self.note = ""
        for field, value in fields.items():
            if value is not None:
                setattr(self, field, value)

    def prepare(self):
        """Whatever has to be there before the process starts."""

    def settle(self):
        """What is set over the admin API once it serves."""

    def url(self, stream=False):
        return (self.stream_path or self.path) if stream else self.path

    def chat(self, body):
        status, reply = call(self.addr, "POST", self.path, body, {"content-type": "application/json", **self.headers})
        self.last = f"{status} {reply[:300].decode(errors='replace')}"
        return status == 200 and b'"choices"' in reply

    def start(self, body):
        """Starts it on its CPU; the milliseconds from exec until /readyz says 200 and until the first good answer."""
        self.prepare()
        born, told = os.pipe()

        def child():
            os.setsid()
            os.sched_setaffinity(0, GATEWAY_CPU)
            os.write(told, str(time.monotonic_ns()).encode())

        log = open(os.path.join(self.work, f"{self.name}.log"), "ab")
        self.process = subprocess.Popen(self.cmd, env={**os.environ, **self.env}, cwd=self.cwd, stdin=subprocess.DEVNULL,
                                        stdout=log, stderr=log, preexec_fn=child)
        log.close()
        os.close(told)
        t0 = int(os.read(born, 32)) / 1e9
        os.close(born)
        self.last = "no connection"

        def alive():
            if self.process.poll() is not None:
                raise RuntimeError(f"{self.name} ended with {self.process.returncode}; see its log in {self.work}")
            return True

        ready = self.ready and until(lambda: alive() and call(*self._split(self.ready))[0] == 200, 60)
        good = until(lambda: alive() and self.chat(body), 60)
        if not good:
            raise RuntimeError(f"{self.name} gave no good answer: {self.last}")
        return dict(ready_ms=round(((ready or good) - t0) * 1e3, 2), answer_ms=round((good - t0) * 1e3, 2))

    @staticmethod
    def _split(ready):
        return ready[0], "GET", ready[1]

    def changes(self):
        """Changes the configuration all the time, from another thread, as long as it is entered."""
        raise RuntimeError(f"{self.name}: no way is known to change its configuration")

    def stop(self):
        if self.process is None:
            return
        pid = self.process.pid
        try:
            os.killpg(pid, signal.SIGTERM)
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            os.killpg(pid, signal.SIGKILL)
            self.process.wait()
        except ProcessLookupError:
            self.process.wait()
        self.process = None


class Crossway(Peer):
    translated = "claude-bench"
    addr = "127.0.0.1:8080"
    admin = "127.0.0.1:8081"
    ready = (admin, "/readyz")
    guard = False

    def prepare(self):
        """A fresh data directory, configuration, and key; nothing that an earlier round left."""
        self.dir = os.path.join(self.work, f"{self.name}-{secrets.token_hex(4)}")
        os.makedirs(self.dir)
        config = os.path.join(self.dir, "crossway.toml")
        with open(config, "w") as f:
            f.write(CONFIG.format(dir=self.dir) + (GUARD if self.guard else ""))
        self.token = secrets.token_hex(16)
        self.env = dict(CROSSWAY_ADMIN_TOKEN=self.token, CROSSWAY_LOG="warn")
        made = subprocess.run([self.binary, "keys", "create", "--name", "bench", "--config", config], text=True,
                              cwd=self.dir, env={**os.environ, **self.env}, capture_output=True, timeout=30)
        if made.returncode:
            raise RuntimeError(f"keys create: {made.stderr[-500:]}")
        self.headers = {"authorization": f"Bearer {made.stdout.strip()}"}
        self.cmd, self.cwd = [self.binary, "serve", "--config", config], self.dir

    def settle(self):
        """Gives the key everything a production key has (conf/governed.json)."""
        if self.plain:
            self.note = "ungoverned as asked"
            return
        with open(os.path.join(HERE, "conf", "governed.json")) as f:
            calls = json.load(f)
        refused = []
        for c in calls:
            status, reply = self.administer(c["method"], c["path"], c["body"])
            if status >= 300:
                refused.append(f"{c['path'].rsplit('/', 1)[1]} {c['body'].get('name', '')}: {status} {_message(reply)}")
        self.note = "; ".join(["NOT fully governed"] + refused) if refused else "governed"

    def administer(self, method, path, body=None):
        """One call of the admin API: the status and the reply."""
        return call(self.admin, method, path, json.dumps(body) if body is not None else None,
                    {"content-type": "application/json", "authorization": f"Bearer {self.token}"})

    def changes(self):
        return Changes(self.administer)


class Changes:
    """A limit, a model and a key that come, change and go, one call after the other."""
    environment = "/admin/v1/environments/default/"

    def __init__(self, administer):
        self.administer, self.done, self.refused, self.over = administer, 0, [], threading.Event()
        self.thread = threading.Thread(target=self.run)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join(30)

    def run(self):
        while not self.over.is_set():
            amount = 1_000_000_000 + self.done
            self.make("limits", dict(meter="requests", window="1h", amount=amount), dict(amount=amount + 1))
            self.make("models", dict(slug="swap", provider="mock", input_price="1", output_price="2"), dict(input_price="3"))
            self.make("keys", dict(team=None), dict(description="to be revoked"))

    def make(self, kind, spec, patch):
        self.change("POST", kind, dict(name="swap", spec=spec))
        self.change("PATCH", f"{kind}/swap", dict(spec=patch))
        self.change("DELETE", f"{kind}/swap")

    def change(self, method, path, body=None):
        status, reply = self.administer(method, self.environment + path, body)
        while status == 429 and not self.over.wait(0.02):
            status, reply = self.administer(method, self.environment + path, body)
        if status >= 300 and status != 429:
            self.refused.append(f"{method} {path}: {status} {_message(reply)}")
        self.done += 1


def _message(reply):
    try:
        return json.loads(reply)["error"]["message"]
    except (ValueError, KeyError, TypeError):
        return reply[:100].decode(errors="replace")


def nginx(name, work, port):
    """An nginx with conf/nginx.conf, listening on this port, with its files in a directory of its own."""
    home = os.path.join(work, name)
    os.makedirs(home, exist_ok=True)
    with open(os.path.join(HERE, "conf", "nginx.conf")) as f:
        text = f.read().replace(":9101", f":{port}")
    with open(os.path.join(home, "nginx.conf"), "w") as f:
        f.write(text)
    return Peer(name, work, addr=f"127.0.0.1:{port}", stream_path="/stream" + CHAT, ready=(f"127.0.0.1:{port}", "/v1/models"),
                cmd=["nginx", "-c", os.path.join(home, "nginx.conf"), "-p", home])


def make(names, work, crossway, plain, peer_file):
    """The peers named, in that order. Unknown names are an error, a missing Crossway binary a warning."""
    known = {
        "direct": lambda: Peer("direct", work, addr="127.0.0.1:9000"),
        "nginx": lambda: nginx(FLOOR, work, 9101),
        "crossway": lambda: Crossway("crossway", work, binary=crossway, plain=plain),
        "plain": lambda: Crossway("plain", work, binary=crossway, plain=True),
        "guarded": lambda: Crossway("guarded", work, binary=crossway, plain=True, guard=True),
    }
    more = []
    if peer_file:
        with open(peer_file) as f:
            more = json.load(f)
    for p in more:
        known[p["name"]] = lambda p=p: Peer(work=work, **p)
    out = []
    for name in names or [n for n in known if n not in ("plain", "guarded")]:
        if name not in known:
            raise SystemExit(f"no peer {name}; there are {', '.join(known)}")
        if name in ("crossway", "plain", "guarded") and not os.access(crossway, os.X_OK):
            print(f"! no Crossway binary at {crossway}: left out (cargo build --release, or --crossway PATH)")
            continue
        out.append(known[name]())
    return out
