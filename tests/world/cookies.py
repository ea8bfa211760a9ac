# SPDX-License-Identifier: Apache-2.0
"""SYN cookies of the guard: a flood of SYNs from 131,072 addresses is answered and kept nothing of; clients connect as ever, with
their options; forged ACKs get nothing. A flood that only the kernel answers is seen. The accepted sockets, their options and the interface's counters are the truth."""
import errno, socket, struct, sys, threading
sys.path.insert(0, "tests/lib")
from world import *

need_root()
veth("wka", "wkb")
sh("ip -n wka addr add fd77::1/64 dev vwka nodad; ip -n wkb addr add fd77::2/64 dev vwkb nodad; ip -n wkb route add 198.18.0.0/15 dev vwkb")
# a SYN for a connection in TIME-WAIT is the kernel's, which lets the port be used again: here none is left of those before
sh("ip netns exec wkb sysctl -qw net.ipv4.tcp_max_tw_buckets=0")
mac = lambda ns, dev: sh(f"ip -n {ns} -o link show {dev}").split("link/ether ")[1][:17]
SOCK = tempfile.mktemp(prefix="/tmp/weir-cookies", suffix=".sock")
later(lambda: os.path.exists(SOCK) and os.unlink(SOCK))
LOAD = os.path.join(BUILD, "helpers/load")
served = []  # (address, options of the server's side, its mss)


def serve(family, ip):
    with in_netns("wkb"):
        s = socket.socket(family)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind((ip, 8080))
    s.listen(1024)

    def run():
        while True:
            c, a = s.accept()
            i = c.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
            served.append((a[0], i[5], i[6] & 15, struct.unpack_from("<I", i, 16)[0]))
            threading.Thread(target=talk, args=(c,), daemon=True).start()

    threading.Thread(target=run, daemon=True).start()


def talk(c):
    with c:
        b = c.recv(100)
        if b:
            c.sendall(b * 20000)


serve(socket.AF_INET, "10.77.0.2"), serve(socket.AF_INET6, "fd77::2")


def fetch(ip="10.77.0.2", mss=0, timeout=3):
    """how long the connection took, or None"""
    with in_netns("wka"):
        c = socket.socket(socket.AF_INET6 if ":" in ip else socket.AF_INET)
    with c:
        c.settimeout(timeout)
        if mss:
            c.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, mss)
        try:
            t = time.time()
            c.connect((ip, 8080))
            t = time.time() - t
            c.sendall(b"0123456789")
            n = 0
            while b := c.recv(1 << 16):
                n += len(b)
            return t if n == 200000 else None
        except OSError:
            return None


def flood(ms, flags=2, port=8080):
    return spawn(["nsenter", "--net=/run/netns/wka", LOAD, "syns", str(ms), "10.77.0.2", str(port), str(flags)], stdout=subprocess.PIPE, text=True)


def clients(n):
    t = [fetch() for i in range(n)]
    good = sorted(x for x in t if x is not None)
    return len(good), good[int(len(good) * 0.99)] if good else None


# a flood may fill the kernel's backlog: what it drops there never arrived
backlog = lambda: sum(int(x.split()[1], 16) for x in open("/proc/net/softnet_stat"))
metric = lambda w, name: next((x["value"] for x in w.records if x.get("name") == name), None)
rule = lambda w: next(x for x in w.records if x.get("action") == "cookie")
quiet = clients(100)
figures = {}
for mode in ("tc", "generic"):
    w = Weir("guard", "cookie", "tcp and dst.port = 8080", "--mode", mode, "--netns", "wkb", "--json", ready=1.5)
    del served[:]
    took = [fetch(), fetch("fd77::2"), fetch(mss=1000)]
    with in_netns("wka"):
        c = socket.socket()
    closed = c.connect_ex(("10.77.0.2", 8081))
    sh("ip netns exec wka sysctl -qw net.ipv4.tcp_timestamps=0")
    took.append(fetch())
    sh("ip netns exec wka sysctl -qw net.ipv4.tcp_timestamps=1")
    w.end()
    ok(all(took) and rule(w)["hits"] == 4 and [s[0] for s in served] == ["10.77.0.1", "fd77::1", "10.77.0.1", "10.77.0.1"], f"{mode}: connections come up by cookies, IPv4 and IPv6, with data", lambda: (took, served, w.out, w.err))
    # tcpi_options: 1 time stamps, 2 SACK, 4 window scale; what the server may send at once is what the client said
    ok([s[1] & 7 for s in served] == [7, 7, 7, 0] and served[0][2] > 0 and served[2][3] <= 1000 < served[0][3], "... with the client's options and segment size; without time stamps there is no room for them", served)
    ok(closed == errno.ECONNREFUSED, "... and where nobody listens the kernel says so", closed)

    w = Weir("guard", "cookie", "tcp and dst.port = 8080", "--mode", mode, "--netns", "wkb", "--json", ready=1.5)
    del served[:]
    before = backlog()
    f = flood(3000)
    time.sleep(0.3)
    got = clients(100)
    sent = int(f.communicate()[0])
    time.sleep(0.3)
    lost = backlog() - before
    half = sh("ip netns exec wkb ss -Htn state syn-recv").count("\n")
    w.end()
    r = rule(w)
    figures[mode] = dict(clients=got, syns=sent, answered=r["hits"])
    ok(got[0] == 100 and len(served) == 100, f"{mode}: in a flood of SYNs every good client connects", lambda: (got, quiet, sent, w.out))
    ok(sent > 100000 and 0 <= sent + 100 - r["hits"] <= lost and half == 0, "... each SYN that arrived was answered, and nothing of it is kept", lambda: (sent, lost, half, r))

w = Weir("guard", "cookie", "tcp and dst.port = 8080", "--netns", "wkb", "--json", ready=1.5)
fetch()  # a cookie was sent: ACKs are looked at
del served[:]
f = flood(2000, 16)
sent = int(f.communicate()[0])
time.sleep(0.3)
w.end()
ok(sent > 50000 and not served and rule(w)["interfaces"] == "vwkb tc", "none of as many forged ACKs becomes a connection", lambda: (sent, served[:3], w.out))
r = weir("guard", "cookie", "tcp and dst.port = 8080", "--netns", "wkb", "--mode", "native", "--for", "1s")
ok(r.returncode != 0 and "veth" in r.stderr and "--mode tc" in r.stderr, "where the answer would get lost it is refused", r)

# over a rate only: below it the kernel answers, with all it can
w = Weir("guard", "cookie", "tcp and dst.port = 8080", "--rate", "50/s", "--burst", "20", "--netns", "wkb", "--json", ready=1.5)
few, before = [fetch() for i in range(10)], backlog()
f = flood(1000)
time.sleep(0.3)
got = clients(20)
sent = int(f.communicate()[0])
w.end()
r = rule(w)
ok(all(few) and got[0] == 20 and 0 <= sent + 30 - r["matched"] <= backlog() - before and r["matched"] - 400 < r["hits"] < r["matched"], "over a rate: the first ones are the kernel's", lambda: (few, got, sent, r))

# ports that are used again while the server's last connection from there is in TIME-WAIT
sh("ip netns exec wkb sysctl -qw net.ipv4.tcp_max_tw_buckets=4096; ip netns exec wka sysctl -qw net.ipv4.ip_local_port_range='40000 40009'")
w = Weir("guard", "cookie", "tcp and dst.port = 8080", "--netns", "wkb", "--json", ready=1.5)
got = [fetch() for i in range(30)]
old = sh("ip netns exec wkb ss -Htn state time-wait").count("\n")
w.end()
ok(all(got) and 5 <= old <= 10 and old <= rule(w)["hits"] < 30, "a SYN for a connection in TIME-WAIT is the kernel's", lambda: (got, old, w.out))
sh("ip netns exec wka sysctl -qw net.ipv4.ip_local_port_range='32768 60999'")

# VLAN tags stay on
with in_netns("wka"):
    tx = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
tx.setsockopt(263, 8, 1)  # SOL_PACKET, PACKET_AUXDATA: the kernel takes the tag off
tx.bind(("vwka", 0)), tx.settimeout(2)
tcp = struct.pack(">HHIIBBHHH", 4000, 8080, 77, 0, 0x50, 2, 1000, 0, 0)
head = struct.pack(">BBHHHBBH", 0x45, 0, 40, 1, 0, 64, 6, 0) + socket.inet_aton("198.18.0.9") + socket.inet_aton("10.77.0.2")


def tagged():
    w = Weir("guard", "cookie", "tcp and dst.port = 8080", "--netns", "wkb", "--json", ready=1.5)
    tx.send(bytes.fromhex(mac("wkb", "vwkb").replace(":", "") + mac("wka", "vwka").replace(":", "")) + b"\x81\0\0\5\x08\0" + head + tcp)
    until(lambda: False, 0.3)
    w.end()
    while True:
        b, anc, _, _ = tx.recvmsg(2000, 100)
        if b[12:14] == b"\x08\0" and b[23] == 6 and b[30:34] == socket.inet_aton("198.18.0.9"):
            return struct.unpack("<IIIHHHH", anc[0][2])[5], b[47], struct.unpack(">I", b[42:46])[0]


got = tagged()
ok(got == (5, 0x12, 78), "the answer to a tagged SYN has its tag", got)

# the agent keeps the rules, and counts
p = spawn(["nsenter", "--net=/run/netns/wkb", WEIR, "run", "--agent.socket", SOCK, "--store.path", "", "--api.listen", "", "--api.socket", "", "--audit.path", "", "--guard.respond", "syn_flood=cookie:1m", "--guard.dry_run=false"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
assert until(lambda: os.path.exists(SOCK) and weir("ctl", "counters", "--socket", SOCK).returncode == 0, 15)
r = weir("guard", "cookie", "tcp and dst.port = 8080", "--interface", "vwkb", "--ttl", "1m", "--socket", SOCK)
t = fetch()
rows = [x for x in records(weir("guard", "list", "--json", "--socket", SOCK).stdout) if x.get("action") == "cookie"]
ok(r.returncode == 0 and t and rows and rows[0]["hits"] == 1, "an agent does the same", lambda: (r, t, rows))
counters = weir("ctl", "counters", "--socket", SOCK).stdout
ok("guard.cookies.accepted" in counters and "guard.cookies.sent" in counters, "its counters", counters[-1500:])
r = weir("guard", "clear", "--socket", SOCK)
t = fetch()
ok(r.returncode == 0 and t and not [x for x in weir_progs() if x.startswith("cookie_")] or until(lambda: fetch(), 3), "cleared, the kernel answers again", (r, t))

# a responder: the flood is seen (live: where SYNs are refused), and cookies are for its target alone
w = Weir("alerts", "--json", "--socket", SOCK, ready=0.5)
f = flood(6000, port=8081)
rows = []
until(lambda: rows.extend(x for x in records(weir("guard", "list", "--json", "--socket", SOCK).stdout) if x.get("action") == "cookie") or rows, 9)
f.communicate()
w.end()
a = [x for x in w.records if x.get("detector") == "syn_flood"]
ok(rows and rows[0]["text"] == "dst 10.77.0.2 and tcp and dst.port = 8081" and a and "cookie ttl 60s" in a[-1]["action"], "a responder answers a flood with cookies", lambda: (rows, a, w.out[-600:]))
p.kill(), p.wait()
ok(until(lambda: not [x for x in weir_progs() if x.startswith(("guard_", "cookie_"))], 3) and fetch(), "kill -9 leaves nothing", weir_progs())
sh("ip netns exec wkb sysctl -qw net.ipv4.tcp_syncookies=1")
# without the guard: the kernel's own cookies absorb it, and nothing is refused or dropped. It is seen all the same
w = Weir("alerts", "--json", "--standalone", ready=2)
before = backlog()
f = flood(2000)
got = clients(50)
sent = int(f.communicate()[0])
time.sleep(2)
lost = backlog() - before
w.end()
al = [x for x in w.records if x["kind"] == "alert"]
ok(al and {x["detector"] for x in al} == {"syn_flood"} and len({x["id"] for x in al}) == 1 and al[-1]["target"] == "10.77.0.2:8080" and
   sent - lost <= al[-1]["count"] <= sent + 50 and al[-1]["evidence"]["sources"] > 5000 and al[-1]["owner"]["pid"] == os.getpid(),
   "a flood that the kernel absorbs is one alert, each SYN counted", lambda: (sent, lost, got, w.out, w.err))
w = Weir("alerts", "--json", "--standalone", ready=2)
got = clients(300)
time.sleep(2)
w.end()
ok(got[0] == 300 and not any(x["kind"] == "alert" for x in w.records), "as many connections as they come in a rush are none", lambda: (got, w.out))
print("#", quiet, figures)
done()
