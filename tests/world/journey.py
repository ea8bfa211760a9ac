# SPDX-License-Identifier: Apache-2.0
"""Journeys: the way of each chosen packet through three namespaces, complete at 10,000 packets a second; translated
addresses, drops with their rule; who sent and who read it is never guessed. tcpdump and nft are the truth."""
import socket, sys, threading
sys.path.insert(0, "tests/lib")
from world import *

need_root()
for n in ("wja", "wjr", "wjb"):
    netns(n)
for n1, i1, a1, i2, a2 in (("wja", "a0", "10.77.1.1/24", "r0", "10.77.1.254/24"), ("wjb", "b0", "10.77.2.1/24", "r1", "10.77.2.254/24")):
    sh(f"ip link add {i1} netns {n1} type veth peer name {i2} netns wjr")
    sh(f"ip -n {n1} addr add {a1} dev {i1}; ip -n {n1} link set {i1} up; ip -n wjr addr add {a2} dev {i2}; ip -n wjr link set {i2} up")
sh("ip -n wja route add default via 10.77.1.254; ip -n wjb route add default via 10.77.2.254; ip netns exec wjr sysctl -qw net.ipv4.ip_forward=1")
sh("ip netns exec wja ping -q -c 1 -W 2 10.77.2.1")


def sock(ns, kind=socket.SOCK_DGRAM):
    with in_netns(ns):
        return socket.socket(socket.AF_INET, kind)


def journey(expr, work, seconds="2.5s"):
    w = Weir("journey", "--json", "--for", seconds, "-w", expr, ready=0.8)
    work()
    w.end(sig=None)
    by = {}
    for r in w.records:
        if r["kind"] == "journey":
            by.setdefault(r["packet"], []).append(r)
    return by, w


WAY = [("wja", "a0", "queued"), ("wja", "a0", "sent"), ("wjr", "r0", "arrived"), ("wjr", "r0", "stack"), ("wjr", "r1", "queued"), ("wjr", "r1", "sent"),
       ("wjb", "b0", "arrived"), ("wjb", "b0", "stack")]
us, uc = sock("wjb"), sock("wja")
us.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
us.bind(("10.77.2.1", 5000))

# 10,000 a second: every one, at every stage
N = 10000


def steady():
    t = time.time()
    for i in range(N):
        uc.sendto(b"%06d" % i, ("10.77.2.1", 5000))
        while time.time() < t + i / 10000:
            pass


by, w = journey("udp and port 5000", steady)
whole = [p for p in by.values() if [(r["place"], r["interface"], r["stage"]) for r in p] == WAY]
ok(len(by) == len(whole) == N, f"{N} packets in a second: each one at all of its stages", lambda: (len(by), len(whole), [x for x in by.values() if x not in whole][:1]))
ok(all(a["at_us"] <= b["at_us"] for p in whole for a, b in zip(p, p[1:])) and all(p[0]["at_us"] == 0 for p in whole), "times never go back")
f = whole[0][4] if whole else {}
ok(f.get("route") == "r0 to r1" and f.get("changed") == "ttl 64 to 63", "forwarded from which interface to which, and what changed", f)
ok(whole and whole[0][0].get("pid") == os.getpid() and not any("pid" in r for p in whole[:50] for r in p[1:]), "who sent it", whole[:1])

# the answer to a ping is nobody's, though somebody runs meanwhile
by, w = journey("icmp and host 10.77.2.1", lambda: sh("ip netns exec wja ping -q -c 3 -i 0.2 10.77.2.1"))
answers = [p for p in by.values() if p[0]["src"]["ip"] == "10.77.2.1" and p[0]["stage"] == "queued"]
ok(len(answers) == 3 and not any("pid" in r for p in answers for r in p if r["stage"] != "read"), "an answer of the kernel has no owner", answers[:1])
ok(not any(r["stage"] == "dropped" for p in by.values() for r in p), "what did its work is not called dropped")

# TCP: to the reader
ls = sock("wjb", socket.SOCK_STREAM)
ls.bind(("10.77.2.1", 0)), ls.listen()


def talk():
    c = sock("wja", socket.SOCK_STREAM)
    c.connect(ls.getsockname())
    s, _ = ls.accept()
    c.sendall(b"hello"), take(s, 5)
    c.close(), s.recv(1), s.close()


by, w = journey(f"tcp and port {ls.getsockname()[1]}", talk)
data = [p for p in by.values() if p[0].get("tcp", {}).get("flags") == "AP"]
ok(len(data) == 1 and [r["stage"] for r in data[0]] == ["queued", "sent", "arrived", "stack", "queued", "sent", "arrived", "stack", "tcp", "read"] and
   data[0][-1]["pid"] == os.getpid() and data[0][-1]["verdict"] == "read" and data[0][-2]["place"] == "wjb", "a segment, up to who reads it", data)

# translated on the way
sh("ip netns exec wjr nft 'add table ip n; add chain ip n p { type nat hook prerouting priority -100; }; add chain ip n q { type nat hook postrouting priority 100; }; "
   "add rule ip n p udp dport 7000 dnat to 10.77.2.1:5000; add rule ip n q udp dport 5000 masquerade'")
by, w = journey("udp", lambda: (uc.sendto(b"x", ("10.77.1.254", 7000)), time.sleep(0.2)))
p = [p for p in by.values() if p[0]["dst"] == {"ip": "10.77.1.254", "port": 7000}]
ok(len(p) == 1 and p[0][-1]["place"] == "wjb" and p[0][-1]["dst"] == {"ip": "10.77.2.1", "port": 5000} and p[0][-1]["src"]["ip"] == "10.77.2.254",
   "translated addresses are one packet's", p)
ok(p and any("destination 10.77.1.254:7000 to 10.77.2.1:5000" in r.get("changed", "") for r in p[0]), "... and what was translated is told", p)

# dropped by a rule
sh("ip netns exec wjr nft 'add table inet t; add chain inet t f { type filter hook forward priority 0; }; add rule inet t f udp dport 6000 counter drop'")
by, w = journey("udp and port 6000", lambda: [(uc.sendto(b"x", ("10.77.2.1", 6000)), time.sleep(0.1)) for i in range(10)])
drops = [r for p in by.values() for r in p if r["stage"] == "dropped"]
counted = int(re.search(r"counter packets (\d+)", sh("ip netns exec wjr nft list table inet t")).group(1))
ok(len(drops) == counted == 10 and all(r["verdict"] == "NETFILTER_DROP" and r["place"] == "wjr" for r in drops), "dropped: where, and as many as the rule counts",
   lambda: (len(drops), counted))
ok("udp dport 6000" in drops[-1].get("rule", ""), "... by which rule", drops[-1:])

# the decisions of the routing tables: by a rule of its own, by the main table, none; `ip route get` is the truth
send = lambda: [(uc.sendto(b"x", ("10.77.2.1", 5001)), time.sleep(0.1)) for i in range(3)]
ways = lambda by, place, stage: {(r.get("routing_table"), r.get("next_hop"), r.get("route")) for p in by.values() for r in p if (r["place"], r["stage"]) == (place, stage) and r["dst"]["port"] == 5001}
get_ = lambda: sh("ip -n wjr route get 10.77.2.1 from 10.77.1.1 iif r0 2>&1", False)
by, w = journey("udp and port 5001", send)
ok(ways(by, "wjr", "queued") == {(254, None, "r0 to r1")} and "table" not in get_(), "the main table, to the address itself", ways(by, "wjr", "queued"))
ok(ways(by, "wja", "queued") == {(254, "10.77.1.254", None)}, "... and where it began, by the gateway", ways(by, "wja", "queued"))
sh("ip -n wjr rule add from 10.77.1.1 lookup 100 pref 100; ip -n wjr route add 10.77.2.0/24 via 10.77.2.1 dev r1 table 100")
by, w = journey("udp and port 5001", send)
ok(ways(by, "wjr", "queued") == {(100, "10.77.2.1", "r0 to r1")} and "table 100" in get_() and "via 10.77.2.1" in get_(), "a table of its own, by its next hop", (ways(by, "wjr", "queued"), get_()))
sh("ip -n wjr route add blackhole 10.77.2.1 table 100")
by, w = journey("udp and port 5001", send)
ok(ways(by, "wjr", "dropped") == {(100, None, "blackhole route")} and "Invalid argument" in get_(), "a blackhole in it", (ways(by, "wjr", "dropped"), get_()))
sh("ip -n wjr rule del pref 100")
for n, dev, ip in (("wja", "a0", "fd77:1::1"), ("wjr", "r0", "fd77:1::254"), ("wjr", "r1", "fd77:2::254"), ("wjb", "b0", "fd77:2::1")):
    sh(f"ip -n {n} addr add {ip}/64 dev {dev} nodad")
sh("ip netns exec wjr sysctl -qw net.ipv6.conf.all.forwarding=1; ip -n wja -6 route add default via fd77:1::254; ip -n wjb -6 route add default via fd77:2::254")
sh("ip -n wjr -6 rule add from fd77:1::1 lookup 101 pref 100; ip -n wjr -6 route add fd77:2::/64 via fd77:2::1 dev r1 table 101")
with in_netns("wja"):
    u6 = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
by, w = journey("udp and port 5001", lambda: [(u6.sendto(b"x", ("fd77:2::1", 5001)), time.sleep(0.1)) for i in range(3)])
ok(ways(by, "wjr", "queued") == {(101, "fd77:2::1", "r0 to r1")} and ways(by, "wja", "queued") == {(254, "fd77:1::254", None)} and
   "table 101" in sh("ip -n wjr -6 route get fd77:2::1 from fd77:1::1 iif r0"), "IPv6 likewise", (ways(by, "wjr", "queued"), ways(by, "wja", "queued")))
r = weir("journey", "--for", "300ms", "-w", "host 192.0.2.1")
ok(r.returncode == 0 and not r.stdout, "no packet, no output", r.stdout + r.stderr)
done()
