# SPDX-License-Identifier: Apache-2.0
"""History: what was seen is there afterwards, whatever happened to the agent, the disk or the files; and can be asked."""
import shutil, sqlite3, sys, threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
sys.path.insert(0, "tests/lib")
from world import *

need_root()
tmp = tempfile.mkdtemp(prefix="weir-store-")
later(shutil.rmtree, tmp, True)
served = {"ok": 0, "bad": 0}
slow = 0
lock = threading.Lock()


class H(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 65536  # one segment an answer: two would wait for an ACK of 40 ms

    def do_GET(self):
        bad = self.path.startswith("/bad")
        with lock:
            served["bad" if bad else "ok"] += 1
        time.sleep(slow)
        self.send_response(500 if bad else 200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, *a):
        pass


httpd = ThreadingHTTPServer(("127.0.0.1", 0), H)
threading.Thread(target=httpd.serve_forever, daemon=True).start()
port = httpd.server_address[1]


def ask(n, path="/x"):
    """n requests over one connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as s:
        for i in range(n):
            s.sendall(f"GET {path}{i % 7} HTTP/1.1\r\nHost: t\r\n\r\n".encode())
            b = b""
            while not b.endswith(b"hello"):
                got = s.recv(4096)
                if not got:
                    raise EOFError
                b += got


def agent(path, *args, **kw):
    return Weir("run", "-q", "--store.path", path, "--agent.socket", f"{tmp}/sock", *args, ready=1.8, **kw)


def query(path, *args):
    """Rows, and the completeness that the last line tells."""
    r = weir("query", *args, "--store", path, "--json", "--since", "1h")
    rows = records(r.stdout)
    return [x for x in rows if x.get("name") != "completeness"], rows[-1] if rows else None, r


def counted(path):
    rows, whole, r = query(path, "request", "--show", "count,sum(error)", "-w", f"server.port = {port}")
    return (rows[0]["count"], rows[0]["sum(error)"], whole["value"]) if rows else (0, 0, None)


store = f"{tmp}/a"
w = agent(store)
begin = time.time()
for i in range(20):
    ask(25)
ask(50, "/bad")
time.sleep(2.5)
truth = (served["ok"] + served["bad"], served["bad"], 1)
ok(counted(store) == truth, "while the agent runs: every request that the server counted", lambda: f"{counted(store)} {truth}")

# one question in three forms
rows, _, r = query(store, "request", "--by", "status", "--show", "count,p50(duration_us),max(duration_us)", "-w", f"server.port = {port}")
sql = weir("query", "--store", store, "--since", "1h", "--json", "--sql",
           f"SELECT status, count(*) n, max(duration_us) m FROM request WHERE server_port = {port} GROUP BY status ORDER BY n DESC")
s = [x for x in records(sql.stdout) if x["kind"] == "row"]
raw = [x for x in records(weir("requests", "--since", "1h", "--store", store, "--json", "-w", f"server.port = {port}").stdout) if x["kind"] == "request"]
ok([(x["status"], x["count"], x["max(duration_us)"]) for x in rows] == [(x["status"], x["n"], x["m"]) for x in s] ==
   [(v, len(d), max(d)) for v, d in (("200", [x["duration_us"] for x in raw if x["status"] == "200"]),
                                     ("500", [x["duration_us"] for x in raw if x["status"] == "500"]))],
   "sums, SQL and the records themselves agree", f"{rows} {s} {sql.stderr} {len(raw)}")
d = sorted(x["duration_us"] for x in raw if x["status"] == "200")
mid = next(x for x in rows if x["status"] == "200")["p50(duration_us)"]
ok(d[(len(d) - 1) // 2] <= mid <= d[(len(d) - 1) // 2] * 1.0625 + 1, "a quantile is at most 6.3 % above the value", f"{mid} {d[len(d) // 2]}")

# traffic by second adds up to the same, and to the connections' bytes
rows, _, r = query(store, "--every", "1s", "--show", "sum(count),sum(errors),sum(bytes_to_server),sum(connections)", "-w", f"server.port = {port}")
conns = [x for x in records(weir("conns", "--since", "1h", "--store", store, "--json", "-w", f"server.port = {port}").stdout)
         if x["kind"] == "conn" and x["event"] == "close"]
ok(len(rows) >= 1 and (sum(x["sum(count)"] or 0 for x in rows), sum(x["sum(errors)"] or 0 for x in rows)) == truth[:2],
   "seconds of traffic add up to the server's count", f"{rows} {truth}")
ok(len(conns) == 21 and sum(x["sum(bytes_to_server)"] or 0 for x in rows) == sum(x["bytes_to_server"] for x in conns) and
   sum(x["sum(connections)"] or 0 for x in rows) == 21, "and to the bytes and the number of the connections",
   f"{len(conns)} {rows} {sum(x['bytes_to_server'] for x in conns)}")

# every view takes the past
f = records(weir("flows", "--by", "server.port", "--since", "1h", "--store", store, "--json", "-w", f"server.port = {port}").stdout)
ok(len(f) == 1 and f[0]["bytes_to_server"] == sum(x["bytes_to_server"] for x in conns), "flows of the past", f)
m = records(weir("map", "--since", "1h", "--store", store, "--json", "-w", f"server.port = {port}").stdout)
ok(len(m) == 1 and (m[0]["count"], m[0]["errors"]) == truth[:2], "the map of the past", m)
q = records(weir("requests", "--by", "status", "--every", "1s", "--since", "1h", "--store", store, "--json", "-w", f"server.port = {port}").stdout)
ok(sum(x["count"] for x in q) == truth[0] and all(x["from"] < x["to"] for x in q), "windows of requests of the past", q[:3])
early = weir("requests", "--until", time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(begin - 1)), "--store", store, "--json")
ok(early.returncode == 0 and not early.stdout, "before it began there is nothing", early.stdout[:200])
r = weir("latency", "--since", "1h", "--store", store)
ok(r.returncode == 3 and "history holds no latency records" in r.stderr, "what is not kept is said", f"{r.returncode} {r.stderr}")

# two times compared: alike, then a handler that is slower and fails
def stamp():
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(int(time.time()) + 1))


def wait_second():
    time.sleep(1.05 - time.time() % 1)


marks = []
for slow, path in ((0.002, "/c"), (0.002, "/c"), (0.02, "/c"), (0.002, "/c")):
    wait_second()
    marks.append(stamp())
    time.sleep(1.05)
    for i in range(4):
        ask(25, path)
    if slow > 0.01:
        ask(60, "/bad")
    wait_second()
    time.sleep(1)
    marks.append(stamp())
slow = 0
time.sleep(2.5)
spans = [f"{marks[2 * i]}..{marks[2 * i + 1]}" for i in range(4)]
only = ["--store", store, "--json", "-w", f"server.port = {port}"]
r = weir("compare", spans[0], spans[1], *only)
alike = [x for x in records(r.stdout) if x["what"] in ("p50_us", "error_share", "new", "gone")]
ok(r.returncode in (0, 1) and not alike, "two times that are alike: no change of latency or errors", f"{r.returncode} {r.stdout} {r.stderr}")
r = weir("compare", spans[1], spans[2], *only)
c = {x["what"]: x for x in records(r.stdout)}
ok(r.returncode == 1 and c.get("p50_us", {}).get("factor", 0) > 3 and c["p50_us"]["stage"] == "application", "a slower handler: found, in the application", f"{r.stdout} {r.stderr}")
ok(abs(c.get("error_share", {}).get("after", 0) - 60 / 160) < 0.01 and c["error_share"]["before"] == 0, "and its errors", r.stdout)
r = weir("compare", spans[2], spans[3], *only)
ok(any(x["what"] == "p50_us" and x["factor"] < 0.4 for x in records(r.stdout)), "the other way round: it became faster", r.stdout)
r = weir("compare", "1h", "now", "--store", store)
ok(r.returncode == 2 and "no time from .. to" in r.stderr, "a wrong time", f"{r.returncode} {r.stderr}")
truth = (served["ok"] + served["bad"], served["bad"], 1)

# a second agent leaves the first one's history alone
v = Weir("run", "-q", "--store.path", store, "--agent.socket", f"{tmp}/sock2", ready=1.5)
v.end()
ok(v.rc == 0 and "another agent keeps its history" in v.err, "two agents, one folder: told, and both run", f"{v.rc} {v.err}")

# killed: what was there two seconds ago is there, and the next agent goes on
before = counted(store)
w.end(sig=signal.SIGKILL)
ok(counted(store) == before, "kill -9: what was kept is there", lambda: f"{counted(store)} {before}")


def sound(path):
    c = sqlite3.connect(path)
    said = c.execute("PRAGMA integrity_check").fetchall()
    c.close()
    return said == [("ok",)]


ok(all(sound(f"{store}/{x}") for x in os.listdir(store) if x.endswith(".db")), "and the files are sound", os.listdir(store))
w = agent(store)
ask(30)
time.sleep(2.5)
w.end()
ok(counted(store) == (truth[0] + 30, truth[1], 1), "the next agent adds to it", lambda: f"{counted(store)} {truth}")

# damaged files are put aside, the rest is told to be incomplete
for x in os.listdir(store):
    if x.startswith("raw") and x.endswith(".db"):
        with open(f"{store}/{x}", "r+b") as fh:
            fh.write(os.urandom(4096))
rows, whole, r = query(store, "request")
ok(r.returncode == 0 and whole["labels"]["damaged"] >= 1, "a reader of a damaged file says so", f"{whole} {r.stderr}")
w = agent(store)
ask(10)
time.sleep(2.5)
w.end()
ok(w.rc == 0 and "is put aside" in w.err and any(x.endswith(".damaged") for x in os.listdir(store)) and counted(store)[0] == 10,
   "the agent puts it aside and goes on", lambda: f"{w.err} {os.listdir(store)} {counted(store)}")

# a disk that is full, and has room again
small = f"{tmp}/small"
os.mkdir(small)
sh(f"mount -t tmpfs -o size=6m tmpfs {small}")
later(sh, f"umount -l {small}", False)
served["ok"] = served["bad"] = 0
w = agent(f"{small}/s")
ask(20)
time.sleep(2)
had = counted(f"{small}/s")[0]
fh = os.open(f"{small}/fill", os.O_CREAT | os.O_WRONLY)
try:
    while True:
        os.write(fh, bytes(4096))
except OSError:
    os.close(fh)
for i in range(12):
    ask(300, "/" + "y" * 60 + str(i))
    time.sleep(0.3)
ok(w.p.poll() is None, "a full disk: the agent runs on")
os.unlink(f"{small}/fill")
time.sleep(1.5)
ask(20)
time.sleep(2.5)
n, _, share = counted(f"{small}/s")
counters = {x["name"]: x["value"] for x in records(weir("ctl", "counters", "--json", "--socket", f"{tmp}/sock").stdout) if x["kind"] == "metric"}
w.end()
ok(had == 20 and "no room" in w.err and n >= 40, "what it could not keep is told; with room again it keeps", f"{had} {n} {share} {w.err[-300:]}")
ok(counters["store.in"] == counters["store.kept"] + counters["store.dropped"] or
   abs(counters["store.in"] - counters["store.kept"] - counters["store.dropped"]) < 500, "in == kept + dropped + under way", counters)
lost = sum(x["count"] for x in query(f"{small}/s", "loss")[0])
ok(n == served["ok"] or (share < 1 and lost > 0), "all is there, or the answer says that it is not complete", f"{n} {served} {share} {lost}")

# wrong use
for args, rc, words in ((["query", "nosuch"], 2, "history holds no 'nosuch'"), (["query", "request", "--by", "sevrer.port"], 2, "did you mean 'server.port'"),
                        (["query", "--show", "p99(protocol)"], 2, "is no number"), (["query", "--show", "frob(count)"], 2, "is no function"),
                        (["query", "--since", "soon"], 2, "is no time"), (["query", "--sql", "DELETE FROM request"], 2, "may not be modified"),
                        (["query", "--sql", "SELECT load_extension('x')"], 2, "not authorized"), (["query", "--sql", "SELECT 1; SELECT 2"], 2, "one statement"),
                        (["query", "--sql", "ATTACH '/etc/passwd' AS x"], 2, "only statements that read")):
    r = weir(*args, "--store", store)
    ok(r.returncode == rc and words in r.stderr, f"{' '.join(args)}", f"{r.returncode} {r.stderr}")
r = weir("query", "--store", f"{tmp}/none")
ok(r.returncode == 3 and "there is no history" in r.stderr and "`weir run` keeps one" in r.stderr, "no store: said, with what makes one", r.stderr)
r = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", WEIR, "query", "--store", store], capture_output=True, text=True)
ok(r.returncode == 3 and "root" in r.stderr, "not root: said", f"{r.returncode} {r.stderr}")
r = weir("query", "--store", store, "--since", "1h", "--csv", "--by", "server.service")
ok(r.stdout.startswith("server.service,sum(bytes_to_server)") and len(r.stdout.splitlines()) >= 2, "CSV", r.stdout[:200])
done()
