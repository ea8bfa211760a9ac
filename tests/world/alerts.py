# SPDX-License-Identifier: Apache-2.0
"""Detections on live traffic: real scanners, guessers, tunnels and beacons, one incident each; ordinary traffic beside them
raises none. What the tool itself says it did is the truth."""
import base64, socket, sys, threading
sys.path.insert(0, "tests/lib")
from world import *

need_root()
veth("wea", "web")
sh("ip -n web addr add 198.51.100.9/24 dev vweb; ip -n wea route add 198.51.100.0/24 dev vwea")


def tcp(ns):
    with in_netns(ns):
        return socket.socket()


def serve(ip, port, reply=None):
    s = tcp("web")
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind((ip, port)), s.listen(64)

    def run():
        while True:
            try:
                c, _ = s.accept()
            except OSError:
                return
            with c:
                try:
                    q = c.recv(4000)
                    if q and reply:
                        c.sendall(reply(q))
                        while c.recv(4000):
                            pass
                except OSError:
                    pass  # a scanner resets it
    threading.Thread(target=run, daemon=True).start()
    return s


def alerts(work, *args):
    """What is told while @work runs, and two seconds later."""
    global running
    w = running = Weir("alerts", "--json", *args, ready=1.5)
    truth = work()
    time.sleep(2)
    w.end(timeout=60)
    return [r for r in w.records if r["kind"] == "alert"], truth, w


def one(got, detector, **want):
    mine = [r for r in got if r["detector"] == detector and all(get(r, k) == v for k, v in want.items())]
    return len({r["id"] for r in mine}) == 1 and mine[-1]


web = serve("10.77.0.2", 80, lambda q: b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
shop = serve("198.51.100.9", 443, lambda q: b"\x15\x03\x03\x00\x02\x02\x28")


# ordinary: many requests, an unreachable port now and then, names, a client of many hosts
def ordinary():
    for i in range(60):
        c = tcp("wea")
        c.connect(("10.77.0.2", 80)), c.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"), c.recv(100), c.close()
    for i in range(8):
        c = tcp("wea")
        c.connect_ex(("10.77.0.2", 81)), c.close()


got, _, w = alerts(ordinary)
ok(not got and w.rc == 0, "ordinary traffic raises nothing", w.out[:800])

# a real scanner, half-open, by connect(), with flags that nothing begins with; beside it the ordinary traffic
for how, n in (("-sS", 300), ("-sT", 200), ("-sF", 200), ("-sN", 200), ("-sX", 200), ("-sA", 200)):
    def scan():
        t = threading.Thread(target=ordinary)
        t.start()
        out = sh(f"ip netns exec wea nmap -n -Pn {how} -T4 --max-retries 0 -p1-{n} 10.77.0.2")
        t.join()
        return out
    got, out, w = alerts(scan)
    a = one(got, "port_scan", source="10.77.0.1")
    ok(a and abs(a["evidence"]["ports"] - n) < 0.1 * n and ("unfiltered" if how == "-sA" else "80/tcp") in out and a["evidence"]["hosts"] == 1, f"nmap {how}: one scan of about {n} ports", w.out[-900:])
    ok({r["detector"] for r in got} == {"port_scan"} and w.rc == 1 and a and a["attack_id"] == "T1046" and a["advice"], "... and nothing else",
       [r["summary"] for r in got])

# passwords guessed at a real server
r = inside("web", "redis-server", "--port", "6379", "--bind", "10.77.0.2", "--requirepass", "right", "--save", "", stdout=subprocess.DEVNULL)
until(lambda: "NOAUTH" in sh("ip netns exec wea redis-cli -h 10.77.0.2 PING 2>&1", False))


def guesses():
    for i in range(25):
        sh(f"ip netns exec wea redis-cli -h 10.77.0.2 AUTH guess{i} 2>&1", False)
    return 25


got, n, w = alerts(guesses)
a = one(got, "brute_force", source="10.77.0.1", target="10.77.0.2:6379")
ok(a and a["count"] == n and a["evidence"]["service"] == "redis" and get(a, "owner.process") == "redis-server", "guessed passwords: as many as there were, with the server",
   w.out[-900:])
sh("ip netns exec wea sh -c 'for i in 1 2 3; do redis-cli -h 10.77.0.2 AUTH right; done'")

# a tunnel in DNS, beside names that people use
d = inside("web", "dnsmasq", "-k", "-C", "/dev/null", "--no-resolv", "--address=/#/192.0.2.1", "-p", "53", "--listen-address=10.77.0.2", "--bind-interfaces",
           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
time.sleep(0.5)


def ask(names):
    open("/tmp/weir-names", "w").write("\n".join(names))
    sh("ip netns exec wea dig +tries=1 +time=1 +short @10.77.0.2 -f /tmp/weir-names; rm -f /tmp/weir-names")


plain = [f"{a}.{b}.example" for a in ("www", "mail", "images", "static-content-delivery", "login") for b in ("news", "weather", "bank", "shop", "maps", "videos", "school", "library")]
got, _, w = alerts(lambda: ask(plain))
ok(not got, "names that people use", w.out[:600])


def tunnel():
    names = [base64.b32encode(os.urandom(30)).decode().lower().rstrip("=")[:48] + ".t.evil.example" for i in range(60)]
    ask(plain + names)
    return len(names)


got, n, w = alerts(tunnel)
a = one(got, "dns_tunnel", source="10.77.0.1")
ok(a and a["count"] == n and get(a, "owner.process") == "dig" and "evil.example" in a["summary"], "a tunnel: its names, its domain, its process", w.out[-900:])


# a beacon to an address outside, with jitter; and a person, who is irregular
def beat(port, gaps):
    for g in gaps:
        c = tcp("wea")
        c.connect(("198.51.100.9", port)), c.sendall(b"x" * 60), c.recv(10), c.close()
        time.sleep(g)


def both():
    t = threading.Thread(target=beat, args=(4430, [0.2, 3, 0.3, 0.2, 4, 0.1, 0.2, 0.5, 2.5, 0.1, 0.3, 0.2, 3, 0.4, 0.2]))
    t.start()
    beat(443, [1.1 + (i % 3) * 0.15 for i in range(14)])
    t.join()


person = serve("198.51.100.9", 4430, lambda q: b"\x15\x03\x03\x00\x02\x02\x28")
got, _, w = alerts(both)
a = one(got, "beaconing", source="10.77.0.1", target="198.51.100.9:443")
ok(a and 1.1 <= a["evidence"]["period_s"] <= 1.5 and get(a, "owner.pid") == os.getpid(), "a beacon: its period and its process", w.out[-900:])
ok(len({r["id"] for r in got}) == 1, "... and nobody else", w.out[-600:])

# a service that becomes slow, then one that begins to fail: found within seconds, with the part that grew
slow, fails = 0, 0


def answer(q):
    time.sleep(slow)
    return b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n" if fails and os.urandom(1)[0] < 128 else b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


cart = serve("10.77.0.2", 8080, answer)


def visit(seconds):
    end = time.time() + seconds
    while time.time() < end:
        c = tcp("wea")
        c.connect(("10.77.0.2", 8080)), c.sendall(b"GET /cart HTTP/1.1\r\nHost: s\r\n\r\n"), c.recv(100), c.close()
        time.sleep(0.01)


def day():
    global slow, fails, usual
    visit(24)
    usual = [r["summary"] for r in running.so_far()]
    slow = 0.03
    visit(7)
    slow = 0
    visit(2)
    fails = 1
    visit(3)
    fails = 0
    visit(1)


got, _, w = alerts(day)
a = one(got, "latency_spike")
ok(a and "application takes longer" in a["summary"] and a["evidence"]["p50_us"] > 20000 and get(a, "owner.pid") == os.getpid(), "a service that becomes slow: what grew", w.out[-900:])
a = one(got, "error_spike")
ok(a and 0.3 < a["evidence"]["share"] < 0.7 and "GET /cart: 503" in a["summary"], "a service that begins to fail: how often, and the last", w.out[-900:])
ok(not usual, "as long as it is as usual: nothing", usual)

# TLS that was agreed on: old, and new
cert = tempfile.mkdtemp(prefix="weir-tls-")
later(lambda: __import__("shutil").rmtree(cert, True))
sh(f"openssl req -x509 -newkey rsa:2048 -nodes -keyout {cert}/k -out {cert}/c -days 2 -subj /CN=old 2>/dev/null")
for p, arg in ((4431, "-tls1"), (4432, "-tls1_3")):
    inside("web", "openssl", "s_server", "-accept", str(p), "-cert", f"{cert}/c", "-key", f"{cert}/k", "-quiet", arg, *(["-cipher", "ALL@SECLEVEL=0"] if arg == "-tls1" else []),
           stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
time.sleep(0.5)
done_shakes = []


def shake():
    for p, arg in ((4431, "-tls1"), (4432, "-tls1_3")):
        for _ in range(3):
            r = sh(f"echo | ip netns exec wea timeout 5 openssl s_client -connect 10.77.0.2:{p} {arg} {'-cipher ALL@SECLEVEL=0' if arg == '-tls1' else ''} 2>/dev/null", False)
            done_shakes.append((p, "Protocol  : TLSv1\n" in r or "New, TLSv1" in r))


got, _, w = alerts(shake)
if not any(x for p, x in done_shakes if p == 4431):
    skip("weak TLS", "this OpenSSL does not speak TLS 1.0 any more")
else:
    a = one(got, "weak_tls", source="10.77.0.1", target="10.77.0.2:4431")
    ok(a and a["count"] == 3 and "RFC 8996" in a["summary"], "TLS 1.0 was agreed on", w.out[-900:])
ok(not [r for r in got if r["detector"] == "weak_tls" and r["target"].endswith("4432")], "TLS 1.3 raises nothing", w.out[-600:])
done()
