# SPDX-License-Identifier: Apache-2.0
"""Load balancers of the kernel: what each backend got, by its own count; spreads that are even, random and uneven; clients that are
moved; a backend that refuses, and one that is not there, which get connections all the same. nft balances in a namespace of its own."""
import collections, sys, threading
sys.path.insert(0, "tests/lib")
from world import *

need_root()
# clients - balancer - servers, in a row
veth("wbc", "wbl", "10.77.0.1/24", "10.77.0.2/24")
netns("wbs")
sh("ip link add vwbl2 netns wbl type veth peer name vwbs netns wbs; ip -n wbl addr add 10.78.0.1/24 dev vwbl2; ip -n wbs addr add 10.78.0.10/24 dev vwbs; "
   "ip -n wbl link set vwbl2 up; ip -n wbs link set vwbs up; ip -n wbs route add default via 10.78.0.1; ip -n wbc route add default via 10.77.0.2; ip netns exec wbl sysctl -qw net.ipv4.ip_forward=1")
sh("ip -n wbl -6 addr add fd78::1/64 dev vwbl2 nodad; ip -n wbs -6 addr add fd78::10/64 dev vwbs nodad; ip -n wbl -6 addr add fd77::2/64 dev vwbl nodad; ip -n wbc -6 addr add fd77::1/64 dev vwbc nodad; "
   "ip -n wbc -6 route add default via fd77::2; ip -n wbs -6 route add default via fd78::1; ip netns exec wbl sysctl -qw net.ipv6.conf.all.forwarding=1")
for i in range(11, 15):
    sh(f"ip -n wbs addr add 10.78.0.{i}/24 dev vwbs")
for i in range(2, 6):
    sh(f"ip -n wbc addr add 10.77.0.1{i}/24 dev vwbc")

got = collections.Counter()


def serve(ip, port=8080):
    with in_netns("wbs"):
        s = socket.create_server((ip, port), backlog=256, family=socket.AF_INET6 if ":" in ip else socket.AF_INET)

    def run():
        while True:
            c, _ = s.accept()
            got[ip] += 1
            c.close()
    threading.Thread(target=run, daemon=True).start()


for i in range(10, 13):
    serve(f"10.78.0.{i}")
serve("fd78::10")


def balance(*rules):
    sh("ip netns exec wbl nft flush ruleset; ip netns exec wbl nft add table inet lb; ip netns exec wbl nft 'add chain inet lb pre { type nat hook prerouting priority -100; }'")
    for r in rules:
        sh(f"ip netns exec wbl nft 'add rule inet lb pre {r}'")


def connect(n, source="10.77.0.1", to=("10.77.0.2", 80), wait=0.5):
    for _ in range(n):
        with in_netns("wbc"):
            s = socket.socket(socket.AF_INET6 if ":" in to[0] else socket.AF_INET)
        s.settimeout(wait)
        try:
            if ":" not in to[0]:
                s.bind((source, 0))
            s.connect(to), s.recv(1)
        except OSError:
            pass
        s.close()


def watch(work, seconds=4, *args):
    got.clear()
    w = Weir("map", "backends", "--json", "--netns", "wbl", "--for", f"{seconds}s", *args, ready=0.7)
    work()
    w.end(sig=None, timeout=seconds + 20)
    return w, {get(r, "backend.ip"): r for r in w.records if r["verdict"] != "idle"}


# in turn
balance("ip daddr 10.77.0.2 tcp dport 80 dnat ip to numgen inc mod 3 map { 0 : 10.78.0.10, 1 : 10.78.0.11, 2 : 10.78.0.12 } : 8080")
w, b = watch(lambda: connect(90))
ok({k: r["connections"] for k, r in b.items()} == dict(got) == {f"10.78.0.{i}": 30 for i in (10, 11, 12)}, "each backend got what it counts itself", ({k: r["connections"] for k, r in b.items()}, dict(got), w.err))
r = b["10.78.0.10"]
ok(r["verdict"] == "even" and r["even_p"] == 1 and abs(r["share"] - 1 / 3) < 1e-6 and r["failed"] == 0 and get(r, "frontend.ip") == "10.77.0.2" and get(r, "frontend.port") == 80 and get(r, "backend.port") == 8080 and w.rc == 0,
   "in turn is even, nothing failed, what was asked for and who answers", r)
ok(sum(r["moved"] for r in b.values()) == 89, "one client that is sent to another one each time: moved", {k: r["moved"] for k, r in b.items()})

# at random; by the client's address
balance("ip daddr 10.77.0.2 tcp dport 80 dnat ip to numgen random mod 3 map { 0 : 10.78.0.10, 1 : 10.78.0.11, 2 : 10.78.0.12 } : 8080")
w, b = watch(lambda: connect(150))
ok({k: r["connections"] for k, r in b.items()} == dict(got) and all(r["verdict"] == "even" for r in b.values()) and 0.001 < b["10.78.0.10"]["even_p"] < 1, "at random is even, too: chance does that", {k: (r["connections"], r["even_p"]) for k, r in b.items()})
balance("ip daddr 10.77.0.2 tcp dport 80 dnat ip to jhash ip saddr mod 3 map { 0 : 10.78.0.10, 1 : 10.78.0.11, 2 : 10.78.0.12 } : 8080")
w, b = watch(lambda: [connect(20, f"10.77.0.1{i}") for i in range(2, 6)])
ok({k: r["connections"] for k, r in b.items()} == dict(got) and sum(r["moved"] for r in b.values()) == 0, "by the client's address: nobody is moved", {k: (r["connections"], r["moved"]) for k, r in b.items()})

ok(any(r["verdict"] == "idle" and r["live"] > 0 and r["connections"] == 0 for r in w.records) == (len(b) < 3), "one that gets nothing now is idle, and in no spread", [(get(r, "backend.ip"), r["verdict"]) for r in w.records])

# nine of ten to one
balance("ip daddr 10.77.0.2 tcp dport 80 dnat ip to numgen inc mod 10 map { 0 : 10.78.0.11, 1-9 : 10.78.0.10 } : 8080")
w, b = watch(lambda: connect(100))
ok({k: r["connections"] for k, r in b.items()} == dict(got) == {"10.78.0.10": 90, "10.78.0.11": 10} and {r["verdict"] for r in b.values()} == {"uneven"}, "nine of ten to one: uneven", {k: (r["connections"], r.get("even_p"), r["verdict"]) for k, r in b.items()})

# one refuses, one is not there: both get connections all the same
balance("ip daddr 10.77.0.2 tcp dport 80 dnat ip to numgen inc mod 3 map { 0 : 10.78.0.10, 1 : 10.78.0.13, 2 : 10.78.0.99 } : 8080")
w, b = watch(lambda: connect(24, wait=0.15), 6)
seen = {k: (r["connections"], r["failed"], r["verdict"]) for k, r in b.items()}
ok(seen.get("10.78.0.13") == (8, 8, "silent") and w.rc == 1, "a backend that refuses and still gets a third: silent, status 1", (seen, w.rc))
ok(seen.get("10.78.0.10", (0, 1))[:2] == (8, 0), "... the one that works is not blamed", seen)
ok(seen.get("10.78.0.99", (0, 0, ""))[2] == "silent", "... one that does not exist is", seen)

# IPv6, one backend, another port that is not balanced
balance("ip6 daddr fd77::2 tcp dport 81 dnat ip6 to [fd78::10]:8080")
w, b = watch(lambda: (connect(7, to=("fd77::2", 81)), connect(3, to=("10.78.0.10", 8080))))
ok(set(b) == {"fd78::10"} and b["fd78::10"]["connections"] == 7 and b["fd78::10"]["verdict"] == "single", "IPv6 with one backend; what is not balanced is not shown", b)
w, b = watch(lambda: connect(7, to=("fd77::2", 81)), 3, "-w", "backend.port = 1")
ok(not b and w.rc == 0, "a filter", b)

# for people; nothing; wrong use
w = Weir("map", "backends", "--netns", "wbl", "--for", "3s", ready=0.7)
connect(4, to=("fd77::2", 81))
w.end(sig=None, timeout=20)
ok("FRONTEND" in w.out and "tcp fd77::2:81" in w.out and "single" in w.out, "as a table", w.out + w.err)
r = weir("map", "backends", "--netns", "wbs", "--for", "1s")
ok(r.returncode == 0 and "nothing was sent on to a backend" in r.stderr, "where nothing is balanced it says so", r.stderr)
r = weir("map", "backends", "--netns", "nowhere", "--for", "1s")
ok(r.returncode in (2, 3) and "nowhere" in r.stderr, "a namespace that is not there", r.stderr)
r = subprocess.run(["setpriv", "--reuid", "65534", "--clear-groups", WEIR, "map", "backends", "--for", "1s"], capture_output=True, text=True)
ok(r.returncode == 3 and "root" in r.stderr, "without root it says what is missing", (r.returncode, r.stderr))
done()
