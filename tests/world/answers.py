# SPDX-License-Identifier: Apache-2.0
"""Scans that are answered: with resets, or with ports that look open (a tarpit). What nmap sees, and a packet capture, are the
truth; a real service, another client and a connection that is open do not notice the tarpit."""
import sys
sys.path.insert(0, "tests/lib")
from world import *

need_root()
veth("wnp", "wnq")
for ns, n in (("wnp", 1), ("wnq", 2)):
    sh(f"ip -n {ns} addr add fd77::{n}/64 dev v{ns} nodad")
sh("ip -n wnp addr add 10.77.0.9/24 dev vwnp")  # a good client
inside("wnq", "python3", "-c", """
import socket, threading
def serve(s):
    while True:
        c, _ = s.accept()
        threading.Thread(target=lambda c: [c.sendall(b) for b in iter(lambda: c.recv(100), b"")], args=(c,), daemon=True).start()
for f, a in ((socket.AF_INET, "10.77.0.2"), (socket.AF_INET6, "fd77::2")):
    s = socket.socket(f)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind((a, 80)), s.listen(64)
    threading.Thread(target=serve, args=(s,)).start()
""")


def connect(ip="10.77.0.1", port=80, timeout=2):
    with in_netns("wnp"):
        c = socket.socket()
    c.settimeout(timeout)
    c.bind((ip, 0))
    c.connect(("10.77.0.2", port))
    return c


def echo(c):
    c.sendall(b"hello")
    take(c, 5)
    return True


def fails(fn):
    try:
        fn()
    except OSError as e:
        return type(e).__name__


def scan(how, to="10.77.0.2", ports="60-99", *more):
    out = sh(f"ip netns exec wnp nmap -n -Pn {how} -T4 --max-retries 1 -p{ports} {' '.join(more)} {to}")
    state = dict(re.findall(r"^(\d+)/tcp\s+(\S+)", out, re.M))
    rest = re.search(r"Not shown: (\d+) (\S+)", out)  # those of which there are many
    lo, hi = map(int, ports.split("-"))
    return {p: state.get(str(p), re.sub(r"\W.*", "", rest[2]) if rest else None) for p in range(lo, hi + 1)}


def guard(rule, mode):
    return Weir("guard", *rule, "--mode", mode, "--netns", "wnq", "--ttl", "60s", ready=1.2)


until(lambda: not fails(lambda: connect().close()))
plain = scan("-sS")
ok(plain[80] == "open" and all(v == "closed" for p, v in plain.items() if p != 80), "without rules: one port is open", plain)
for mode in ("tc", "generic"):
    held = connect()
    cap = spawn(["ip", "netns", "exec", "wnp", "tcpdump", "-qnlU", "-i", "vwnp", "-w", f"/tmp/weir-answers-{os.getpid()}", "tcp"], stderr=subprocess.DEVNULL)
    later(lambda: os.path.exists(f"/tmp/weir-answers-{os.getpid()}") and os.remove(f"/tmp/weir-answers-{os.getpid()}"))
    time.sleep(0.5)
    g = guard(("tarpit", "src 10.77.0.1 and tcp"), mode)
    t = scan("-sS")
    ok(set(t.values()) == {"open"}, f"{mode}: a tarpit: all ports look open", t)
    t = scan("-sT", "10.77.0.2", "70-79")
    ok(set(t.values()) == {"open"}, "... to connect() too", t)
    c = connect(port=81)
    c.settimeout(1)
    ok(fails(lambda: (c.sendall(b"x" * 10), c.recv(1))) == "TimeoutError", "... and there it hangs: the window is closed, nothing comes")
    c.close()
    ok(echo(held) and echo(connect()), "... the real service, and a connection that was open, are as before")
    ok(fails(lambda: connect("10.77.0.9", 81)) == "ConnectionRefusedError", "... and so is everything for another client")
    g.end(), cap.terminate(), cap.wait()
    bad = sh(f"tshark -r /tmp/weir-answers-{os.getpid()} -o tcp.check_checksum:TRUE -o ip.check_checksum:TRUE -Y 'ip.src == 10.77.0.2 && tcp.srcport != 80 && (tcp.checksum.status == 0 || ip.checksum.status == 0)' 2>/dev/null")
    some = sh(f"tshark -r /tmp/weir-answers-{os.getpid()} -Y 'ip.src == 10.77.0.2 && tcp.srcport == 81 && tcp.flags.syn == 1' -T fields -e tcp.window_size_value -e tcp.options.mss_val 2>/dev/null").split("\n")[0]
    ok(not bad and some.split() == ["0", "536"], "... the answers are whole: checksums, a window of 0", (bad[:300], some))

    g = guard(("reject", "src 10.77.0.1 and tcp"), mode)
    t = scan("-sS")
    ok(set(t.values()) == {"closed"}, f"{mode}: resets: all ports look closed, the open one too", t)
    t0 = time.time()
    ok(fails(lambda: connect(port=80)) == "ConnectionRefusedError" and time.time() - t0 < 0.5, "... at once")
    ok({v for p, v in scan("-sA", "10.77.0.2", "60-69").items()} == {"unfiltered"} and {v for p, v in scan("-sF", "10.77.0.2", "60-69").items()} == {"closed"},
       "... an ACK and a FIN are answered as RFC 9293 wants it")
    ok(fails(lambda: echo(held)) == "ConnectionResetError", "... what was open ends with its next segment")
    ok(echo(connect("10.77.0.9")), "... another client does not notice")
    g.end()
    g = guard(("tarpit", "src fd77::1 and tcp"), mode)
    t = scan("-6 -sS", "fd77::2")
    ok(set(t.values()) == {"open"}, f"{mode}: IPv6: a tarpit", t)
    g.end()
    g = guard(("reject", "src fd77::1 and tcp"), mode)
    t = scan("-6 -sS", "fd77::2")
    ok(set(t.values()) == {"closed"}, "... and resets", t)
    g.end()
ok(scan("-sS") == plain, "and when the rules are gone all is as before")

# a router does not answer for others
netns("wnr")
sh("ip link add vr0 netns wnq type veth peer name vr1 netns wnr; ip -n wnq addr add 10.78.0.1/24 dev vr0; ip -n wnq link set vr0 up; ip -n wnr addr add 10.78.0.2/24 dev vr1; ip -n wnr link set vr1 up")
sh("ip netns exec wnq sysctl -qw net.ipv4.ip_forward=1; ip -n wnr route add default via 10.78.0.1; ip -n wnp route add 10.78.0.0/24 via 10.77.0.2")
until(lambda: set(scan("-sS", "10.78.0.2", "60-69").values()) == {"closed"})
for mode in ("tc", "generic"):
    g = guard(("tarpit", "src 10.77.0.1 and tcp"), mode)
    ok(set(scan("-sS", "10.78.0.2", "60-69").values()) == {"closed"} and set(scan("-sS", "10.77.0.2", "60-69").values()) == {"open"}, f"{mode}: what is forwarded is not answered, what is for itself is")
    g.end()

# counted: each packet passed, was dropped, or was answered
tmp = tempfile.mkdtemp(prefix="weir-answers-")
later(lambda: __import__("shutil").rmtree(tmp, True))
SOCK = f"{tmp}/sock"
agent = spawn(["nsenter", "--net=/run/netns/wnq", WEIR, "run", "-q", "--agent.socket", SOCK, "--store.path", "", "--api.listen", "", "--api.socket", "", "--audit.path", "",
               "--guard.mode", "tc", "--guard.respond", "port_scan=tarpit:1m", "--guard.dry_run=false"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
until(lambda: os.path.exists(SOCK) and weir("ctl", "counters", "--socket", SOCK).returncode == 0, 10)
weir("guard", "tarpit", "tcp and dst.port in (7001, 7002)", "--socket", SOCK, "--ttl", "1m"), weir("guard", "reject", "tcp and dst.port = 7003", "--socket", SOCK, "--ttl", "1m")
for p in (7001, 7002, 7003):
    for i in range(5):
        fails(lambda: connect("10.77.0.9", p, 0.2).close())
m = {r["name"]: r["value"] for r in records(weir("ctl", "counters", "--json", "--socket", SOCK).stdout) if r["kind"] == "metric"}
rules = records(weir("guard", "list", "--json", "--socket", SOCK).stdout)
ok(m.get("guard.tarpit.sent") == 10 and m.get("guard.resets.sent") == 5, "as many answers as there were SYNs", {k: v for k, v in m.items() if k.startswith("guard")})
hits = {r["action"]: r["hits"] for r in rules if r["action"] in ("tarpit", "reject")}
ok(hits.get("tarpit", 0) >= 10 and hits.get("reject") == 5, "... in the rules too", rules)

# by itself: a scanner is put into the tarpit
scan("-sS", "10.77.0.2", "1000-1200")
rules = until(lambda: [r for r in records(weir("guard", "list", "--json", "--socket", SOCK).stdout) if "10.77.0.1" in r["text"]], 10) or []
ok(len(rules) == 1 and rules[0]["action"] == "tarpit", "guard.respond: a scanner is put into it", rules or weir("guard", "list", "--json", "--socket", SOCK).stdout[-400:])
ok(set(scan("-sS", "10.77.0.2", "1300-1340").values()) == {"open"} and echo(connect("10.77.0.9")), "... and sees what is not there; others do not")
agent.terminate(), agent.wait()

r = weir("guard", "tarpit", "tcp", "--mode", "native", "--ttl", "2s", "--netns", "wnq")
ok(r.returncode != 0 and "may get lost" in r.stderr, "native XDP on a veth: refused, and why", r.stderr)
r = weir("guard", "tarpit", "--rate", "5/s", "tcp")
ok(r.returncode == 2 and "rate" in r.stderr, "a tarpit has no rate", r.stderr)
done()
