# SPDX-License-Identifier: Apache-2.0
"""Queues: each kind is filled for real; ss, tc and the kernel's counters are the truth. Healthy namespaces show nothing."""
import socket, struct, sys, threading
sys.path.insert(0, "tests/lib")
from world import *

need_root()
veth("wqa", "wqb")
LOAD = os.path.join(BUILD, "helpers/load")


def queues(*args, ns="wqb"):
    r = weir("queues", "--json", "--netns", ns, *args)
    return [x for x in records(r.stdout) if x["kind"] == "queue"], r


def made(ns, kind=socket.SOCK_STREAM):
    with in_netns(ns):
        return socket.socket(socket.AF_INET, kind)


got, r = queues()
ok(r.returncode == 0 and not got, "healthy: nothing waits", r.stdout + r.stderr)

# connections that nobody accepts
ls = made("wqb")
ls.bind(("10.77.0.2", 80)), ls.listen(5)
cs = [made("wqa") for i in range(4)]
for c in cs:
    c.connect(("10.77.0.2", 80))
got, r = queues()
a = [x for x in got if x["queue"] == "accept"]
ok(len(a) == 1 and (a[0]["length"], a[0]["limit"], a[0]["port"], get(a[0], "owner.pid"), a[0]["where"]) == (4, 5, 80, os.getpid(), "wqb"),
   "an accept queue, its limit and its owner", got)
ok(a and abs(a[0]["fill"] - 0.8) < 0.001 and got[0] == a[0], "... the fullest comes first", got[:1])

# data that nobody reads, and what its sender holds
s, _ = ls.accept()
c = cs[0]
c.sendall(b"x" * 50000)
time.sleep(0.2)
got, r = queues("-w", "queue = receive")
ss = sh("ip netns exec wqb ss -tnm dst 10.77.0.1:%d" % c.getsockname()[1])
m = re.search(r"r(\d+),rb(\d+)", ss)
mine = [x for x in got if x.get("peer", {}).get("port") == c.getsockname()[1]]
ok(len(mine) == 1 and mine[0]["bytes"] == 50000 and (mine[0]["length"], mine[0]["limit"]) == (int(m[1]), int(m[2])), "a receive buffer, as ss counts it",
   lambda: (mine, ss))
c.setblocking(False)
try:
    while True:
        c.send(b"x" * 100000)
except BlockingIOError:
    pass
time.sleep(0.3)
got, r = queues("-w", "queue = send", ns="wqa")
mine = [x for x in got if x["port"] == c.getsockname()[1]]
outq = struct.unpack("i", __import__("fcntl").ioctl(c, 0x5411, b"\0" * 4))[0]  # SIOCOUTQ
ok(len(mine) == 1 and mine[0]["bytes"] == outq > 10000 and mine[0]["length"] >= outq and get(mine[0], "owner.process") == "python3", "a send buffer, as SIOCOUTQ counts it",
   lambda: (mine, outq))

# half-open connections: their SYN+ACKs are lost
sh("ip netns exec wqa nft 'add table ip t; add chain ip t i { type filter hook input priority 0; }; add rule ip t i tcp sport 80 tcp flags & (syn|ack) == syn|ack drop'")
h = [made("wqa") for i in range(3)]
for x in h:
    x.setblocking(False)
    try:
        x.connect(("10.77.0.2", 80))
    except BlockingIOError:
        pass
time.sleep(1.3)
got, r = queues("-w", "queue = half_open")
ok(sorted(x["peer"]["port"] for x in got) == sorted(x.getsockname()[1] for x in h) and all(x["retries"] >= 1 for x in got),
   "half-open connections with their peers", got)
sh("ip netns exec wqa nft flush ruleset")

# datagrams that find the buffer full
us = made("wqb", socket.SOCK_DGRAM)
us.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
us.bind(("10.77.0.2", 53))
errors = lambda: int(re.search(r"UdpRcvbufErrors\s+(\d+)", sh("ip netns exec wqb nstat -asz UdpRcvbufErrors")).group(1))
w = Weir("queues", "--json", "--netns", "wqb", "--for", "2s", "-w", "new_drops > 0 and queue = receive", ready=0.6)
before = errors()
sh(f"ip netns exec wqa {LOAD} udp 500 10.77.0.2 53")
lost = errors() - before
w.end(sig=None)
ok(len(w.records) == 1 and w.records[0]["new_drops"] == lost > 400 and get(w.records[0], "owner.pid") == os.getpid(), "datagrams refused meanwhile, as the kernel counts them",
   lambda: (lost, w.out))

# an interface that is too slow
sh("tc -n wqa qdisc add dev vwqa root tbf rate 1mbit burst 2k limit 20k")
w = Weir("queues", "--json", "--netns", "wqa", "--for", "2s", "-w", "queue = qdisc", ready=0.6)
u = made("wqa", socket.SOCK_DGRAM)
for i in range(300):
    u.sendto(b"x" * 1000, ("10.77.0.2", 9))
w.end(sig=None)
t = sh("tc -n wqa -s qdisc show dev vwqa")
q = w.records[0] if w.records else {}
ok(q.get("type") == "tbf" and q["interface"] == "vwqa" and q["new_drops"] == int(re.search(r"dropped (\d+)", t).group(1)) > 0, "a queueing discipline, as tc counts it",
   lambda: (w.out, t))

# fragments whose rest never comes: what they hold, and that others find no room
sh("tc -n wqa qdisc del dev vwqa root")
sh("ip netns exec wqb sysctl -qw net.ipv4.ipfrag_low_thresh=20000 net.ipv4.ipfrag_high_thresh=60000")
with in_netns("wqa"):
    raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
fails = lambda: int(re.search(r"IpReasmFails\s+(\d+)", sh("ip netns exec wqb nstat -asz IpReasmFails")).group(1))
before = fails()
w = Weir("queues", "--json", "--netns", "wqb", "--for", "2s", "-w", "queue = memory", ready=0.6)
for i in range(200):
    raw.sendto(struct.pack("!BBHHHBBH4s4s", 0x45, 0, 1020, i + 1, 0x2000, 64, 17, 0, socket.inet_aton("10.77.0.1"), socket.inet_aton("10.77.0.2")) + b"x" * 1000, ("10.77.0.2", 0))
w.end(sig=None)
held = int(re.search(r"FRAG: inuse \d+ memory (\d+)", sh("ip netns exec wqb cat /proc/net/sockstat")).group(1))
lost, q = fails() - before, (w.records or [{}])[0]
ok(len(w.records) == 1 and q["type"] == "fragments" and (q["length"], q["limit"], q["where"]) == (held, 60000, "wqb") and q["new_drops"] == lost > 50 and held > 20000,
   "memory of fragments, as sockstat and ReasmFails tell it", lambda: (held, lost, w.out))
got, r = queues("--all", "-w", "queue = memory and type = tcp")
mem = lambda: int(re.search(r"TCP: .* mem (\d+)", open("/proc/net/sockstat").read()).group(1)) * 4096
high = int(open("/proc/sys/net/ipv4/tcp_mem").read().split()[2]) * 4096
ok(len(got) == 1 and abs(got[0]["length"] - mem()) < 1 << 20 and got[0]["limit"] == high and "pressure" in got[0]["counters"] and got[0]["fill"] < 0.5, "memory of TCP against tcp_mem", got)
ok(not queues("-w", "queue = memory and type = tcp")[0], "... which is no news below the pressure mark")

# a device that loses packets by itself: a tap whose reader sleeps, and its ring is full; ip counts it
sh("ip netns exec wqa ip tuntap add tap7 mode tap; ip -n wqa addr add 10.79.0.1/24 dev tap7; ip -n wqa link set tap7 txqueuelen 20 up; ip -n wqa neigh add 10.79.0.2 lladdr 02:00:00:00:00:02 dev tap7")
tap = inside("wqa", "python3", "-c", """
import fcntl, struct, time
f = open("/dev/net/tun", "r+b", buffering=0)
fcntl.ioctl(f, 0x400454ca, struct.pack("16sH", b"tap7", 0x0002 | 0x1000))
print(1, flush=True)
time.sleep(60)
""", stdout=subprocess.PIPE, text=True)
tap.stdout.readline()
sh("tc -n wqa qdisc replace dev tap7 root noqueue")
lost = lambda: json.loads(sh("ip -n wqa -j -s link show tap7"))[0]["stats64"]["tx"]["dropped"]
w = Weir("queues", "--json", "--netns", "wqa", "--for", "2s", "-w", "queue = device and new_drops > 0", ready=0.6)
before = lost()
for i in range(100):
    u.sendto(b"x" * 100, ("10.79.0.2", 9))
w.end(sig=None)
n = lost() - before
ok(len(w.records) == 1 and w.records[0]["interface"] == "tap7" and w.records[0]["type"] == "transmit" and w.records[0]["new_drops"] == n >= 70 and f"dropped {lost()}" in w.records[0]["counters"],
   "a device's own losses, as ip counts them", lambda: (n, w.out))
r = weir("queues", "--all", "-w", "queue = device")
ok("tap7 in wqa: errors 0, dropped" in r.stdout and "receive of vwqb in wqb: errors 0 (crc 0), dropped 0, missed 0" in r.stdout, "... in a table", r.stdout[-600:])
r = weir("queues", "--all")
ok(r.returncode == 0 and "backlog" in r.stdout and "CPU 0" in r.stdout, "a table with the backlogs of the CPUs", r.stdout[:500])
r = weir("queues", "-w", "lenght > 3")
ok(r.returncode == 2 and "length" in r.stderr, "a wrong field is refused with the nearest name", r.stderr)
done()
