#!/usr/bin/env python3
"""Makes a report of recorded rows: medians over the rounds, ratios to nginx of the same run, goals.

  python3 report.py ROWS.jsonl... [-o FILE.md]
"""
import json
import os
import sys
from statistics import median

FLOOR = "nginx"
# workload: (title, goal and aim as multiples of nginx's CPU per request)
CPU = {
    "small": ("Small chat, closed loop, 32 connections", 1.8, 1.6),
    "translated": ("Small chat, OpenAI in, Anthropic upstream, 32 connections", 2.5, 2.2),
    "large": ("100 KB prompt, closed loop, 16 connections", 1.6, 1.5),
    "stream": ("Stream of 100 chunks, unpaced, closed loop, 16 connections", 1.9, 1.8),
    "translated_stream": ("Stream of 100 chunks, OpenAI in, Anthropic upstream, unpaced, 16 connections", 3.0, 3.0),
    "paced": ("Stream of 100 chunks, one every 2 ms, open loop, 25 streams/s", 1.3, 1.3),
}
ADDED = {
    "latency": ("Added latency, one connection, small chat (direct and peer in turn)", 100, 300),
    "first_byte": ("Added time to the first byte of a stream, one connection", None, 300),
}


class Rows:
    def __init__(self, files):
        rows = []
        for name in files:
            with open(name) as f:
                rows += [json.loads(line) for line in f]
        self.about = next(r for r in rows if r["kind"] == "about")
        self.rows = [r for r in rows if r["kind"] == "row"]
        self.peers = [*dict.fromkeys(r["peer"] for r in self.rows)]

    def of(self, peer, workload):
        return [r for r in self.rows if (r["peer"], r["workload"]) == (peer, workload)]

    def all(self, peer, workload, field):
        return [r[field] for r in self.of(peer, workload) if r.get(field) is not None]

    def med(self, peer, workload, field):
        values = self.all(peer, workload, field)
        return median(values) if values else None

    def sum(self, peer, workload, field):
        return sum(self.all(peer, workload, field))

    def ratio(self, peer, workload):
        """This peer's CPU per request over nginx's, of each pair of neighbouring slices in all rounds: median and quartiles."""
        found = sorted(x for r in self.of(peer, workload) for x in r.get("ratios", []))
        return (median(found), found[len(found) // 4], found[(len(found) - 1) * 3 // 4]) if found else None


def num(x, digits=0, unit=""):
    return "–" if x is None else f"{x:,.{digits}f}{unit}"


def table(out, head, lines):
    out.append("| " + " | ".join(head) + " |")
    out.append("|---|" + "--:|" * (len(head) - 1))
    out += ["| " + " | ".join(line) + " |" for line in lines]
    out.append("")


def verdict(value, goal, aim=None):
    if value is None or goal is None:
        return "–"
    return "aim met" if aim is not None and value <= aim else "goal met" if value <= goal else "MISSED"


def failed(rows, peer, workload):
    return next((r["fail"] for r in rows.of(peer, workload) if r.get("fail")), None)


def cpu_table(out, rows, workload):
    title, goal, aim = CPU[workload]
    if not any(r["workload"] == workload for r in rows.rows):
        return
    out += [f"## {title}", "", f"Goal: CPU per request <= {goal} x nginx, aim {aim} x.", ""]
    lines = []
    for p in rows.peers:
        if not rows.of(p, workload):
            continue
        fail = failed(rows, p, workload)
        if fail and rows.med(p, workload, "n") is None:
            lines.append([p, "FAILED: " + fail.replace("|", "/")[:120]] + [""] * 11)
            continue
        cpu, ratio = rows.all(p, workload, "cpu_us"), rows.ratio(p, workload)
        served, n = rows.sum(p, workload, "served"), rows.sum(p, workload, "n")
        measured = p not in (FLOOR, "direct")
        lines.append([
            p, num(median(cpu), 1) + f" ({num(min(cpu), 1)}–{num(max(cpu), 1)})" if cpu else "–",
            f"{ratio[0]:.2f} ({ratio[1]:.2f}–{ratio[2]:.2f})" if ratio else "–",
            verdict(ratio[0], goal, aim) if ratio and measured else "–",
            num(rows.med(p, workload, "floor_us"), 1), num(rows.med(p, workload, "rps")), num(rows.med(p, workload, "util"), 2),
            num(rows.med(p, workload, "lat_p50")), num(rows.med(p, workload, "lat_p99")),
            num(rows.med(p, workload, "ttfb_p50")), num(rows.med(p, workload, "gap_p99")),
            num(served / n if n else None, 3), num(rows.sum(p, workload, "bad") + rows.sum(p, workload, "err")),
        ])
    table(out, ["peer", "CPU us/request (min–max)", "x nginx (quartiles)", "goal", "nginx alongside us", "req/s", "cores used", "p50 us", "p99 us",
                "TTFB p50 us", "longest pause p99 us", "upstream/request", "bad"], lines)


def added_table(out, rows, workload):
    title, g50, g99 = ADDED[workload]
    if not any(r["workload"] == workload for r in rows.rows):
        return
    goals = ", ".join(f"{n} <= {g} us" for n, g in (("p50", g50), ("p99", g99)) if g)
    out += [f"## {title}", "", f"Goal: {goals} added to direct from the other CPU (a gateway hop wakes another CPU too).", ""]
    lines = []
    for p in rows.peers:
        a50, a99 = rows.med(p, workload, "added_p50"), rows.med(p, workload, "added_p99")
        if a50 is None:
            continue
        floor = rows.med(FLOOR, workload, "added_p50")
        judged = p != FLOOR
        cells = (rows.med(p, workload, f) for f in ("near_p50", "direct_p50", "peer_p50", "added_near_p50"))
        lines.append([p, *(num(c, 1) for c in cells), num(a50, 1), num(a50 / floor if floor else None, 2),
                      verdict(a50, g50) if judged else "–", num(rows.med(p, workload, "direct_p99"), 1), num(a99, 1),
                      "–" if not judged else "too noisy" if rows.med(p, workload, "direct_p99") > g99 else verdict(a99, g99)])
    table(out, ["peer", "direct, same CPU p50 us", "direct, other CPU p50 us", "peer p50 us", "added to same CPU p50",
                "added p50 us", "x nginx", "p50 goal", "direct p99 us", "added p99 us", "p99 goal"], lines)


def start_table(out, rows):
    out += ["## Start and idle memory", "", "Goals: ready <= 100 ms, aim 50 ms; idle <= 20 MiB, aim 15 MiB "
            "(proportional set size of the process tree, 3 s after the start).", ""]
    lines = []
    for p in rows.peers:
        ready, pss = rows.med(p, "start", "ready_ms"), rows.med(p, "start", "pss")
        if ready is None:
            if failed(rows, p, "start"):
                lines.append([p, "FAILED: " + failed(rows, p, "start").replace("|", "/")[:160]] + [""] * 7)
            continue
        lines.append([p, num(ready, 1), verdict(ready, 100, 50) if p != FLOOR else "–", num(rows.med(p, "start", "answer_ms"), 1), num(pss, 1),
                      num(rows.med(p, "start", "rss"), 1), verdict(pss, 20, 15) if p != FLOOR else "–", num(rows.med(p, "start", "threads")),
                      num(rows.med(p, "after", "pss"), 1)])
    table(out, ["peer", "ready ms", "goal", "first answer ms", "idle PSS MiB", "idle RSS MiB", "goal", "threads",
                "PSS after the run MiB"], lines)


def streams_table(out, rows):
    if not any(r["workload"] == "streams" for r in rows.rows):
        return
    n = rows.about["streams"]
    out += [f"## Memory with {n:,} open streams (PSS, MiB)", "",
            "Goal for 2,000: <= 150 MiB, aim 100 MiB; it does not grow with the streams' length and falls back.", ""]
    lines = []
    for p in rows.peers:
        m = {f: rows.med(p, "streams", f) for f in ("before", "open", "later", "ended", "fallen", "fall_s", "kib_per_stream")}
        if m["open"] is None:
            if failed(rows, p, "streams"):
                lines.append([p, "FAILED: " + failed(rows, p, "streams").replace("|", "/")[:120]] + [""] * 8)
            continue
        top = max(m["open"], m["later"])
        bad = rows.sum(p, "streams", "bad") + rows.sum(p, "streams", "err")
        lines.append([p, *(num(m[f], 1) for f in ("before", "open", "later", "ended", "fallen")), num(m["fall_s"]),
                      num(m["kib_per_stream"], 1), verdict(top, 150, 100) if n == 2000 and p != FLOOR else "–", num(bad)])
    table(out, ["peer", "before", "all open", "60 chunks later", "2 s after the end", "later still", "after s", "KiB/stream",
                "goal", "bad"], lines)


def once_table(out, rows):
    said = {"once": ("## Each request served exactly once", "The callers' ids against the mock's journal; all but the first column "
                     "have to be 0 (– = the peer gives replies ids of its own)."),
            "swap": ("## The same while the configuration changes", "A limit, a model and a key are made, changed and deleted "
                     "all the time; all but the first and the last column have to be 0.")}
    fields = ("n", "missing", "twice", "unknown", "swapped", "bad", "err")
    for name, (title, text) in said.items():
        if not any(r["workload"] == name for r in rows.rows):
            continue
        out += [title, "", text, ""]
        more = ("refused", "changes") if name == "swap" else ()
        lines = [[p, *(num(rows.sum(p, name, f)) if rows.all(p, name, f) else "–" for f in fields + more)] for p in rows.peers
                 if rows.of(p, name)]
        table(out, ["peer", "requests", "never upstream", "upstream twice", "not ours", "another's reply", "bad", "error",
                    *(("changes refused", "changes made") if more else ())], lines)


def write(files, target):
    rows = Rows(files)
    a = rows.about
    busy = [r["machine_busy"] for r in rows.rows if "machine_busy" in r]
    loads = [r["load"] for r in rows.rows]
    out = [f"# Bench {os.path.splitext(os.path.basename(target))[0]}", "", f"    {a['command']}", "",
           f"- {a['date']}; commit {a['git']}; Crossway: {a['crossway']}; {a['rustc']}; {a['nginx']}; Python {a['python']}",
           f"- Linux {a['kernel']}, {a['cpu']}, {a['cores']} cores, {a['memory_mib']:,} MiB; load average {a['load']:.1f} "
           f"at the start, {min(loads, default=0):.1f}–{max(loads, default=0):.1f} during the run; both cores "
           f"{min(busy, default=0):.0%}–{max(busy, default=0):.0%} busy while measuring, steal at most "
           f"{max((r['steal'] for r in rows.rows if 'steal' in r), default=0):.1%}",
           f"- {a['rounds']} rounds, peers in turn, {a['secs']:g} s each; medians of the rounds; peer on CPU 0, mock and load on CPU 1"]
    notes = {(r["peer"], r["note"]) for r in rows.rows if r.get("note")}
    out += [f"- {p}: {note}" for p, note in sorted(notes)] + [""]
    for workload in CPU:
        cpu_table(out, rows, workload)
    for workload in ADDED:
        added_table(out, rows, workload)
    start_table(out, rows)
    streams_table(out, rows)
    once_table(out, rows)
    os.makedirs(os.path.dirname(os.path.abspath(target)), exist_ok=True)
    with open(target, "w") as f:
        f.write("\n".join(out))
    return target


if __name__ == "__main__":
    args = sys.argv[1:]
    to = args.pop(args.index("-o") + 1) if "-o" in args else None
    given = [x for x in args if x != "-o"]
    if not given:
        raise SystemExit(__doc__)
    print(write(given, to or os.path.splitext(given[0])[0] + ".md"))
