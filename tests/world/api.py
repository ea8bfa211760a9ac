# SPDX-License-Identifier: Apache-2.0
"""The HTTP API: the same numbers as the server's, rights, hostile clients, live records, its own description."""
import http.client, random, shutil, sys, threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
sys.path.insert(0, "tests/lib")
from world import *

need_root()
tmp = tempfile.mkdtemp(prefix="weir-api-")
later(shutil.rmtree, tmp, True)
served = {"/a": 0, "/bad": 0}
lock = threading.Lock()


class H(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 65536

    def do_GET(self):
        with lock:
            served[self.path] += 1
        self.send_response(500 if self.path == "/bad" else 200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, *a):
        pass


httpd = ThreadingHTTPServer(("127.0.0.1", 0), H)
threading.Thread(target=httpd.serve_forever, daemon=True).start()
port = httpd.server_address[1]
api = free_port()
w = Weir("run", "--store.path", f"{tmp}/s", "--agent.socket", f"{tmp}/sock", "--api.listen", f"127.0.0.1:{api}", "--api.socket", f"{tmp}/api",
         "--api.tokens", f"{tmp}/tokens", ready=2)
tokens = dict(l.split() for l in open(f"{tmp}/tokens"))
ok(os.stat(f"{tmp}/tokens").st_mode & 0o777 == 0o600 and len(tokens["read"]) == 48 and tokens["read"] != tokens["control"], "tokens: one to read, one to control, for root only", tokens)


def load(n, path):
    with socket.create_connection(("127.0.0.1", port), timeout=20) as s:
        for _ in range(n):
            s.sendall(f"GET {path} HTTP/1.1\r\nHost: t\r\n\r\n".encode())
            b = b""
            while not b.endswith(b"hello"):
                got = s.recv(4096)
                if not got:
                    raise EOFError
                b += got


def ask(path, token="read", method="GET", headers=None, body=None):
    """Status, headers, text."""
    c = http.client.HTTPConnection("127.0.0.1", api, timeout=30)
    h = dict({"Authorization": f"Bearer {tokens[token]}"} if token else {}, **(headers or {}))
    c.request(method, path, body=body, headers=h)
    r = c.getresponse()
    t = r.read().decode(errors="replace")
    c.close()
    return r.status, dict(r.getheaders()), t


def get_json(path, **kw):
    s, _, t = ask(path, **kw)
    return json.loads(t) if s == 200 else {"status": s, "text": t}


for i in range(8):
    load(30, "/a")
load(20, "/bad")
time.sleep(2.5)
me = f"server.port%20%3D%20{port}"
r = get_json(f"/api/v1/query?kind=request&where={me}&by=resource&show=count,sum(error)")
ok({tuple(x) for x in r.get("rows", [])} == {("/a", served["/a"], 0), ("/bad", served["/bad"], 20)} and r["completeness"]["share"] == 1,
   "a table: the server's own count", r)
r = get_json(f"/api/v1/query?where={me}&every=1s&show=sum(count),sum(errors)")
ok([sum(x[i] or 0 for x in r["rows"]) for i in (1, 2)] == [260, 20] and r["columns"][0] == "time", "traffic by second", r)
s, h, t = ask(f"/api/v1/query?kind=request&where={me}&by=resource&format=csv")
ok(s == 200 and h["Content-Type"] == "text/csv" and t.startswith('"resource","count"'), "as CSV", t[:200])
sql = f"SELECT%20status,count(*)%20FROM%20request%20WHERE%20server_port={port}%20GROUP%20BY%201%20ORDER%20BY%201"
r = get_json(f"/api/v1/query?sql={sql}")
ok(r.get("rows") == [["200", 240], ["500", 20]], "SQL", r)

# every record once, over pages of any size, newest first
for limit in (7, 100, 1000):
    seen, cur, pages = [], "", 0
    while pages < 100:
        r = get_json(f"/api/v1/records/request?where={me}&limit={limit}" + (f"&cursor={cur}" if cur else ""))
        seen += r["records"]
        pages += 1
        cur = r["next"]
        if not cur:
            break
    times = [x["time"] for x in seen]
    ok(len(seen) == 260 and times == sorted(times, reverse=True) and len({(x["time"], x["conn"]) for x in seen}) == 260,
       f"pages of {limit}: each record once, the newest first", f"{len(seen)} in {pages} pages")

# a method that is not there: those that are, are told (RFC 9110 15.5.6)
allow = {(p, m): (lambda r: (r[0], r[1].get("Allow")))(ask(p, method=m)) for p, m in (("/api/v1/control", "GET"), ("/api/v1/status", "DELETE"), ("/api/v1/status", "TRACE"))}
ok(allow == {("/api/v1/control", "GET"): (405, "POST"), ("/api/v1/status", "DELETE"): (405, "GET, HEAD"), ("/api/v1/status", "TRACE"): (405, "GET, HEAD")}, "a wrong method: the right ones are told", allow)

# rights
for path, token, method, want, name in (
        ("/api/v1/status", None, "GET", 401, "no token"), ("/api/v1/status", "read", "GET", 200, "the token to read"),
        ("/api/v1/control?do=reload", "read", "POST", 401, "controlling with the token to read"), ("/api/v1/control?do=frob", "control", "POST", 400, "a wrong word"),
        ("/api/v1/control?do=log%20conn%20debug", "control", "POST", 200, "the token to control"), ("/api/v1/control?do=stop", "control", "GET", 405, "controlling by GET"),
        ("/api/v1/rules", "read", "GET", 200, "the guard's rules"), ("/api/v1/control?do=guard%20drop%20ttl%2010m%20src%20192.0.2.1", "read", "POST", 401, "a rule with the token to read"),
        ("/api/v1/control?do=guard%20drop%20ttl%20%200s%20src%20192.0.2.1", "control", "POST", 400, "a rule without an end"), ("/api/v1/control?do=guard%20drop%20list%20%2Fetc%2Fshadow", "control", "POST", 400, "a rule that names a file"),
        ("/api/v1/control?do=guard%20load%20%2Fetc%2Fshadow", "control", "POST", 400, "loading rules"), ("/api/v1/control?do=guard%20block%20pid%201", "control", "POST", 400, "a process cut off"),
        ("/api/v1/control?do=guard%20drop%20scr%201", "control", "POST", 400, "an expression that is none"),
        ("/api/v1/nothing", "read", "GET", 404, "nothing there"), ("/api/v1/records/nothing", "read", "GET", 404, "no such kind"),
        ("/api/v1/query?wher=x", "read", "GET", 400, "a parameter that is not there"), ("/api/v1/query?where=", "read", "GET", 400, "a parameter without a value"), ("/api/v1/query?where=sevrer.port%3D1", "read", "GET", 400, "a wrong filter"),
        ("/api/v1/query?since=soon", "read", "GET", 400, "a wrong time"), ("/api/v1/query?sql=DROP%20TABLE%20x", "read", "GET", 400, "SQL that writes"),
        ("/api/v1/records/conn?limit=100000", "read", "GET", 400, "a page too large"), ("/api/v1/records/conn?cursor=x", "read", "GET", 400, "a wrong cursor"),
        ("/api/v1/openapi.json", None, "GET", 200, "the description needs no token"), ("/", None, "GET", 200, "nor does the page, which holds no data"),
        ("/../../etc/passwd", "read", "GET", 404, "a path upwards"), ("/api/v1/query?" + "x" * 40000, "read", "GET", (413, 414, 431), "an address too long")):
    try:
        s, h, t = ask(path, token, method)
    except (http.client.HTTPException, OSError) as e:
        s, t = 414, str(e)
    ok(s in (want if isinstance(want, tuple) else (want,)) and (s == 200 or path.startswith("/api/v1/query?xx") or "error" in json.loads(t)), f"{name}: {want}", f"{s} {t[:200]}")
wrong = "0" * 48
for hdr, want, name in (({"Host": "evil.example"}, 403, "a foreign Host (DNS rebinding)"), ({"Origin": "http://evil.example"}, 403, "a foreign Origin (CSRF)"),
                        ({"Origin": f"http://127.0.0.1:{api}"}, 200, "its own Origin"), ({"Authorization": f"Bearer {wrong}"}, 401, "a wrong token"),
                        ({"Authorization": "Basic eDp4"}, 401, "another scheme")):
    s, h, t = ask("/api/v1/status", headers=hdr)
    ok(s == want, f"{name}: {want}", f"{s} {t}")
s, h, t = ask("/api/v1/control?do=reload", "control", "POST", body=b"x" * 100000)
ok(s == 413, "a body too large: 413", f"{s} {t}")
s, h, t = ask("/")
ok("default-src 'none'" in h["Content-Security-Policy"] and h["X-Content-Type-Options"] == "nosniff" and "<main" in t, "the page comes with a content security policy", h)
u = subprocess.run(["curl", "-s", "--unix-socket", f"{tmp}/api", "http://localhost/api/v1/counters"], capture_output=True, text=True)
ok(any(x["name"] == "store.in" for x in json.loads(u.stdout)["records"]), "root needs no token on the unix socket", u.stdout[:200])

# what is promised is what is there: every path of the description answers as it says
d = get_json("/api/v1/openapi.json")
bad = []
for path, ops in d["paths"].items():
    for method, op in ops.items():
        if "live" in path or method == "post":
            continue
        s, h, t = ask(path.replace("{kind}", "conn").replace("{id}", "0123"), *[list(x)[0] for x in op.get("security", [])[:1]])
        if (s not in (200, 404 if "{id}" in path else 200) or str(s) not in op["responses"] or
                h["Content-Type"].split(";")[0] not in (op["responses"]["200"]["content"] if s == 200 else ["application/json"])):
            bad.append((path, s, h))
ok(d["openapi"].startswith("3.1") and len(d["paths"]) >= 8 and not bad and "server.port" in d["components"]["schemas"]["conn"]["properties"],
   "its description holds", bad)
s, h, t = ask("/metrics")
ok(t.endswith("# EOF\n") and 'weir_ledger_total{name="store.in"}' in t, "OpenMetrics", t[-300:])

# live: what happens is told within a second, by filter
c = http.client.HTTPConnection("127.0.0.1", api, timeout=20)
c.request("GET", f"/api/v1/live/request?where={me}", headers={"Authorization": f"Bearer {tokens['read']}"})
stream = c.getresponse()
t0 = time.time()
threading.Thread(target=load, args=(5, "/a")).start()
got = []
while len(got) < 5 and time.time() - t0 < 10:
    l = stream.readline().decode()
    if l.startswith("data: "):
        got.append(json.loads(l[6:]))
ok(len(got) == 5 and all(x["resource"] == "/a" for x in got) and time.time() - t0 < 3, "live records as server-sent events", f"{len(got)} {time.time() - t0:.1f}")
c.close()

# hostile clients: garbage, slow heads, many connections; the API still answers
rng = random.Random(5)
for i in range(200):
    with socket.create_connection(("127.0.0.1", api), timeout=5) as x:
        x.settimeout(0.05)
        try:
            x.sendall(rng.randbytes(rng.randrange(1, 400)) if i % 2 else b"GET /api/v1/query?" + rng.randbytes(60).replace(b"\n", b"") + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            x.recv(100)
        except OSError:
            pass
idle = []
for i in range(100):
    try:
        x = socket.create_connection(("127.0.0.1", api), timeout=1)
        x.sendall(b"GET / HT")
        idle.append(x)
    except OSError:
        pass
ok(w.p.poll() is None and weir("ctl", "counters", "--socket", f"{tmp}/sock").returncode == 0, "garbage and a hundred slow clients: the agent goes on")
for x in idle:
    x.close()
time.sleep(1.2)
ok(until(lambda: ask("/api/v1/status")[0] == 200, 5), "and the API answers again")
codes = [ask("/api/v1/status")[0] for _ in range(450)]
ok(set(codes) <= {200, 429} and codes.count(200) >= 100, "more requests a second than allowed: 429, not a queue", {x: codes.count(x) for x in set(codes)})
time.sleep(1.2)
s, h, t = ask("/api/v1/control?do=stop", "control", "POST")
ok(s == 200 and w.p.wait(10) == 0, "stopped by the API", f"{s} {t}")
w.end(sig=None)
ok(f"http://127.0.0.1:{api}/#token={tokens['read']}" in w.err, "the start says where to look", w.err)
ok(not os.path.exists(f"{tmp}/api"), "its socket is gone")

# wrong configuration: the agent runs on without the API, and says why
for args, words in ((("--api.listen", "0.0.0.0:1"), "not a loopback address"), (("--api.listen", "nonsense"), "is not ADDRESS:PORT"), (("--api.listen", f"127.0.0.1:{port}"), "cannot listen on")):
    v = Weir("run", "-q", "--agent.socket", f"{tmp}/sock", "--api.tokens", f"{tmp}/tokens", "--api.socket", "", *args, ready=1.5)
    v.end()
    ok(v.rc == 0 and words in v.err, f"{args[1]}: {words}", f"{v.rc} {v.err}")
os.chmod(f"{tmp}/tokens", 0o644)
v = Weir("run", "-q", "--agent.socket", f"{tmp}/sock", "--api.tokens", f"{tmp}/tokens", "--api.socket", "", "--api.listen", f"127.0.0.1:{api}", ready=1.5)
v.end()
ok(v.rc == 0 and "can be read by others" in v.err, "tokens that others can read: refused", v.err)
done()
