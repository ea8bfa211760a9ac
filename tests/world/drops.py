# SPDX-License-Identifier: Apache-2.0
"""Dropped packets: every one counted, with reason, place, flow, owner and the rule; counters of the kernel and of
nftables are the truth. And a healthy twin where nothing is dropped."""
import socket, sys
sys.path.insert(0, "tests/lib")
from world import *

need_root()
veth("wda", "wdb")
LOAD = os.path.join(BUILD, "helpers/load")


def snmp(ns, key):
    out = sh(f"ip netns exec {ns} nstat -asz {key}")
    return int(re.search(rf"{key}\s+(\d+)", out).group(1))


def nft(ns, *lines):
    sh(f"ip netns exec {ns} nft '" + "; ".join(lines) + "'")


def counted(ns):
    return int(re.search(r"counter packets (\d+)", sh(f"ip netns exec {ns} nft list ruleset")).group(1))


def drops(recs, **want):
    return [r for r in recs if r["kind"] == "drop" and all(get(r, k.replace("__", ".")) == v for k, v in want.items())]


def total(recs):
    return sum(r["count"] for r in recs)


inode = os.stat("/run/netns/wdb").st_ino

# healthy twin: connections, datagrams that are read, pings
w = Weir("drops", "--json", "--standalone", "--netns", "wdb", "--no-rules", ready=1)
for ns_from, ns_to, ip in (("wda", "wdb", "10.77.0.2"),):
    with in_netns(ns_to):
        ls = socket.socket()
        us = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    ls.bind((ip, 0)), ls.listen(), us.bind((ip, 0))
    for i in range(50):
        with in_netns(ns_from):
            c = socket.socket()
            u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        c.connect(ls.getsockname())
        s, _ = ls.accept()
        c.sendall(b"x" * 100000), take(s, 100000)
        u.sendto(b"y", us.getsockname()), us.recv(10)
        c.close(), s.recv(1), s.close(), u.close()
sh("ip netns exec wda ping -q -c 3 -i 0.2 10.77.0.2")
healthy = w.end()
ok(healthy.rc == 0 and not healthy.records, "50 connections, 50 datagrams and pings: nothing was dropped", healthy.out[:600])

# a closed port
before = snmp("wdb", "UdpNoPorts")
w = Weir("drops", "--json", "--standalone", "--netns", "wdb", "--no-rules", ready=1)
for i in range(40):
    with in_netns("wda"):
        u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    u.sendto(b"z", ("10.77.0.2", 7)), u.close()
w.end()
got = drops(w.records, reason="NO_SOCKET", transport="udp")
ok(total(got) == snmp("wdb", "UdpNoPorts") - before == 40, "a closed UDP port: as many as UdpNoPorts",
   lambda: (total(got), snmp("wdb", "UdpNoPorts") - before))
ok(got and all(r["server"]["port"] == 7 and r["netns"] == inode and r["interface"] == "vwdb" and
               r["location"].startswith("__udp4_lib_rcv") and r["class"] == "receiver" for r in got),
   "... with server, namespace, interface and function", got[:2])
ok(any(get(r, "client.process") == "python3" for r in got), "... and the process that sent it", got[:2])

# firewall: which rule, and every packet
nft("wdb", "add table inet t", "add chain inet t in { type filter hook input priority 0; }",
    "add rule inet t in udp dport 8 counter drop comment \"closed for repair\"",
    "add rule inet t in tcp dport 9 reject with tcp reset",
    "add chain ip6 t x" if False else "add table ip p", "add chain ip p f { type filter hook input priority 10; policy drop; }",
    "add rule ip p f ip protocol icmp accept", "add rule ip p f udp dport 1-9 accept", "add rule ip p f tcp dport 9 accept")
handles = sh("ip netns exec wdb nft -a list ruleset")
w = Weir("drops", "--json", "--standalone", "--netns", "wdb", ready=1)
with in_netns("wda"):
    u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    v = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    rejected = []
    for i in range(30):
        u.sendto(b"z", ("10.77.0.2", 8)), v.sendto(b"z", ("10.77.0.2", 4444))
        c = socket.socket()
        try:
            c.connect(("10.77.0.2", 9))
        except OSError as e:
            rejected.append(e.errno)
        c.close()
        time.sleep(0.05)
w.end()
got = drops(w.records, reason="NETFILTER_DROP", server__port=8)
ok(total(got) == counted("wdb") == 30, "a rule that drops: as many as its counter", lambda: (total(got), counted("wdb")))
h = int(re.search(r"udp dport 8 .*# handle (\d+)", handles).group(1))
ok(got and all(get(r, "rule.table") == "t" and get(r, "rule.chain") == "in" and get(r, "rule.family") == "inet" and
               get(r, "rule.handle") == h and "closed for repair" in get(r, "rule.text") for r in got),
   "... with table, chain, handle and text of the rule", lambda: (h, [r.get("rule") for r in got][:3]))
got = drops(w.records, reason="NETFILTER_DROP", server__port=9)
ok(total(got) == len(rejected) == 30 and all("reject" in get(r, "rule.text") for r in got), "a rule that rejects",
   lambda: (total(got), len(rejected), got[:2]))
got = drops(w.records, reason="NETFILTER_DROP", server__port=4444)
ok(total(got) == 30 and all(get(r, "rule.text") == "policy drop" and get(r, "rule.table") == "p" and
                            "handle" not in r["rule"] for r in got), "a chain's policy", got[:2])
ok("weir_trace" not in sh("ip netns exec wdb nft list ruleset"), "the table for traces is gone")

# killed while it traces
w = Weir("drops", "--json", "--standalone", ready=1)
for i in range(10):
    u.sendto(b"z", ("10.77.0.2", 8)), time.sleep(0.1)
traced = "weir_trace" in sh("ip netns exec wdb nft list ruleset")
w.p.kill(), w.p.wait()
ok(traced and until(lambda: "weir_trace" not in sh("ip netns exec wdb nft list ruleset"), 3),
   "kill -9: the kernel removes the table for traces", traced)

# a reader that is too slow
before = snmp("wdb", "UdpRcvbufErrors")
with in_netns("wdb"):
    slow = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
slow.bind(("10.77.0.2", 3))
w = Weir("drops", "--json", "--standalone", "--netns", "wdb", "--no-rules", ready=1)
sh(f"ip netns exec wda {LOAD} udp 3000 10.77.0.2 3")
w.end()
lost = snmp("wdb", "UdpRcvbufErrors") - before
got = drops(w.records, reason="SOCKET_RCVBUFF")
ok(total(got) == lost > 2000, "a full receive buffer: as many as UdpRcvbufErrors", lambda: (total(got), lost))
ok(got and all(get(r, "owner.pid") == os.getpid() for r in got), "... with the process that does not read", got[:1])

# a flood: every packet counted, at little cost; the flow as long as the budget lasts
N = 400000
before = counted("wdb")
w = Weir("drops", "--json", "--standalone", "--netns", "wdb", "--no-rules", ready=1)
t = time.time()
sh(f"ip netns exec wda {LOAD} udp {N} 10.77.0.2 8")
t = time.time() - t
cpu = sum(float(x) for x in open(f"/proc/{w.p.pid}/stat").read().rsplit(")", 1)[1].split()[11:13]) / os.sysconf("SC_CLK_TCK")
w.end()
got = drops(w.records, reason="NETFILTER_DROP")
ok(total(got) == counted("wdb") - before == N and not [r for r in w.records if r["kind"] == "loss"],
   f"{N} dropped in {t:.1f} s: all counted", lambda: (total(got), counted("wdb") - before))
ok(cpu < 0.5, f"... for {cpu:.2f} s of CPU", cpu)
ok(0 < sum(r["count"] for r in got if "server" in r) < N, "... the flow of a part of them, as it says", got[:2])

# beside an agent, and without rights
SOCK = os.path.join(tempfile.mkdtemp(), "s")
agent = Weir("run", "-q", "--agent.socket", SOCK, ready=1.5)
w = Weir("drops", "--json", "--socket", SOCK, "--netns", "wdb", ready=0.5)
for i in range(10):
    u.sendto(b"z", ("10.77.0.2", 8)), time.sleep(0.1)
time.sleep(0.5)
w.end()
got = drops(w.records, reason="NETFILTER_DROP", server__port=8)
ok(total(got) == 10 and all(get(r, "rule.handle") == h for r in got), "from a running agent, with the rule", w.out[:800])
n = {r["name"]: r["value"] for r in records(weir("ctl", "counters", "--json", "--socket", SOCK).stdout) if r["kind"] == "metric"}
ok(n["weir.kernel.drops"] >= 10 and n["weir.kernel.drops_uncounted"] == 0, "the ledger has them", n)
agent.end()
r = weir("drops", "--for", "100ms", "-w", "reson = X")
ok(r.returncode == 2 and "reason" in r.stderr, "a wrong field is refused with the nearest name", r.stderr)
done()
