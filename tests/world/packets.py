# SPDX-License-Identifier: Apache-2.0
"""The packets that led to an alert: kept before anybody knew, against tcpdump; only those of its address, each once; by HTTP for
those who may see payload."""
import http.client, shutil, stat, sys, threading, urllib.parse
sys.path.insert(0, "tests/lib")
from world import *

need_root()
veth("wpka", "wpkb")
sh("ip -n wpka addr add 10.77.0.9/24 dev vwpka")
tmp = tempfile.mkdtemp(prefix="weir-packets-")
later(lambda: shutil.rmtree(tmp, True))
SOCK = f"{tmp}/sock"
with in_netns("wpkb"):
    ls = socket.create_server(("10.77.0.2", 8080), backlog=64)


def serve():
    while True:
        c = ls.accept()[0]
        c.recv(1000), c.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"), c.close()


threading.Thread(target=serve, daemon=True).start()
PORT = free_port()


def agent(*args):
    p = spawn(["nsenter", "--net=/run/netns/wpkb", WEIR, "run", "-q", "--agent.socket", SOCK, "--store.path", f"{tmp}/store", "--audit.path", "", "--api.listen", "", "--api.socket", f"{tmp}/api",
               "--api.tokens", f"{tmp}/tokens", *args], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    ok(until(lambda: weir("ctl", "counters", "--socket", SOCK).returncode == 0, 10), "an agent in the namespace")
    return p


def ask(source, path):
    with in_netns("wpka"):
        c = socket.socket()
    with c:
        c.settimeout(3), c.bind((source, 0)), c.connect(("10.77.0.2", 8080))
        c.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        while c.recv(1000):
            pass


def scan(source, ports="1-200"):
    sh(f"nsenter --net=/run/netns/wpka nmap -n -Pn -sS -S {source} -e vwpka -T4 --max-retries 0 -p{ports} 10.77.0.2", False)


def packets(file, what="ip"):
    """Each as what makes it one: addresses, ports, IP id, sequence, flags, length; with the bytes and the comment."""
    out = sh(f"tshark -r {file} -Y '{what}' -T fields -e ip.src -e ip.dst -e tcp.srcport -e tcp.dstport -e ip.id -e tcp.seq_raw -e tcp.flags -e ip.len -e frame.comment -E separator='|' 2>/dev/null", False)
    return [tuple(x.split("|")) for x in out.splitlines()]


def alerts():
    return [r for r in w.so_far() if r.get("detector") == "port_scan"]


p = agent("--alerts.packets", "4M")
w = Weir("alerts", "--json", "--socket", SOCK, ready=0.5)
tcpdump = spawn(["nsenter", "--net=/run/netns/wpkb", "tcpdump", "-i", "vwpkb", "-w", f"{tmp}/truth.pcap", "-s", "208", "-U", "ip"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
time.sleep(1)
ask("10.77.0.1", "/before-it")
for i in range(20):
    ask("10.77.0.9", "/other")
scan("10.77.0.1")
ok(until(alerts, 10), "a scan is seen", w.so_far())
time.sleep(1)
tcpdump.terminate(), tcpdump.wait()
a = alerts()[0]
file = a.get("packets", "")
ok(file == f"{tmp}/store/evidence/{a['id']}.pcapng" and os.path.exists(file), "the alert names the file of its packets", a)
ok(stat.S_IMODE(os.stat(file).st_mode) == 0o600, "... that only root can read")
got, truth = packets(file), [x for x in packets(f"{tmp}/truth.pcap") if "10.77.0.1" in x[:2]]
ids = {x[:8] for x in got}
ok(len(got) > 60 and len(ids) == len(got), "each packet once, though it passed two interfaces", (len(got), len(ids)))
ok(ids <= {x[:8] for x in truth}, "none that tcpdump did not see, and none of another address", sorted(ids - {x[:8] for x in truth})[:3])
upto = [x[:8] for x in truth]
last = max(upto.index(x) for x in ids) if ids else 0
missing = [x for x in upto[:last + 1] if x not in ids]
ok(not missing, "all of them up to the alert, beginning before the scan", (len(upto), last, missing[:3]))
http_ = sh(f"tshark -r {file} -Y http.request -T fields -e http.request.uri 2>/dev/null", False).split()
ok(http_ == ["/before-it"], "... with what was said: the request from before it", http_)
ok(all(re.match(r"before, (in|out), interface vwpk[ab], netns \d+$", x[8]) for x in got), "... each says where it was seen", got[:2])

# by HTTP
p.terminate(), p.wait()
w.end()
p = agent("--alerts.packets", "64K", "--api.listen", f"127.0.0.1:{PORT}", "--guard.respond", "port_scan=capture:2s", "--guard.dry_run=false")
tokens = dict(x.split() for x in open(f"{tmp}/tokens"))
ok(sorted(tokens) == ["control", "payload", "read"] and len({*tokens.values()}) == 3, "a token to see payload, beside the others", sorted(tokens))


def get_file(id, right):
    with in_netns("wpkb"):
        c = http.client.HTTPConnection("127.0.0.1", PORT, timeout=5)
        c.connect()
    c.request("GET", f"/api/v1/packets/{id}", headers={"Authorization": f"Bearer {tokens[right]}"} if right else {})
    r = c.getresponse()
    return r.status, r.read()


sh("ip -n wpkb link set lo up", False)
ok([get_file(a["id"], r)[0] for r in (None, "read", "payload", "control")] == [401, 401, 200, 200], "the file by HTTP: not with the token to read")
ok(get_file(a["id"], "payload")[1] == open(file, "rb").read(), "... byte by byte")
open(f"{tmp}/store/evidence/secret", "w").write("x")
bad = {x: get_file(x, "payload")[0] for x in ("0123456789abcdef", "../evidence/secret", "..%2fsecret", "secret", "", "a" * 40)}
ok({*bad.values()} == {404}, "what is none is not found, wherever it lies", bad)

# little room: the last ones; and behind them those that follow
w = Weir("alerts", "--json", "--socket", SOCK, ready=0.5)
for i in range(60):
    ask("10.77.0.9", "/many")
scan("10.77.0.9", "1-120")
ok(until(alerts, 10), "another scan is seen", w.so_far())
time.sleep(0.5)
ask("10.77.0.9", "/after")
time.sleep(3)
a = alerts()[0]
got = packets(f"{tmp}/store/evidence/{a['id']}.pcapng")
before = [x for x in got if x[8].startswith("before")]
ok(20 < len(before) <= 256 and len({x[:8] for x in before}) == len(before), "64 KiB are 256 packets at most, the last ones", (len(before), len(got)))
ok(any("python3[" in x[8] and not x[8].startswith("before") for x in got), "with capture: those that follow are behind them, with their process", [x[8] for x in got[-3:]])
kept = sorted(os.listdir(f"{tmp}/store/evidence"))

# a capture by HTTP: as it comes, by filter, with owners; one at a time, no longer than somebody listens
def capture(where, time, right="payload"):
    with in_netns("wpkb"):
        c = http.client.HTTPConnection("127.0.0.1", PORT, timeout=20)
        c.connect()
    c.request("POST", "/api/v1/capture?" + urllib.parse.urlencode({"for": time, **({"where": where} if where else {})}), headers={"Authorization": f"Bearer {tokens[right]}"})
    return c, c.getresponse()


said = [(r.status, json.loads(r.read())["error"]) for r in (capture("port 8080", "1s", "read")[1], capture("prot 1", "1s")[1], capture("port 8080", "6m")[1], capture("port 8080", "soon")[1])]
ok([x[0] for x in said] == [401, 400, 400, 400] and "see payload" in said[0][1] and "5 minutes" in said[2][1], "capture: not with the token to read; wrong filters and times are told", said)
c, r = capture("port 8080 and host 10.77.0.1", "3s")
time.sleep(0.5)
busy = capture("port 8080", "1s")[1]
ok(busy.status == 400 and "somebody else" in json.loads(busy.read())["error"], "... one at a time")
for i in range(5):
    ask("10.77.0.1", f"/c{i}"), ask("10.77.0.9", "/not")
t0 = time.time()
open(f"{tmp}/c.pcapng", "wb").write(r.read())
ok(1 < time.time() - t0 < 7, "... it ends by itself", time.time() - t0)
rows = packets(f"{tmp}/c.pcapng")
said = sh(f"tshark -r {tmp}/c.pcapng -Y http.request -T fields -e http.request.uri 2>/dev/null", False).split()
ok(said == [f"/c{i}" for i in range(5)] and {x for r in rows for x in r[:2]} == {"10.77.0.1", "10.77.0.2"} and sum(x[6] in ("0x0002", "0x00000002") for x in rows) == 10 and
   all(re.match(r"(in|out) ", x[8]) for x in rows) and any("python3[" in x[8] for x in rows), "... what was asked for at both ends, whole, with its process", (said, rows[:2]))
c, r = capture("", "4s")
for i in range(5):
    ask("10.77.0.1", "/all"), time.sleep(0.5)
me = c.sock.getsockname()[1]
open(f"{tmp}/all.pcapng", "wb").write(r.read())
rows = packets(f"{tmp}/all.pcapng", "tcp")
ok(rows and not [x for x in rows if str(me) in x[2:4]] and any(x[3] == "8080" for x in rows), "... all of it is all but the way that it comes by", (me, len(rows)))
c, r = capture("port 8080", "1m")
time.sleep(0.3)
c.sock.shutdown(socket.SHUT_RDWR), c.close(), r.close()
ok(until(lambda: (x := capture("port 8080", "100ms")[1]).status == 200 and x.read(), 6), "... who goes away makes room for the next")
ok(sorted(os.listdir(f"{tmp}/store/evidence")) == kept, "... and nothing of it stays on the disk", os.listdir(f"{tmp}/store/evidence"))
w.end()
p.kill(), p.wait()
time.sleep(0.3)
ok("recent_in" not in sh("bpftool prog show"), "kill -9 leaves nothing of it")

# not asked for: nothing is kept
p = agent()
w = Weir("alerts", "--json", "--socket", SOCK, ready=0.5)
scan("10.77.0.1")
ok(until(alerts, 10) and "packets" not in alerts()[0], "alerts.packets is off: no packets", alerts()[:1])
ok("recent" in (d := weir("doctor", "--socket", SOCK).stdout) and re.search(r"recent\s+off", d), "... and no sensor", d[:1500])
w.end()
p.terminate(), p.wait()
done()
