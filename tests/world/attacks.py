# SPDX-License-Identifier: Apache-2.0
"""More attacks for real, one incident each, each with its twin: floods, reflection, data that leaves, hops from host to host,
names made by a program, lists and rules of one's own; and operations: resets, drops, an objective. What was sent is the truth."""
import base64, random, struct, sys, threading
sys.path.insert(0, "tests/lib")
from world import *

need_root()
veth("wta", "wtb")
sh("ip -n wtb addr add 198.51.100.9/24 dev vwtb; ip -n wtb addr add 198.51.100.10/24 dev vwtb; ip -n wta route add 198.51.100.0/24 dev vwta")
for i in range(20, 28):
    sh(f"ip -n wtb addr add 10.77.0.{i}/24 dev vwtb")
tmp = tempfile.mkdtemp(prefix="weir-attacks-")
later(lambda: __import__("shutil").rmtree(tmp, True))


def sock(ns, kind=socket.SOCK_STREAM):
    with in_netns(ns):
        s = socket.socket(socket.AF_INET, kind)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return s


def serve(ip, port, answer=None, reset=False):
    s = sock("wtb")
    s.bind((ip, port)), s.listen(128)

    def one(c):
        with c:
            try:
                if reset and reset[0]:
                    c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    return
                while q := c.recv(65536):
                    if answer:
                        c.sendall(answer(q))
            except OSError:
                pass

    def run():
        while True:
            try:
                c, _ = s.accept()
            except OSError:
                return
            threading.Thread(target=one, args=(c,), daemon=True).start()
    threading.Thread(target=run, daemon=True).start()
    return s


def config(text):
    path = f"{tmp}/weir.yaml"
    open(path, "w").write("detect:\n" + text)
    return "--config", path


def alerts(work, *args, ns=None, after=2):
    """What is told while @work runs, and @after seconds later; @ns: from inside this namespace."""
    inside = ("nsenter", f"--net=/run/netns/{ns}", WEIR) if ns else (WEIR,)
    global running
    w = running = Weir(*inside[1:], "alerts", "--json", *args, ready=1.5, weir=inside[0])
    work()
    time.sleep(after)
    w.end(timeout=60)
    return [r for r in w.records if r["kind"] == "alert"], w


def one(got, detector, **want):
    mine = [r for r in got if r["detector"] == detector and all(get(r, k) == v for k, v in want.items())]
    return len({r["id"] for r in mine}) == 1 and mine[-1]


def only(got, *names):
    return {r["detector"] for r in got} == set(names)


def why(got, w):
    return lambda: [(r["detector"], r["summary"]) for r in got] or w.out[-500:] + w.err[-500:]


# datagrams to ports that nobody has; as the twin a camera to one that somebody reads, and never answers
def flood():
    s = sock("wta", socket.SOCK_DGRAM)
    for i in range(12000):
        s.sendto(b"x" * 64, ("10.77.0.2", 20000 + i % 300))
        if i % 100 == 0:
            time.sleep(0.01)


got, w = alerts(flood)
a = one(got, "udp_flood", target="10.77.0.2")
ok(a and 9000 <= a["count"] <= 12000 and a["evidence"]["ports"] > 200, "a flood of datagrams: how many, to what", why(got, w))
cam = sock("wtb", socket.SOCK_DGRAM)
cam.bind(("10.77.0.2", 5004)), cam.setsockopt(socket.SOL_SOCKET, 33, 1 << 24)


def camera():
    s = sock("wta", socket.SOCK_DGRAM)
    for i in range(8000):
        s.sendto(b"x" * 500, ("10.77.0.2", 5004))
        if i % 20 == 0:
            time.sleep(0.01)


got, w = alerts(camera)
ok(not [r for r in got if r["detector"] == "udp_flood"], "a camera is none", why(got, w))

# answers of NTP that nobody asked for
def reflect():
    s = sock("wta", socket.SOCK_DGRAM)
    s.bind(("10.77.0.1", 123))
    for i in range(1500):
        s.sendto(b"x" * 1000, ("10.77.0.2", 33000))
        if i % 20 == 0:
            time.sleep(0.01)
    s.close()


got, w = alerts(reflect)
a = one(got, "amplification", target="10.77.0.2")
ok(a and a["evidence"]["service"] == "NTP" and 1000000 <= a["evidence"]["answered"] <= 1700000, "reflected answers", why(got, w))

# data that leaves: 60 MB to an outside address; the same inside, and as a download, are none
up = serve("198.51.100.9", 8443)
serve("10.77.0.2", 8443)
down = serve("198.51.100.10", 8444, lambda q: b"y" * 60000000)


def send(ip, port, n):
    c = sock("wta")
    c.connect((ip, port))
    c.sendall(b"z" * n)
    if port == 8444:
        take(c, 60000000)
    c.close()


got, w = alerts(lambda: send("198.51.100.9", 8443, 60000000))
a = one(got, "exfiltration", source="10.77.0.1", target="198.51.100.9")
ok(a and a["parents"][-1]["pid"] == 1 and a["parents"][0]["pid"] == os.getppid(), "... and the processes above it", a and a.get("parents"))
ok(a and a["count"] == 60000000 == a["evidence"]["bytes_out"] and get(a, "owner.pid") == os.getpid(), "60 MB to an outside address: exactly, and who", why(got, w))
got, w = alerts(lambda: (send("10.77.0.2", 8443, 60000000), send("198.51.100.10", 8444, 100)))
ok(not got, "inside, or as a download: nothing", why(got, w))

# from host to host by what admins use; the twin: one host, often
for i in range(20, 28):
    serve(f"10.77.0.{i}", 22, lambda q: b"SSH-2.0-x\r\n")


def hop(hosts):
    for i in hosts:
        c = sock("wta")
        c.connect((f"10.77.0.{i}", 22)), c.sendall(b"SSH-2.0-y\r\n"), c.recv(20), c.close()
        time.sleep(0.1)


got, w = alerts(lambda: hop(range(20, 28)))
a = one(got, "lateral_movement", source="10.77.0.1")
ok(a and a["evidence"]["hosts"] == 8 and "SSH" in a["summary"] and a["attack_id"] == "T1021", "eight hosts by SSH", why(got, w))
got, w = alerts(lambda: hop([20] * 8))
ok(not got, "one host eight times: nothing", why(got, w))

# SSH at a web server's port
serve("10.77.0.2", 443, lambda q: b"SSH-2.0-x\r\n")


def odd():
    c = sock("wta")
    c.connect(("10.77.0.2", 443)), c.recv(0)
    c.sendall(b"SSH-2.0-OpenSSH_9.2p1\r\n"), c.recv(20)
    time.sleep(0.2)
    c.close()


got, w = alerts(odd)
a = one(got, "unusual_protocol", target="10.77.0.2:443")
ok(a and "speaks ssh" in a["summary"], "SSH on 443", why(got, w))

# names made by a program, at a resolver that knows none; and typing errors
inside("wtb", "dnsmasq", "-k", "-C", "/dev/null", "--no-resolv", "--address=/#/", "-p", "53", "--listen-address=10.77.0.2", "--bind-interfaces",
       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
until(lambda: "NXDOMAIN" in sh("ip netns exec wta dig +tries=1 +time=1 @10.77.0.2 ready.test", False))


def ask(names):
    open(f"{tmp}/names", "w").write("\n".join(names))
    sh(f"ip netns exec wta dig +tries=1 +time=1 +short @10.77.0.2 -f {tmp}/names")


rnd = random.Random(5)
made = ["".join(rnd.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(rnd.randint(10, 14))) + rnd.choice((".com", ".net", ".info")) for _ in range(20)]
typed = ["wikipeda.org", "gogle.com", "exmaple.com", "printer.home", "intranet.corp", "debain.org", "weatehr.com", "githbu.com", "wpad.corp", "news.exampel"]
got, w = alerts(lambda: ask(made))
a = one(got, "dga", source="10.77.0.1")
ok(a and 15 <= a["count"] <= 22 and get(a, "owner.process") == "dig", "names made by a program", why(got, w))
got, w = alerts(lambda: ask(typed))
ok(not got, "typing errors: nothing", why(got, w))

# rules of one's own: a list of threats, services that may be, a critical one
open(f"{tmp}/bad.txt", "w").write("# known\n198.51.100.0/28\nevil.example\n")
r = inside("wtb", "redis-server", "--port", "6379", "--bind", "10.77.0.2", "--requirepass", "right", "--save", "", stdout=subprocess.DEVNULL)
until(lambda: "NOAUTH" in sh("ip netns exec wta redis-cli -h 10.77.0.2 PING 2>&1", False))


def visits():
    ask(["www.evil.example", "good.example"])
    send("198.51.100.9", 8443, 10)
    sh("ip netns exec wta redis-cli -h 10.77.0.2 -a right SET a b 2>/dev/null")
    sh("ip netns exec wta redis-cli -h 10.77.0.2 -a wrong PING 2>/dev/null", False)


got, w = alerts(visits, *config(f"  threat_lists: {tmp}/bad.txt\n  listeners: dnsmasq:53,python3:*\n  critical: redis\n"))
ok(one(got, "threat_list", target="198.51.100.9") and "bad.txt" in one(got, "threat_list", target="198.51.100.9")["summary"], "an address of the list", why(got, w))
ok(one(got, "threat_list", target="www.evil.example"), "a name under one of the list", why(got, w))
ok(one(got, "shadow_service", source="redis-server") and len([r for r in got if r["detector"] == "shadow_service"]) <= 2, "who serves without being sanctioned", why(got, w))
a = one(got, "critical_access", target="10.77.0.2:6379")
ok(a and a["count"] == 2 and a["evidence"]["failed"] == 1 and a["severity"] == "low", "logins at a critical service, the failed one too", why(got, w))
got, w = alerts(visits)
ok(not got, "without the rules: nothing", why(got, w))

for text, words in (("  threat_lists: /nonexistent\n", "/nonexistent: No such file"), ("  objectives: shop\n", "SERVICE=99.9%"),
                    ("  port_scan_ports: 1\n", "port_scan_ports"), ("  critical_hours: dawn\n  critical: ssh\n", "08:00-18:00")):
    w = weir("alerts", "--for", "1s", *config(text))
    ok(w.returncode == 2 and words in w.stderr, f"refused: {text.split(chr(10))[0].strip()}", w.stderr)

# operations: a service that begins to reset, a firewall that begins to drop, an objective that is missed
broken = [False]
serve("10.77.0.2", 8080, lambda q: b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", reset=broken)
failing = [False]
serve("10.77.0.2", 8081, lambda q: b"HTTP/1.1 %s\r\nContent-Length: 0\r\n\r\n" % (b"500 No" if failing[0] else b"200 OK"))


def visit(seconds, rate=40):
    end = time.time() + seconds
    while time.time() < end:
        for port in (8080, 8081):
            c = sock("wta")
            try:
                c.connect(("10.77.0.2", port)), c.sendall(b"GET / HTTP/1.1\r\nHost: s\r\n\r\n"), c.recv(100)
            except OSError:
                pass
            c.close()
        time.sleep(1 / rate)


def day():
    global usual
    visit(33)
    usual = running.so_far()
    broken[0] = failing[0] = True
    sh("ip netns exec wtb nft 'add table ip t; add chain ip t i { type filter hook input priority 0; }; add rule ip t i udp dport 5004 counter drop'")
    t = threading.Thread(target=camera)
    t.start()
    visit(14)
    t.join()


got, w = alerts(day, *config("  objectives: 10.77.0.2:8081=99%\n"))
ok(not usual, "as long as all is as usual: nothing", usual)
a = one(got, "reset_spike", source="10.77.0.2:8080")
ok(a and "the server does it" in a["summary"] and a["evidence"]["share"] > 0.5, "a service that begins to reset", why(got, w))
a = one(got, "drop_spike", source="NETFILTER_DROP")
n = int(re.search(r"packets (\d+)", sh("ip netns exec wtb nft list ruleset"))[1])
ok(a and 0.5 * n < a["count"] <= n and a["evidence"]["class"] == "policy", "a firewall that begins to drop: about as many as it counted", lambda: (n, [r for r in got if r["detector"] == "drop_spike"]))
a = one(got, "objective", source="10.77.0.2:8081")
ok(a and a["evidence"]["burn_5m"] > 14, "an objective that is missed", why(got, w))
sh("ip netns exec wtb nft delete table ip t")
broken[0] = failing[0] = False

# messages that two servers may read differently; as the twin the same client as it should be
plain = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
smuggled = {"6.1": "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "6.3": "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
            "RFC 9112 5.1": "POST / HTTP/1.1\r\nHost: x\r\nContent-Length : 3\r\n\r\nabc",
            "5.2": "GET / HTTP/1.1\r\nHost: x\r\nX-A: 1\r\n b: 2\r\n\r\n",
            "5.5": "GET / HTTP/1.1\r\nHost: x\r\nX-A: 1\x002\r\n\r\n",
            "3.2": "GET / HTTP/1.1\r\nX-A: 1\r\n\r\n"}


def post(texts):
    for t in texts:
        c = sock("wta")
        c.connect(("10.77.0.2", 8080)), c.sendall(plain.encode()), c.recv(100), c.sendall(t.encode()), c.recv(100), c.close()
        time.sleep(0.1)


got, w = alerts(lambda: post(smuggled.values()))
bad = [r for r in got if r["detector"] == "protocol_violation"]
ok(len({r["id"] for r in bad}) == 6 and all(any(k in r["summary"] for r in bad) for k in smuggled) and all(r["source"] == "10.77.0.1" and "10.77.0.2:8080" in r["target"] for r in bad),
   "six requests that break HTTP, each by its section", why(got, w))
got, w = alerts(lambda: post([plain] * 6))
ok(not got, "six that do not: nothing", why(got, w))

# from a capture: echo packets that carry data, and a flood of them; ping is neither
def pcap(packets):
    out = struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 101)
    for t, src, dst, kind, data in packets:
        body = struct.pack(">BBHHH", kind, 0, 0, 7, 1) + data
        ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(body), 1, 0, 64, 1, 0, socket.inet_aton(src), socket.inet_aton(dst))
        total = sum(struct.unpack(">10H", ip))
        total = (total & 0xffff) + (total >> 16)
        ip = ip[:10] + struct.pack(">H", ~total & 0xffff) + ip[12:]
        total = sum(struct.unpack(f">{(len(body) + 1) // 2}H", body + b"\0" * (len(body) % 2)))
        while total >> 16:
            total = (total & 0xffff) + (total >> 16)
        body = body[:2] + struct.pack(">H", ~total & 0xffff) + body[4:]
        out += struct.pack("<IIII", int(t), int(t % 1 * 1e6), len(ip + body), len(ip + body)) + ip + body
    path = f"{tmp}/x.pcap"
    open(path, "wb").write(out)
    return path


def read(packets):
    return [r for r in records(weir("read", "--json", pcap(packets)).stdout) if r["kind"] == "alert"]


A, B = "10.0.0.3", "203.0.113.9"
tunnel = [p for i in range(40) for p in ((1000 + i, A, B, 8, os.urandom(80)), (1000.1 + i, B, A, 0, os.urandom(900)))]
ping = [p for i in range(40) for p in ((1000 + i, A, B, 8, bytes(1400)), (1000.1 + i, B, A, 0, bytes(1400)))]
many = [(1000 + i / 1000, f"10.0.{i % 4}.{1 + i % 200}", B, 8, bytes(56)) for i in range(6000)]
got = read(tunnel)
ok(only(got, "icmp_tunnel") and got[0]["source"] == A and get(got[0], "evidence.bytes_back") == 40 * 908, "echo packets that carry data", got)
ok(not read(ping), "ping -s 1400: nothing", lambda: read(ping))
got = read(many)
ok(only(got, "icmp_flood") and got[0]["target"] == B and got[0]["count"] >= 5000, "a flood of echo packets", got)

# who is there? a sweep by ARP, seen from the namespace of a neighbor, and in a capture of it; the twin asks those that are
cap = f"{tmp}/arp.pcap"
tcpdump = spawn(["ip", "netns", "exec", "wtb", "tcpdump", "-qi", "vwtb", "-w", cap, "-U", "arp"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
got, w = alerts(lambda: sh("ip netns exec wta nmap -n -sn -PR -T4 --max-retries 0 10.77.0.0/25 > /dev/null"), ns="wtb")
tcpdump.terminate(), tcpdump.wait()
a = one(got, "arp_scan", source="10.77.0.1")
mac = sh("ip netns exec wta cat /sys/class/net/vwta/address").strip()
# about 127: the sketch errs by 3 in one of three
ok(a and 114 <= a["count"] <= 140 and a["evidence"]["answered"] <= 9 and a["evidence"]["mac"] == mac and a["evidence"]["interface"] == "vwtb", "a sweep by ARP: who, and of how many", why(got, w))
seen = {x.split()[-1] for x in sh(f"tshark -r {cap} -Y 'arp.opcode == 1 and arp.src.proto_ipv4 == 10.77.0.1' -T fields -e arp.dst.proto_ipv4 2> /dev/null").splitlines()}
all_ = records(weir("read", "--json", cap).stdout)
mine = {get(r, "target.ip"): r for r in all_ if r["kind"] == "neighbor" and r["ip"] == "10.77.0.1"}
ok(set(mine) == seen and len(seen) > 100 and {ip for ip, r in mine.items() if r["answered"]} == {"10.77.0.2"} | {f"10.77.0.{i}" for i in range(20, 28)}, "... in a capture each of them, as tshark has them", (len(mine), len(seen)))
ok([r["source"] for r in all_ if r["kind"] == "alert"] == ["10.77.0.1"], "... and the same alert", [r for r in all_ if r["kind"] == "alert"])
sh("ip netns exec wta ip neigh flush all")
got, w = alerts(lambda: [sh(f"ip netns exec wta ping -qc1 10.77.0.{i} > /dev/null") for i in (2, *range(20, 28))], ns="wtb")
ok(not got, "asking for those that are there: nothing", why(got, w))

# a flood of ARP takes no more than its share, and each packet is told, or counted as lost
SOCK = f"{tmp}/sock"
agent = spawn(["nsenter", "--net=/run/netns/wtb", WEIR, "run", "--agent.socket", SOCK, "--store.path", "", "--api.listen", "", "--api.socket", "", "--audit.path", ""],
              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
until(lambda: os.path.exists(SOCK) and weir("ctl", "counters", "--socket", SOCK).returncode == 0, 10)
w = Weir("conns", "--json", "--socket", SOCK, ready=0.5)
with in_netns("wta"):
    raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    raw.bind(("vwta", 0x806))
me = raw.getsockname()[4]
for i in range(30000):
    raw.send(b"\xff" * 6 + me + struct.pack(">HHHBBH", 0x806, 1, 0x800, 6, 4, 1) + me + bytes([10, 77, 0, 1]) + bytes(6) + bytes([10, 78, i >> 8, i & 255]))
time.sleep(2.5)
w.end()
row = next(r for r in records(weir("doctor", "--json", "--socket", SOCK).stdout) if r.get("name") == "arp")
lost = sum(r["count"] for r in w.records if r["kind"] == "loss" and r["where"] == "arp")
ok(30000 <= row["events"] <= 30050 and lost == row["lost"] > 0 and row["completeness"] < 1, "a flood of ARP: each packet is told, or counted as lost", (row, lost))
agent.terminate(), agent.wait()
# a sweep by echo requests, of a network behind a router, in a capture of it. As the twin another address that pings hosts that are there
sh("ip -n wta route add 198.18.0.0/24 via 10.77.0.2; ip -n wtb addr add 198.18.0.7/24 dev vwtb; ip -n wta addr add 10.77.0.77/24 dev vwta")
cap = spawn(["ip", "netns", "exec", "wta", "tcpdump", "-i", "vwta", "-U", "-s", "0", "-w", f"{tmp}/sweep.pcap", "icmp"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
until(lambda: os.path.exists(f"{tmp}/sweep.pcap") and os.path.getsize(f"{tmp}/sweep.pcap") >= 24, 10)


def sweep():
    sh("for i in 2 20 21 22 23 24 25 26 27; do ip netns exec wta ping -I 10.77.0.77 -c 3 -i 0.2 -W 1 10.77.0.$i; done", False)
    sh("ip netns exec wta nmap -n -sn -PE --send-ip --disable-arp-ping -T4 --max-retries 0 198.18.0.0/25", False)


sweep()
time.sleep(0.5)
cap.terminate(), cap.wait(10)
r = [x for x in records(weir("read", f"{tmp}/sweep.pcap", "--json").stdout) if x["kind"] == "alert"]
ok([x["detector"] for x in r] == ["port_scan"] and r[0]["source"] == "10.77.0.1" and 100 <= r[0]["evidence"]["hosts"] <= 140, "a sweep by echo requests, in a capture: how many hosts, by whom; who pings hosts that answer does not sweep", [x["summary"] for x in r])
done()
