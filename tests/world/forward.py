# SPDX-License-Identifier: Apache-2.0
"""Forwarded traffic without a local socket is counted on chosen interfaces, and nothing is counted twice."""
import os, socket, struct, subprocess, sys, time
sys.path.insert(0, "tests/lib")
from world import *

need_root()
# wfa - wfr - wfs - wfb: between the two routers no packet carries a socket of this machine any more
for n in ("wfa", "wfr", "wfs", "wfb"):
    netns(n)


def link(a, ip_a, b, ip_b):
    sh(f"ip link add v{a}{b} netns {a} type veth peer name v{b}{a} netns {b}")
    for ns, dev, ip in ((a, f"v{a}{b}", ip_a), (b, f"v{b}{a}", ip_b)):
        sh(f"ip -n {ns} addr add {ip}/24 dev {dev}")
        sh(f"ip -n {ns} link set {dev} up")


link("wfa", "10.78.1.2", "wfr", "10.78.1.1")
link("wfr", "10.78.3.1", "wfs", "10.78.3.2")
link("wfs", "10.78.2.1", "wfb", "10.78.2.2")
sh("ip -n wfa route add default via 10.78.1.1"), sh("ip -n wfb route add default via 10.78.2.1")
sh("ip -n wfr route add 10.78.2.0/24 via 10.78.3.2"), sh("ip -n wfs route add 10.78.1.0/24 via 10.78.3.1")
for n in ("wfr", "wfs"):
    sh(f"ip netns exec {n} sysctl -qw net.ipv4.ip_forward=1")
time.sleep(0.3)
sh("ip netns exec wfa ping -c1 -W2 10.78.2.2")

with in_netns("wfr"):
    w = Weir("conns", "--json", "--interface", "vwfrwfs")
with in_netns("wfa"):
    raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    local = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
with in_netns("wfb"):
    back = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    sink = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sink.bind(("10.78.2.2", 7000))


def udp(src, sport, dst, dport, n):
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 28 + n, 1, 0, 64, 17, 0, socket.inet_aton(src), socket.inet_aton(dst))
    return ip + struct.pack("!HHHH", sport, dport, 8 + n, 0) + b"f" * n


# "other hosts" behind the two namespaces: no socket of this machine has these ports
for i in range(20):
    raw.sendto(udp("10.78.1.2", 5000, "10.78.2.2", 6000, 100), ("10.78.2.2", 0))
    back.sendto(udp("10.78.2.2", 6000, "10.78.1.2", 5000, 300), ("10.78.1.2", 0))
# and a flow whose ends are sockets here: it belongs to them
local.bind(("10.78.1.2", 0))
for i in range(10):
    local.sendto(b"x" * 50, ("10.78.2.2", 7000))
time.sleep(1.5)
w.end()
f = {}
for r in w.records:
    if r["kind"] == "conn" and r.get("transport") == "udp":
        f.setdefault((get(r, "client.port"), get(r, "server.port")), {})[r["conn"]] = r
fwd = list(f.get((5000, 6000), {}).values())
ok(len(fwd) == 1, "the forwarded flow is one record", fwd)
r = fwd[0] if fwd else {}
ok((r.get("bytes_to_server"), r.get("bytes_to_client"), r.get("packets_to_server")) == (2000, 6000, 20), "its bytes and packets are exact", r)
ok(r.get("interface") == "vwfrwfs" and not get(r, "client.pid"), "with the interface, without an owner", r)
mine = list(f.get((local.getsockname()[1], 7000), {}).values())
ok(len(mine) == 1 and mine[0]["bytes_to_server"] == 500 and get(mine[0], "client.pid") == os.getpid() and
   "interface" not in mine[0], "a flow of local sockets is counted at them, once", mine)
with in_netns("wfr"):
    r = weir("conns", "--once", "--interface", "nope0")
    d = weir("doctor", "--standalone", "--json", "--interface", "nope0", "--for", "100ms")
ok("no interface 'nope0'" in d.stdout, "an interface that is not there is told", d.stdout + d.stderr)
done()
