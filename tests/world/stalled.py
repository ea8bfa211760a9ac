# SPDX-License-Identifier: Apache-2.0
"""Slow consumers: who does not read, does not close, does not acknowledge, and for how long; and those that do."""
import socket, sys
sys.path.insert(0, "tests/lib")
from world import *

need_root()
veth("wta", "wtb")


def pair():
    with in_netns("wtb"):
        ls = socket.socket()
    with in_netns("wta"):
        c = socket.socket()
    ls.bind(("10.77.0.2", 0))
    ls.listen()
    c.connect(ls.getsockname())
    s, _ = ls.accept()
    ls.close()
    return c, s


w = Weir("conns", "--json", "--standalone", ready=1.5)
cases = {n: pair() for n in ("reader", "close", "peer", "idle", "busy")}
sh("ip netns exec wtb nft 'add table ip t; add chain ip t i { type filter hook input priority 0; }'")
for n, (c, s) in cases.items():  # each has had a healthy exchange
    c.sendall(b"q" * 100)
    take(s, 100)
    s.sendall(b"a" * 100)
    take(c, 100)
c, s = cases["reader"]
c.sendall(b"x" * 5000)  # the server does not read
cases["close"][0].close()  # the server does not close
c, s = cases["peer"]
sh(f"ip netns exec wtb nft 'add rule ip t i tcp dport {s.getsockname()[1]} drop'")
c.sendall(b"never arrives")
t0 = time.monotonic()
while time.monotonic() - t0 < 4:
    c, s = cases["busy"]
    c.sendall(b"b" * 100)
    take(s, 100)
    time.sleep(0.1)
take(cases["reader"][1], 5000)  # it reads at last
waited = time.monotonic() - t0
time.sleep(2.2)
w.end()


def told(name):
    port = cases[name][0].getsockname()[1] if cases[name][0].fileno() >= 0 else None
    return [r for r in w.records if get(r, "client.port") == (port or closed)]


closed = next((get(r, "client.port") for r in w.records if r.get("state") == "close_wait" or r.get("stalled_by") == "close"), None)
for name, end in (("reader", "server"), ("close", "server"), ("peer", "server")):
    r = [x for x in told(name) if x.get("stalled_by")]
    top = max((x["stalled_ms"] for x in r), default=0)
    ok(r and {(x["stalled_by"], x["stalled_end"]) for x in r} == {(name, end)} and waited * 1000 - 2500 < top < waited * 1000 + 3500,
       f"{name}: the {end} does not, and for how long", f"{top} {waited} {r[-1:] or told(name)[-1:]}")
ok("stalled_by" not in told("reader")[-1], "the reader that reads again is not held up any more", told("reader")[-1])
ok(not [x for n in ("idle", "busy") for x in told(n) if "stalled_by" in x], "an idle and a busy connection are not", [x for n in ("idle", "busy") for x in told(n) if "stalled_by" in x][:1])
done()
