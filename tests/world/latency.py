# SPDX-License-Identifier: Apache-2.0
"""Time by stage: a delay that is put into one stage shows there and nowhere else; the
arrival of datagrams, the application's clock and the scheduler's own counter are the truth. Without one every stage is quick."""
import socket, struct, sys, threading
sys.path.insert(0, "tests/lib")
from world import *

need_root()
veth("wla", "wlb")


def pair():
    with in_netns("wlb"):
        ls = socket.socket()
    with in_netns("wla"):
        c = socket.socket()
    ls.bind(("10.77.0.2", 0)), ls.listen(), c.connect(ls.getsockname())
    s, _ = ls.accept()
    c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return c, s


def latency(*args, work, seconds="3s", ns="wlb"):
    w = Weir("latency", "--json", "--for", seconds, "--netns", ns, *args, ready=0.8)
    truth = work()
    w.end(sig=None)
    return {r["stage"]: r for r in w.records if r["kind"] == "latency"}, truth, w


def quick(got, *stages, limit=3000):
    return all(got[s]["p50_us"] < limit for s in stages if s in got)


# healthy: back and forth
def pingpong(n=3000):
    c, s = pair()
    for i in range(n):
        c.sendall(b"q" * 100), take(s, 100), s.sendall(b"a" * 100), take(c, 100)


got, _, w = latency("--every-packet", work=pingpong)
ok(set(got) >= {"backlog", "ip", "socket", "receive", "tcp", "qdisc"} and w.rc == 0, "every stage is there", w.out + w.err)
ok(quick(got, *got, limit=1000), "without a fault every stage is quick", {k: v["p50_us"] for k, v in got.items()})
r = got["receive"]
ok(r["count"] == got["backlog"]["count"] == got["ip"]["count"] == got["socket"]["count"] >= 2950,
   "every segment with data is followed from end to end", {k: v["count"] for k, v in got.items()})
parts = sum(got[x]["mean_us"] for x in ("backlog", "ip", "socket"))
ok(abs(parts - r["mean_us"]) < 0.01, "the stages add up to the whole", (parts, r["mean_us"]))
ok(get(r, "owner.pid") == os.getpid() and r["sampled"] == 1, "... with their owner", r)

# a reader that comes late
times = []


def late():
    c, s = pair()
    for i in range(40):
        c.sendall(b"q" * 100)
        t = time.monotonic()
        time.sleep(0.03)
        s.recv(100)
        times.append(time.monotonic() - t)
    return sorted(times)[20] * 1e6


got, truth, w = latency("--every-packet", work=late)
ok(abs(got["socket"]["p50_us"] - truth) < 0.1 * truth, "a late reader shows in the socket stage, as its own clock says",
   lambda: (got["socket"]["p50_us"], truth))
ok(quick(got, "backlog", "ip", "tcp", "qdisc"), "... and in no other", {k: v["p50_us"] for k, v in got.items()})

# datagrams that wait
def datagrams():
    with in_netns("wlb"):
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with in_netns("wla"):
        c = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("10.77.0.2", 0))
    for i in range(30):
        c.sendto(b"x", s.getsockname())
        time.sleep(0.04)
        s.recv(10)


got, _, w = latency("--every-packet", work=datagrams)
ok(40000 <= got["socket"]["p50_us"] < 46000, "a datagram that waits for its reader", got.get("socket"))

# a slow link: each datagram carries when it was sent, the kernel says when it arrived
sh("tc -n wla qdisc add dev vwla root tbf rate 16mbit burst 2k limit 100k")


def flood():
    with in_netns("wla"):
        c = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with in_netns("wlb"):
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, 35, 1)  # SO_TIMESTAMPNS
    s.setsockopt(socket.SOL_SOCKET, 33, 1 << 24)  # SO_RCVBUFFORCE: nothing is lost behind the link
    s.bind(("10.77.0.2", 0)), s.setblocking(False)
    stop, waits = time.time() + 2.5, []
    while time.time() < stop:
        for i in range(200):
            c.sendto(struct.pack("<Q", time.time_ns()) + b"x" * 992, s.getsockname())
        time.sleep(0.03)
        try:
            while True:
                b, anc, _, _ = s.recvmsg(1024, 64)
                sec, ns = struct.unpack("<qq", anc[0][2])
                waits.append(sec * 10**9 + ns - struct.unpack("<Q", b[:8])[0])
        except BlockingIOError:
            pass
    return sorted(waits)[len(waits) // 2] / 1000


got, truth, w = latency("--every-packet", work=flood, ns="wla")
ok("qdisc" in got and abs(got["qdisc"]["p50_us"] - truth) < 0.25 * truth > 4000,
   "a full link shows in the qdisc stage, as long as the datagrams were on their way", lambda: (got.get("qdisc"), truth))
ok(quick(got, "tcp"), "... and in no other", {k: v["p50_us"] for k, v in got.items()})
sh("tc -n wla qdisc del dev vwla root")

# waiting for the CPU: the reader has the lowest class on a CPU that another keeps busy
reader = '''
import os, socket, sys
s = socket.socket(); s.bind(("10.77.0.2", int(sys.argv[1]))); s.listen(); print(1, flush=True)
c, _ = s.accept()
while c.recv(100): c.sendall(b"a")
'''


def starved(others=True):
    d = tempfile.mkdtemp()
    later(sh, f"rm -rf {d}")
    os.symlink(os.path.realpath(sys.executable), f"{d}/starved")
    p = inside("wlb", "chrt", "-i", "0", "taskset", "-c", "1", f"{d}/starved", "-c", reader, str(4711 + others), stdout=subprocess.PIPE)
    p.stdout.readline()
    busy = spawn(["taskset", "-c", "1", "python3", "-c", "while True: pass" if others else ""])
    delay = lambda: int(open(f"/proc/{p.pid}/schedstat").read().split()[1]) / 1000
    time.sleep(0.3)
    with in_netns("wla"):
        c = socket.create_connection(("10.77.0.2", 4711 + others))
    before, end, n = delay(), time.time() + 2.5, 0
    while time.time() < end:
        c.sendall(b"q"), c.recv(10)
        n += 1
        time.sleep(0.01)
    after = delay()
    busy.kill(), c.close(), p.kill()
    return after - before, n, p.pid


ONLY = ("--by", "process", "--every-packet", "-w", "stage = cpu and owner.process = starved")


def waits(work):
    """what weir says that the process waited for the CPU, in all and how often; and what the scheduler counted"""
    got, (truth, n, pid), w = latency(*ONLY, work=work, seconds="4s")
    cpu = [r for r in w.records if get(r, "owner.pid") == pid]
    total = sum(r["count"] * r["mean_us"] for r in cpu)
    return total, sum(r["count"] for r in cpu), truth, got["cpu"]["p50_us"], w.out


# How long the kernel lets the lowest class wait is the kernel's affair (2 ms or 50): the scheduler's own count is the truth.
# It counts also what the thread waited when it was preempted while it ran.
waited, n, truth, _, out = waits(starved)
ok(max(20000, 0.2 * truth) < waited < 1.05 * truth, "a starved reader shows in the cpu stage, within what the scheduler counts", (waited, truth, out))
healthy, n_healthy, truth, p50, out = waits(lambda: starved(False))
ok(n_healthy > 50 and p50 < 3000 and 0 < healthy < 1.05 * truth + 1000 and healthy / n_healthy < waited / n / 2, "... and one that is not starved does not", (healthy, truth, waited / n, out))

# sampling: a budget holds, and the picture is the same
w = Weir("latency", "--json", "--for", "3s", ready=0.5)
sh(f"{os.path.join(BUILD, 'helpers/load')} echo 300000")
w.end(sig=None)
s = {r["stage"]: r for r in w.records}
ok(s["receive"]["sampled"] > 1 and s["receive"]["count"] < 20000, "a flood is sampled, from its first moment on", s.get("receive"))
# the two ends use the same few buffers all the time: some of their packets are followed, and as many at each stage
n = {x: s[x]["count"] for x in ("backlog", "socket", "tcp", "qdisc")}
ok(min(n.values()) > 1000 and max(n.values()) < 1.5 * min(n.values()), "... all the time", n)


def send_only(n=100000):
    with in_netns("wla"):
        c = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for i in range(n):
        c.sendto(b"x", ("10.77.0.2", 9))


got, _, w = latency(work=send_only, ns="wla")
ok(got["qdisc"]["sampled"] > 1 and 500 < got["qdisc"]["count"] < 20000, "... of what is only sent, too", got.get("qdisc"))
r = weir("latency", "--by", "nonsense")
ok(r.returncode == 2 and "process" in r.stderr, "a wrong key is refused with the right ones", r.stderr)
w = Weir("latency", ready=1)
w.p.kill(), w.p.wait()
ok(until(lambda: not [x for x in weir_progs() if x.startswith("stage_")], 3), "kill -9 leaves no program behind")
done()
