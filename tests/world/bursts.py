# SPDX-License-Identifier: Apache-2.0
"""Bursts: what a sender gave away in a moment, on which interface, whose it was; a steady sender is none."""
import calendar, sys
sys.path.insert(0, "tests/lib")
from world import *

need_root()
netns("wba")
netns("wbb")
sh("ip link add vwba netns wba type veth peer name vwbb netns wbb")
for n, i, a in (("wba", "vwba", 1), ("wbb", "vwbb", 2)):
    sh(f"ip -n {n} addr add 10.98.4.{a}/24 dev {i} && ip -n {n} link set {i} up")
sh("ip -n wba neigh replace 10.98.4.2 lladdr $(ip -n wbb -br link show vwbb | awk '{print $3}') dev vwba")

SINK = "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('10.98.4.2', 9000)); s.setsockopt(1, 33, 1 << 23); " \
       "print(flush=True)\nwhile True: s.recv(2000)"
SEND = """
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.connect(('10.98.4.2', 9000))
for i in range(int(sys.argv[1])):
    for k in range(int(sys.argv[2])): s.send(b'x' * 1158)
    at = time.time(); print(at, flush=True)
    time.sleep(float(sys.argv[3]))
"""
sink = spawn(["ip", "netns", "exec", "wbb", sys.executable, "-c", SINK], stdout=subprocess.PIPE)
sink.stdout.readline()
time.sleep(2.5)  # what the kernel sends on a new interface is over (router solicitations, DAD)


def send(times, n, pause):
    return subprocess.run(["ip", "netns", "exec", "wba", sys.executable, "-c", SEND, str(times), str(n), str(pause)], capture_output=True, text=True)


def counters(ns, dev):
    for line in sh(f"ip netns exec {ns} cat /proc/net/dev").splitlines():
        if line.strip().startswith(dev + ":"):
            v = line.split(":")[1].split()
            return {"in": (int(v[0]), int(v[1])), "out": (int(v[8]), int(v[9]))}


def look(*args, during):
    w = Weir("bursts", "--json", *args)
    during()
    time.sleep(1)
    return w.end().records


def when(t):
    return calendar.timegm(time.strptime(t[:19], "%Y-%m-%dT%H:%M:%S")) + float("0" + t[19:-1])


def joined(got):
    """The scheduler may stop a sender in the middle of its burst: two then, close to each other."""
    out = []
    for r in sorted(got, key=lambda r: r["from"]):
        if out and when(r["from"]) - when(out[-1]["to"]) < 0.1:
            out[-1].update(to=r["to"], packets=out[-1]["packets"] + r["packets"], bytes=out[-1]["bytes"] + r["bytes"])
        else:
            out.append(dict(r))
    return out


# five bursts of 400 datagrams: each is told once, with its size, its time and its sender
stamps = []
got = look("-w", "interface = vwba or interface = vwbb", during=lambda: stamps.extend(float(x) for x in send(5, 400, 0.4).stdout.split()))
for dev, way in (("vwba", "transmit"), ("vwbb", "receive")):
    mine = joined(r for r in got if r["interface"] == dev and r["direction"] == way)
    ok(len(mine) == 5, f"five bursts on {dev}, {way}", got[:3])
    ok(all(360 <= r["packets"] <= 400 and r["bytes"] == r["packets"] * 1200 for r in mine), "... of 400 packets of 1,200 bytes",
       [(r["packets"], r["bytes"]) for r in mine])
    ok(all(1 <= r["duration_ms"] <= 60 and r["peak_bps"] > 1e8 for r in mine), "... of some milliseconds", [(r["duration_ms"], r["peak_bps"]) for r in mine])
    ends = [when(r["to"]) for r in mine]
    ok(len(ends) == len(stamps) and all(-0.05 < e - s < 0.05 for e, s in zip(ends, stamps)), "... when they were sent", (ends, stamps))
    top = [r["top"][0] for r in mine]
    ok(all(t["destination"] == "10.98.4.2:9000" and t["transport"] == "udp" and t["source"].startswith("10.98.4.1:") and
           t["packets"] <= 400 for t, r in zip(top, mine)), "... with the flow that they were", top[:1])
    ok(all(r["owner"]["process"].startswith("python3") for r in mine), "... and its process", [r.get("owner") for r in mine][:1])
ok({r["top"][0]["pid"] for r in got if r["direction"] == "receive"} == {sink.pid}, "received: the reader", sink.pid)

# the healthy twin: as many datagrams, one by one
got = look("--over", "6000", "-w", "interface = vwba", during=lambda: send(1000, 2, 0.002))
ok(not got, "a steady sender has no bursts", got[:2])

# totals are those of the interface
before = counters("wba", "vwba"), counters("wbb", "vwbb")
got = look("--peaks", "-w", "interface = vwba or interface = vwbb", during=lambda: send(50, 37, 0.02))
after = counters("wba", "vwba"), counters("wbb", "vwbb")
for i, dev, way, c in ((0, "vwba", "transmit", "out"), (1, "vwbb", "receive", "in")):
    r = [x for x in got if x["interface"] == dev and x["direction"] == way]
    want = tuple(b - a for a, b in zip(before[i][c], after[i][c]))
    ok(len(r) == 1 and (r[0]["bytes"], r[0]["packets"]) == want, f"the sum of all milliseconds is what {dev} counted", (r[:1], want))
    ok(r and r[0]["peak_bps"] >= r[0]["peak_10ms_bps"] >= r[0]["usual_bps"] > 0, "peaks: 1 ms above 10 ms above the mean", r[:1])

# by process: the same bursts at 10 ms
got = look("--by", "process", "--netns", "wba", during=lambda: send(4, 400, 0.4))
mine = joined(r for r in got if r["key"].startswith("python3") and r["direction"] == "transmit")
ok(len(mine) == 4 and all(r["duration_ms"] % 10 == 0 and 360 <= r["packets"] <= 400 for r in mine), "by process", got[:2])

w = weir("bursts", "--by", "colour")
ok(w.returncode == 2 and "process or service" in w.stderr, "--by takes what there is", w.stderr)
w = weir("bursts", "--for", "1s", "--over", "4GB")
ok(w.returncode == 0, "no bursts: done", w.stderr)
done()
