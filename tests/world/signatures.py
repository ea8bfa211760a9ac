# SPDX-License-Identifier: Apache-2.0
"""Signatures against real servers: nginx in clear and behind TLS, dnsmasq, a line server, datagrams. nginx's own log and a matcher of
this test's own over what tcpdump saw are the truth; the same rules on that capture find the same. Then good traffic, a reload
while it runs, files that are wrong, a client that cuts its words up, and answers."""
import collections, random, shutil, subprocess, sys, threading
sys.path.insert(0, "tests/lib")
from world import *

need_root()
veth("wia", "wib")
tmp = tempfile.mkdtemp(prefix="weir-signatures-")
os.chmod(tmp, 0o755)
later(lambda: shutil.rmtree(tmp, True))
SOCK = f"{tmp}/sock"
RULES = f"{tmp}/test.rules"
SERVER = "10.77.0.2"

FIRST = """# what this test looks for
ipvar SERVER 10.77.0.2
alert http any any -> $SERVER any (msg:"passwd in a URI"; flow:established,to_server; http.uri; content:"/etc/passwd"; classtype:web-application-attack; metadata:mitre_technique_id T1083, created_at 2026; reference:url,example.org/1; sid:1001; rev:3;)
alert http any any -> any any (msg:"a scanner"; flow:to_server; http.user_agent; content:"sqlmap"; nocase; classtype:attempted-recon; sid:1002;)
alert http any any -> any any (msg:"not found"; flow:to_client; http.stat_code; content:"404"; threshold:type threshold, track by_dst, count 5, seconds 60; sid:1003;)
alert dns any any -> any any (msg:"a bad name"; dns.query; content:".evil.example"; endswith; nocase; classtype:trojan-activity; sid:1004;)
alert tcp any any -> any 7001 (msg:"a shell"; flow:to_server; content:"exec "; startswith; pcre:"/^\\/bin\\/(ba)?sh\\b/R"; sid:1005;)
alert tcp any any -> any 7002 (msg:"elsewhere"; content:"exec "; sid:1006;)
alert udp any any -> any 7003 (msg:"a beacon"; dsize:12; content:"|de ad be ef|"; depth:4; sid:1007;)
alert tcp any any -> any any (msg:"asks, then gets"; flow:to_server; content:"please"; flowbits:set,asked; flowbits:noalert; sid:1008;)
alert tcp any any -> any any (msg:"gets what it asked for"; flow:to_client; content:"granted"; flowbits:isset,asked; sid:1009;)
alert http any any -> any any (msg:"not known here"; lua:x.lua; sid:1010;)
"""
open(RULES, "w").write(FIRST)
open(f"{tmp}/weir.yaml", "w").write(f"detect:\n  signatures: {RULES}\n")

# servers
sh(f"openssl req -x509 -newkey rsa:2048 -nodes -keyout {tmp}/key -out {tmp}/crt -days 2 -subj /CN=shop.example 2>&1", False)
os.mkdir(f"{tmp}/www"), open(f"{tmp}/www/index.html", "w").write("hello\n")
open(f"{tmp}/nginx.conf", "w").write(f"""
daemon off; pid {tmp}/nginx.pid; error_log {tmp}/nginx.err; user root; worker_processes 1;
events {{ worker_connections 256; }}
http {{ access_log {tmp}/access.log; keepalive_requests 10000;
  server {{ listen {SERVER}:80; root {tmp}/www; }}
  server {{ listen {SERVER}:443 ssl; ssl_certificate {tmp}/crt; ssl_certificate_key {tmp}/key; root {tmp}/www; }} }}
""")
spawn(["ip", "netns", "exec", "wib", "nginx", "-c", f"{tmp}/nginx.conf"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
spawn(["ip", "netns", "exec", "wib", "dnsmasq", "-k", "-p", "53", "--no-hosts", "--no-resolv", "--address=/example/192.0.2.7", f"--pid-file={tmp}/dns.pid"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def lines(port):
    """Answers each line; "please" is granted."""
    with in_netns("wib"):
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind((SERVER, port)), s.listen(64)

    def one(c):
        with c:
            f = c.makefile("rb")
            for l in f:
                c.sendall(b"granted\n" if b"please" in l or b"give" in l else b"ok\n")

    def run():
        while True:
            c, _ = s.accept()
            threading.Thread(target=one, args=(c,), daemon=True).start()
    threading.Thread(target=run, daemon=True).start()


lines(7001), lines(7004)
with in_netns("wib"):
    u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    u.bind((SERVER, 7003))
    threading.Thread(target=lambda: [u.sendto(b"ok", u.recvfrom(2000)[1]) for _ in range(10000)], daemon=True).start()
until(lambda: os.path.exists(f"{tmp}/nginx.pid"), 10)

agent = spawn([WEIR, "run", "--config", f"{tmp}/weir.yaml", "--agent.socket", SOCK, "--store.path", f"{tmp}/store", "--api.listen", "", "--api.socket", "", "--audit.path", ""],
              stdout=subprocess.DEVNULL, stderr=open(f"{tmp}/err", "w"))
until(lambda: os.path.exists(SOCK) and weir("ctl", "counters", "--socket", SOCK).returncode == 0, 15)
time.sleep(1)


def curl(*args):
    return sh("ip netns exec wia curl -s -o /dev/null --max-time 5 " + " ".join(args), False)


def talk(port, *parts, pause=0.0):
    """One connection; waits for an answer to each line."""
    with in_netns("wia"):
        s = socket.create_connection((SERVER, port), timeout=5)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    got = b""
    for p in parts:
        s.sendall(p)
        if p.endswith(b"\n"):
            got += s.recv(100)
        elif pause:
            time.sleep(pause)
    s.close()
    return got


def dgram(data):
    with in_netns("wia"):
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.settimeout(2), s.sendto(data, (SERVER, 7003))
    try:
        s.recv(100)
    except OSError:
        pass
    s.close()


def watch(work, wait=1.5):
    """Alerts while this goes on; then the matches that the history has of it."""
    begin = time.time()
    w = Weir("alerts", "--json", "--socket", SOCK, ready=0.5)
    work()
    time.sleep(wait + 1)
    w.end()
    r = weir("query", "match", "--json", "--since", f"{int(time.time() - begin) + 2}s", "--store", f"{tmp}/store")
    found = [json.loads(l) for l in r.stdout.splitlines() if l.startswith("{")]
    found = [m for m in found if m["kind"] == "match" and stamp(m["time"]) >= begin - 0.2]
    return [a for a in w.records if a["kind"] == "alert" and a["detector"] == "signature"], found


def stamp(t):
    import datetime
    return datetime.datetime.fromisoformat(t[:26].rstrip("Z") + "+00:00").timestamp()


def sids(found):
    return dict(collections.Counter(m["sid"] for m in found))


random.seed(7)
BAD, GOOD, CUT = 12, 40, 5
expect = collections.Counter()


def attack():
    urls = [f"http://{SERVER}/{i}/..%2fetc%2fpasswd" if i % 2 else f"http://{SERVER}/{i}/etc/passwd?x=%41" for i in range(BAD)]
    curl("--path-as-is", *urls)  # one connection: each request for itself
    expect[1001] += BAD
    expect[1003] += BAD // 5  # every fifth 404 of one client
    curl("-k", "-A", "SQLMap/1.7", f"https://{SERVER}/")
    curl("-A", "sqlmap", f"http://{SERVER}/")
    expect[1002] += 2
    for n in ("a.evil.example", "B.EVIL.example", "evil.example.org", "evil.example", "good.example"):
        sh(f"ip netns exec wia dig +tries=1 +time=2 @{SERVER} {n} A", False)
    expect[1004] += 2
    talk(7001, b"exec /bin/sh -c id\n", b"exec /bin/bash\n", b"exec /bin/show\n", b"run exec /bin/sh\n", b"exec /bin/sh\n")
    expect[1005] += 3
    for d in (b"\xde\xad\xbe\xef12345678", b"\xde\xad\xbe\xef1234567", b"1\xde\xad\xbe\xef1234567"):
        dgram(d)
    expect[1007] += 1
    talk(7004, b"hello\n", b"please\n", b"give\n"), talk(7004, b"give\n")
    expect[1009] += 2


def cut_up():
    """The same words a byte at a time, and over an answer between."""
    with in_netns("wia"):
        for _ in range(CUT):
            s = socket.create_connection((SERVER, 80), timeout=5)
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            text = b"GET /x/%65tc/p%61sswd HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
            while text:
                k = random.randrange(1, 4)
                s.sendall(text[:k])
                text = text[k:]
                time.sleep(0.002)
            s.recv(1000), s.close()
    expect[1001] += CUT
    expect[1003] += (BAD + CUT) // 5 - BAD // 5
    talk(7001, b"ex", b"ec /b", b"in/", b"sh\n", pause=0.03)
    expect[1005] += 1


# live, with a capture of the same traffic
cap = spawn(["ip", "netns", "exec", "wib", "tcpdump", "-i", "vwib", "-U", "-s", "0", "-w", f"{tmp}/x.pcap", "port not 22"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
until(lambda: os.path.exists(f"{tmp}/x.pcap") and os.path.getsize(f"{tmp}/x.pcap") >= 24, 10)
time.sleep(0.3)
alerts, found = watch(lambda: (attack(), cut_up()))
time.sleep(0.5)
cap.terminate(), cap.wait(10)
ok(sids(found) == dict(expect), "each signature matches as often as it was sent: URIs (decoded), inside TLS, answers with a threshold, names, lines, a datagram, bits of a flow; also cut up", (sids(found), dict(expect), open(f"{tmp}/err").read()[-300:]))

log = open(f"{tmp}/access.log").read().splitlines()
import re, urllib.parse
truth = sum("/etc/passwd" in urllib.parse.unquote(re.search(r'"(?:GET) (\S+)', l)[1]) for l in log)
ok(truth == sids(found).get(1001), "... of those with that URI as many as nginx has in its log", (truth, sids(found)))
agents = sum("sqlmap" in l.lower() for l in log)
ok(agents == sids(found).get(1002) == 2, "... and of that user agent, in clear and behind TLS", (agents, sids(found)))

by = collections.defaultdict(set)
for a in alerts:
    by[get(a, "evidence.sid") if not isinstance(a["evidence"], str) else json.loads(a["evidence"])["sid"]].add(a["id"])
ok({k: len(v) for k, v in by.items()} == {k: 2 if k == 1002 else 1 for k in expect}, "one alert for each signature and target, however often it matches", {k: len(v) for k, v in by.items()})
a = [x for x in alerts if "1001" in x["summary"]][-1]
ok(a["source"] == "10.77.0.1" and a["target"].startswith(f"{SERVER}:80") and a["severity"] == "high" and BAD <= a["count"] <= BAD + CUT and "passwd in a URI" in a["summary"],
   "... which says who, whom, how often, what, how serious", a)
r = weir("alerts", "explain", a["id"], "--store", f"{tmp}/store", "--socket", SOCK)
ok("match records behind it:" in r.stdout and '"sid":1001' in r.stdout and "http" in r.stdout and "request records behind it:" in r.stdout and "/etc/passwd" in r.stdout, "explained with the matches and requests behind it", r.stdout[-900:] + r.stderr)
m = [x for x in found if x["sid"] == 1001][0]
ok(get(m, "sender") == "client" and m["rev"] == 3 and m["class"] == "web-application-attack" and m["technique"] == "T1083" and m["reference"] == "url,example.org/1" and m["protocol"] == "http" and "curl" in json.dumps(m),
   "a match has the rule's words, the sender, the process", m)

# the same rules on the capture. What is inside TLS is not in it.
r = weir("read", f"{tmp}/x.pcap", "--json", "--signatures", RULES)
seen = collections.Counter(x["sid"] for l in r.stdout.splitlines() for x in [json.loads(l)] if x["kind"] == "match")
want = dict(expect)
want[1002] -= 1
ok(dict(seen) == want, "the capture of it gives the same, but for what is inside TLS", (dict(seen), want, r.stderr[-300:]))
ok(not any(w in json.dumps([x for x in map(json.loads, r.stdout.splitlines()) if x["kind"] == "match"]) for w in ("/etc/passwd", "/bin/sh", "sqlmap")), "no payload is in a match")
r = weir("read", f"{tmp}/x.pcap", "--kind", "alert", "-w", "detector = signature", "--signatures", RULES)
ok(r.returncode == 1 and r.stdout.startswith("TIME") and "signature 1001 looks for" in r.stdout and len(r.stdout.splitlines()) == 1 + len(expect), "as a table for people, status 1", r.stdout + r.stderr)


# a matcher of its own: tshark puts streams together, Python looks
def streams():
    out = sh(f"tshark -r {tmp}/x.pcap -Y 'tcp.len > 0 && tcp.dstport == 7001' -T fields -e tcp.stream -e tcp.payload 2>/dev/null", False)
    s = collections.defaultdict(bytes)
    for l in out.splitlines():
        n, p = l.split("\t")
        s[n] += bytes.fromhex(p.replace(":", ""))
    return s.values()


shells = sum(len(re.findall(rb"^exec /bin/(?:ba)?sh\b", s, re.M)) for s in streams())
ok(shells == expect[1005], "a matcher of this test's own over what tshark put together finds as many", (shells, expect[1005]))


# good traffic
def good():
    curl(*[f"http://{SERVER}/?q={random.randrange(10 ** 9)}" for _ in range(GOOD)])
    curl("-k", f"https://{SERVER}/")
    sh(f"ip netns exec wia dig +tries=1 +time=2 @{SERVER} www.example A", False)
    talk(7001, *[b"hello %d\n" % i for i in range(20)])
    dgram(b"a" * 12)


alerts, found = watch(good)
ok(not alerts and not found, "good traffic: nothing", [(x["sid"], x["message"]) for x in found])

# what is in force, and what is not
r = weir("alerts", "--check-rules", RULES)
ok(r.returncode == 1 and f"{RULES}:12: sid 1010: not known here: the word lua" in r.stdout and "9 rules can be used, 1 cannot" in r.stdout, "--check-rules tells which rule cannot be used, where, why", r.stdout + r.stderr)
r = weir("doctor", "--json", "--socket", SOCK)
row = [x for x in map(json.loads, r.stdout.splitlines()) if x.get("name") == "signatures"]
ok(row and row[0]["state"] == "active" and row[0]["help"] == "9 rules in force, 1 that cannot be used" and row[0]["events"] >= sum(expect.values()), "doctor has a row of them", row or r.stdout[-600:])
ok("1 of 10 signatures cannot be used" in open(f"{tmp}/err").read(), "the agent's log says so", open(f"{tmp}/err").read()[-300:])

# new rules while it runs, in connections that are open
with in_netns("wia"):
    s = socket.create_connection((SERVER, 7001), timeout=5)
s.sendall(b"brand new\n"), s.recv(100)
open(RULES, "w").write(FIRST + 'alert tcp any any -> any 7001 (msg:"new"; content:"brand new"; sid:1020;)\n')
r = weir("ctl", "reload", "--socket", SOCK)
alerts, found = watch(lambda: (s.sendall(b"brand new\n"), s.recv(100), talk(7001, b"exec /bin/sh\n")))
ok(r.returncode == 0 and sids(found) == {1020: 1, 1005: 1}, "a reload: the new rule is in force, also for open connections, and the old ones stay", (sids(found), r.stdout, r.stderr))
for text, said in ((b"alert tcp any any -> any any (content:\"x\n", "test.rules:1: not a rule"), (b"\x00\x01\x02", "test.rules:1: not text"), (b"x" * 100000, "a rule of more than 16384 bytes")):
    open(RULES, "wb").write(text)
    r = weir("ctl", "reload", "--socket", SOCK)
    ok(r.returncode != 0 and said in r.stderr + r.stdout, f"a file that is none is told: {said}", r.stdout + r.stderr)
alerts, found = watch(lambda: (s.sendall(b"brand new\n"), s.recv(100)))
ok(sids(found) == {1020: 1}, "... and the rules before it stay in force", sids(found))
os.unlink(RULES)
r = weir("ctl", "reload", "--socket", SOCK)
ok(r.returncode != 0 and "cannot open" in r.stderr + r.stdout, "a file that is gone is told", r.stdout + r.stderr)
s.close()

# ten thousand rules, by which nothing of this is found
with open(RULES, "w") as f:
    for i in range(10000):
        f.write(f'alert tcp any any -> any any (msg:"r{i}"; content:"{random.getrandbits(60):x}"; content:"{i}"; distance:0; sid:{i + 1};)\n')
    f.write('alert tcp any any -> any 7001 (msg:"new"; content:"brand new"; sid:20000;)\n')
t = time.time()
r = weir("ctl", "reload", "--socket", SOCK)
took = time.time() - t
alerts, found = watch(lambda: (good(), talk(7001, b"brand new\n")))
ok(r.returncode == 0 and took < 5 and sids(found) == {20000: 1}, f"10,001 rules: in force after {took:.1f} s, each found", (sids(found), took, r.stderr))
agent.terminate()
ok(agent.wait(20) == 0, "the agent ends")
done()
