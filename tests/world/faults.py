# SPDX-License-Identifier: Apache-2.0
"""Faults that must end well: kill -9, SIGSTOP, full rings and maps, denied hooks, missing kernel parts, two agents."""
import os, signal, socket, sys, threading, time
sys.path.insert(0, "tests/lib")
from world import *

need_root()
SOCK = f"/tmp/weir-test-{os.getpid()}.sock"
later(lambda: os.path.exists(SOCK) and os.unlink(SOCK))


class Load:
    """Connections over loopback, each answered; counts errors of the application."""

    def __init__(self):
        self.ls = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.done = False
        self.stop, self.n, self.errors, self.why = False, 0, 0, None
        self.t = [threading.Thread(target=self.serve, daemon=True), threading.Thread(target=self.run, daemon=True)]
        [t.start() for t in self.t]

    def serve(self):
        while not self.done:
            try:
                c, _ = self.ls.accept()
                c.sendall(c.recv(100))
                c.close()
            except OSError as e:
                self.errors += not self.done
                self.why = self.why or e

    def run(self):
        while not self.stop:
            try:
                c = socket.create_connection(self.ls.getsockname(), timeout=5)
                c.sendall(b"0123456789")
                if c.recv(100) != b"0123456789":
                    self.errors += 1
                c.close()
                self.n += 1
            except OSError as e:
                self.errors += 1
                self.why = e

    def end(self):
        self.stop = True  # the client first: the server must not leave its last connection alone
        self.t[1].join()
        self.done = True
        socket.create_connection(self.ls.getsockname()).close() if self.t[0].is_alive() else None
        self.ls.close()


def agent(*args, env=None):
    return Weir("run", "-q", "--agent.socket", SOCK, *args, env=env)


def counters():
    return {r["name"]: r["value"] for r in records(weir("ctl", "counters", "--json", "--socket", SOCK).stdout)
            if r["kind"] == "metric"}


before = len(weir_progs())

# kill -9 under load
load = Load()
a = agent()
ok(len(weir_progs()) > before, "the agent has programs in the kernel")
time.sleep(1)
n = load.n
a.p.kill()
a.p.wait()
time.sleep(1)
ok(load.n > n and load.errors == 0, "kill -9 under load: no application error", f"{load.n} {n} {load.errors}")
ok(until(lambda: len(weir_progs()) <= before, 20), "and nothing is left in the kernel", weir_progs())
a = agent()
ok(weir("conns", "--once", "--json", "--socket", SOCK).returncode == 0, "the next start is clean, over the old socket file")

# two agents, and views of their own beside one
b = weir("run", "--agent.socket", SOCK)
ok(b.returncode == 1 and "already answers" in b.stderr, "a second agent on the same socket is refused", b.stderr)
b = Weir("run", "-q", "--agent.socket", SOCK + "2")
later(lambda: os.path.exists(SOCK + "2") and os.unlink(SOCK + "2"))
v = weir("conns", "--json", "--standalone", "--for", "1s")
ok(b.p.poll() is None and len(closes(records(v.stdout))) > 10, "two agents and a view side by side all see the traffic")
b.end(signal.SIGTERM)

# stopped: the ring fills
a.end(signal.SIGTERM)
ok(a.rc == 0, "SIGTERM ends it with status 0", a.err)
a = agent("--rings.state", "64k")
c0 = counters()
a.p.send_signal(signal.SIGSTOP)
n0 = load.n
time.sleep(3)
a.p.send_signal(signal.SIGCONT)
n1 = load.n
time.sleep(1.5)
c1 = counters()
ok(n1 - n0 > 200 and load.errors == 0, "with a stopped agent traffic flows", f"{n1 - n0} {load.errors}")
ok(c1["weir.kernel.state_lost"] > c0["weir.kernel.state_lost"], "what the full ring refused is counted", c1)
ok(c1["weir.kernel.state_records"] - c1["weir.kernel.state_lost"] >= c1["weir.reader.records"] >
   0.9 * (c1["weir.kernel.state_records"] - c1["weir.kernel.state_lost"]), "ledger: made = lost + read (+ what is on its way)", c1)
ok(c1["weir.conns.in"] == c1["weir.conns.out"] + c1["weir.conns.dropped"], "ledger of the table", c1)
load.end()
time.sleep(2)
live = counters()["weir.conns.live"]
ok(live < 200, "connections whose close was lost are swept", live)
lost = [r for r in records(weir("ctl", "counters", "--json", "--socket", SOCK).stdout) if r["kind"] == "loss"]
ok(any(r["where"] == "state_ring" and r.get("bytes", 0) > 0 for r in lost), "with the bytes that are in no other record", lost)
a.end(signal.SIGTERM)

# totals stay exact: bytes of records + bytes of losses = what was carried
w = Weir("conns", "--json", "--standalone", "-w", "event = close", env={"WR_TEST": "1"})
load = Load()
time.sleep(1)
load.end()
time.sleep(0.3)
w.end()
mine = [r for r in closes(w.records) if get(r, "server.pid") == os.getpid() == get(r, "client.pid")]
ok(sum(r["bytes_to_server"] for r in mine) == 10 * load.n, "sums over all connections are the application's",
   f"{sum(r['bytes_to_server'] for r in mine)} {10 * load.n}")

# flow map full
a = agent("--flows.max", "1024")
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for i in range(5000):
    s.sendto(b"x" * 10, ("127.0.0.1", 10000 + i))
time.sleep(1.5)
c = counters()
ok(c["weir.kernel.flow_map_full"] > 0 and
   c["weir.kernel.flow_packets"] + c["weir.kernel.flow_map_full"] >= 5000, "a full flow map: every packet counted or lost with a reason",
   {k: v for k, v in c.items() if "flow" in k})
a.end(signal.SIGTERM)

# hooks denied by switch: the fallback works, or it is told what is missing
for deny, sensor, state in (("rst_reason", "tcp", "fallback"), ("cgroup_sock", "owner", "fallback"),
                            ("cgroup_skb", "tap", "unavailable"), ("cgroup2", "tap", "unavailable"),
                            ("socket_filter", "icmp", "unavailable"), ("tp_btf", "tcp", "unavailable")):
    d = weir("doctor", "--standalone", "--json", "--for", "200ms", env=dict(os.environ, WR_DENY=deny))
    s = {r["name"]: r for r in records(d.stdout)}
    ok(s.get(sensor, {}).get("state") == state and deny in s[sensor].get("needs", ""), f"without {deny}: {sensor} is {state}",
       d.stdout + d.stderr)
w = Weir("run", "-q", "--agent.socket", SOCK, "--sensors.deny", "cgroup_sock,rst_reason")
load = Load()
time.sleep(1)
load.end()
v = weir("doctor", "--json", "--socket", SOCK, "--for", "100ms")
ok(all(r["state"] in ("active", "fallback", "off") for r in records(v.stdout)), "an agent on fallbacks runs", v.stdout)
c = counters()
ok(c["weir.conns.sides_named"] >= 0.99 * (c["weir.conns.sides_named"] + c["weir.conns.sides_unnamed"]) > 0,
   "and still names owners", c)
w.end(signal.SIGTERM)
r = weir("doctor", "--standalone", env=dict(os.environ, WR_DENY="nonsense"))
ok(r.returncode == 2 and "nonsense" in r.stderr, "an unknown feature name is refused", r.stderr)

# parts of the kernel interface missing, in a private mount namespace
def without(what, path):
    return subprocess.run(["unshare", "-m", "sh", "-c", f"mount -t tmpfs none {path} && exec {WEIR} doctor --standalone --for 100ms"],
                          capture_output=True, text=True, timeout=60)


d = without("BTF", "/sys/kernel/btf")
ok(d.returncode == 3 and "btf" in d.stderr.lower() and "CONFIG_DEBUG_INFO_BTF" in d.stderr, "no BTF: says so, and what to do", d.stderr)
mnt = [l.split()[1] for l in open("/proc/mounts") if l.split()[2] == "cgroup2"]
if mnt:
    d = subprocess.run(["unshare", "-m", "sh", "-c", f"umount -l {mnt[0]} && exec {WEIR} doctor --standalone --for 100ms"],
                       capture_output=True, text=True, timeout=60)
    ok(d.returncode == 3 and "not mounted" in d.stderr and "tcp      fallback" in d.stdout, "no cgroup v2: TCP works, the rest says why",
       d.stdout + d.stderr)
else:
    skip("no cgroup v2", "none is mounted")

# no root
d = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", WEIR, "conns"], capture_output=True, text=True)
ok(d.returncode == 3 and "root" in d.stderr and "weir read" in d.stderr, "no root: what is missing and what works", d.stderr)

# 20 starts and stops under load
load = Load()
bad = []
for i in range(20):
    a = Weir("run", "-q", "--agent.socket", SOCK, ready=0.25)
    a.p.send_signal(signal.SIGTERM if i % 2 else signal.SIGINT)
    try:
        if a.p.wait(10):
            bad.append(a.p.returncode)
    except subprocess.TimeoutExpired:
        bad.append("hangs")
load.end()
ok(not bad and load.errors == 0 and load.n > 100, "20 starts and stops under load", f"{bad} {load.errors} {load.n}")
ok(until(lambda: len(weir_progs()) <= before, 20), "leave nothing behind", weir_progs())

# no traffic
d = subprocess.run(["sh", "-c", f"exec {WEIR} conns --json --standalone --for 1s"], capture_output=True, text=True)
ok(d.returncode == 0, "a view without traffic ends with status 0", d.stderr)

# a slow reader of the output: rings are drained, what is not read is counted
r, wr = os.pipe()
p = spawn([WEIR, "conns", "--json", "--standalone", "--for", "3s"], stdout=wr, stderr=subprocess.PIPE, text=True)
os.close(wr)
time.sleep(0.5)
load = Load()
time.sleep(2)
load.end()
time.sleep(1)
t0 = time.time()
while os.read(r, 65536):
    pass
p.wait(15)
ok(load.n > 100 and load.errors == 0, "a reader that does not read harms no traffic", f"{load.n} {load.errors} {load.why!r}")
ok(p.returncode == 0 and time.time() - t0 < 15, "and the view ends", p.returncode)
done()
