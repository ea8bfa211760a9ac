# SPDX-License-Identifier: Apache-2.0
"""Edge mode: a device behind a thin line. What it sends in any minute, by the counter of its own interface, is within the budget, whatever goes
on; the sums that arrive are what was moved; memory and CPU are small; the child that sends has no rights."""
import http.server, sys, threading
sys.path.insert(0, "tests/lib")
from world import *
import otlp

need_root()
BUDGET, PORTS, SOCK = 32768, range(20000, 20060), tempfile.mktemp(prefix="weir-edge-")
veth("wed", "weh")  # the device, the hub
got = []


class Hub(http.server.BaseHTTPRequestHandler):
    protocol_version, log_message = "HTTP/1.1", lambda *a: None

    def do_POST(self):
        got.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(200), self.send_header("Content-Length", "0"), self.end_headers()


with in_netns("weh"):
    hub = http.server.ThreadingHTTPServer(("10.77.0.2", 4318), Hub)
threading.Thread(target=hub.serve_forever, daemon=True).start()

with in_netns("wed"):
    servers = []
    for p in PORTS:
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(("127.0.0.1", p)), s.listen(16)
        servers.append(s)
    sink = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sink.bind(("127.0.0.1", 0))
moved = dict.fromkeys(PORTS, 0)  # the servers' own counts


def serve(s):
    while True:
        try:
            c, _ = s.accept()
        except OSError:
            return
        with c:
            c.settimeout(5)
            n = take(c, 4) or 4
            b = os.urandom(3000 if s.getsockname()[1] < 20030 else 100)
            c.sendall(b)
            moved[s.getsockname()[1]] += n + len(b)


for s in servers:
    threading.Thread(target=serve, args=(s,), daemon=True).start()

log = open(f"{SOCK}.err", "w+")
# not `ip netns exec`, which mounts another /sys, without the tree of cgroups
w = spawn(["nsenter", "--net=/run/netns/wed", WEIR, "run", "--edge", "otlp:http://10.77.0.2:4318", "--edge-budget", str(BUDGET), "--agent.socket", SOCK], stdout=subprocess.DEVNULL, stderr=log)
until(lambda: os.path.exists(SOCK), 10)
time.sleep(1.5)
begin = time.time()
agent = int(sh(f"pgrep -xf '{WEIR} run --edge.*{SOCK}' | head -1").split()[0])
child = int(sh(f"pgrep -P {agent}").split()[0])
conf = sh(f"{WEIR} ctl config show --socket {SOCK}")
ok(not os.path.exists("/run/weir/api.sock") and re.search(r'store:\n(.*\n)*?  path: ""', conf) and re.search(r'api:\n(.*\n)*?  listen: ""', conf), "nothing on the disk, no page", conf[:600])
status = open(f"/proc/{child}/status").read()
ok(re.search(r"CapEff:\s0{16}\n", status) and re.search(r"CapPrm:\s0{16}\n", status) and "NoNewPrivs:\t1" in status, "who sends has no rights", status)

sent = lambda: int(sh("ip netns exec wed cat /sys/class/net/vwed/statistics/tx_bytes"))
ticks = lambda: sum(int(x) for p in (agent, child) for x in open(f"/proc/{p}/stat").read().rsplit(")", 1)[1].split()[11:13])
series, stop = [], time.time() + 72


def scan(n):
    with in_netns("wed"):
        for p in range(1, 30):
            c = socket.socket()
            c.bind((f"127.0.2.{n}", 0)), c.connect_ex(("127.0.0.1", p)), c.close()


# a thousand packets a second, connections to sixty services, and a scan every four seconds: each an alert of its own
rate, quiet = 0, ticks()
with in_netns("wed"):
    u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
n = 0
while time.time() < stop:
    n += 1
    at = time.time()
    series.append((at, sent()))
    if n == 2:
        quiet = ticks()
    for i in range(500 if n < 52 else 0):  # two hooks see each
        u.sendto(b"x" * 100, sink.getsockname())
        rate += 1
        if i % 50 == 49:
            time.sleep(max(0, at + i / 520 - time.time()))
    if n == 15:
        cpu, seconds = ticks() - quiet, at - series[1][0]
    if 15 <= n < 52:  # then it is busy; at the end the window of a minute is over
        for p in PORTS:
            with in_netns("wed"):
                c = socket.create_connection(("127.0.0.1", p))
            c.sendall(b"ask!"), take(c, 3000 if p < 20030 else 100), c.close()
        if n % 4 == 1:
            scan(n)
    time.sleep(max(0, at + 1 - time.time()))
rss = {p: int(re.search(r"VmRSS:\s+(\d+)", open(f"/proc/{p}/status").read())[1]) for p in (agent, child)}
pss = {p: int(re.search(r"^Pss:\s+(\d+)", open(f"/proc/{p}/smaps_rollup").read(), re.M)[1]) for p in (agent, child)}
worst = max(b - a for t, a in series for u_, b in series if 0 < u_ - t <= 60)
share = cpu / os.sysconf("SC_CLK_TCK") / seconds
print(f"# {worst} bytes in the busiest minute of a budget of {BUDGET}; {share:.2%} of a core at 1,000 packets/s; RSS {rss[agent]} + {rss[child]} KiB, together (PSS) {sum(pss.values())} KiB")
ok(2000 < worst <= BUDGET, "no minute sends more than the budget, headers included", worst)
ok(share < 0.01, "at most 1 % of a core at 1,000 packets a second", share)
ok(rss[agent] <= 16384 and sum(pss.values()) <= 16384, "at most 16 MiB, the child included", (rss, pss))
w.send_signal(signal.SIGTERM)
w.wait(20)
ok(not os.path.exists(f"/proc/{child}"), "ended: so is the child")
logs = [r for p, b in got if p == "/v1/logs" for x in otlp.message(b, otlp.REQUESTS["Logs"])["resourceLogs"] for y in x["scopeLogs"] for r in y["logRecords"]]
attrs = [{a["key"]: next(iter(a["value"].values())) for a in r["attributes"]} for r in logs]
sums = [a for a in attrs if a["weir.kind"] == "traffic"]
alerts = [a for a in attrs if a["weir.kind"] == "alert"]
other = [a for a in sums if a.get("service.name") == "(other)"]
ok(other and len(sums) < 60, "what the budget has no room for is one sum", (len(sums), len(other)))
ok(alerts, "alerts go up, too", len(alerts))
bytes_of = lambda a: int(a.get("client.bytes", 0)) + int(a.get("server.bytes", 0))
total, named = sum(map(bytes_of, sums)), {p: sum(bytes_of(a) for a in sums if int(a.get("server.port", 0)) == p) for p in PORTS}
shown = {p for p in PORTS if named[p]}
ok(len(shown) >= 3 and all(named[p] == moved[p] for p in shown) and all(p < 20030 for p in shown), "the greatest are told by name, exactly; of the small ones none", (named, moved))
ok(0 <= total - sum(moved.values()) - 100 * rate <= series[-1][1], "all of it together is what was moved, and weir's own", (total, sum(moved.values()), 100 * rate, series[-1][1]))
for args, words in ((["--edge", "nonsense:/x"], "no exporter 'nonsense'"), (["--edge", "otlp:http://h", "--edge-budget", "1"], "edge-budget")):
    p = weir("run", *args, "--agent.socket", SOCK)
    ok(p.returncode == 2 and words in p.stderr, f"wrong: {' '.join(args)}", p.stderr)
done()
