# SPDX-License-Identifier: Apache-2.0
"""Requests inside TLS of programs in Go, stripped: HTTP/1.1 and HTTP/2, either end alone, as servers and clients use it and as they hardly do."""
import collections, json, os, shutil, socket, ssl, sys, threading
sys.path.insert(0, "tests/lib")
from world import *

need_root()
GO = os.environ.get("GOTLS", os.path.join(BUILD, "helpers/gotls"))
T = tempfile.mkdtemp(prefix="weir-gotls-")
os.chmod(T, 0o755)
later(shutil.rmtree, T, True)
quiet = dict(stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
before = len(weir_progs())
sh(f"openssl req -x509 -newkey rsa:2048 -nodes -keyout {T}/k.pem -out {T}/c.pem -days 30 -subj /CN=localhost 2>/dev/null")
A, W, P = 18551, 18552, 18553  # a server, one whose connections are wrapped, one in Python


def serve(port, *more):
    log = open(f"{T}/served{port}", "a+")
    p = spawn([GO, "serve", f"127.0.0.1:{port}", f"{T}/c.pem", f"{T}/k.pem", *more], stdout=log, stderr=subprocess.DEVNULL)
    listening(port)
    return p, log


def served(log):
    log.seek(0)
    return collections.Counter(log.read().split())


def go(*a, **k):
    return subprocess.run([GO, *map(str, a)], capture_output=True, text=True, timeout=60, **k)


_, log = serve(A)
_, wlog = serve(W, "wrapped")
old = spawn([GO, "keep", f"127.0.0.1:{A}"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def ask(path):
    old.stdin.write(path + "\n")
    old.stdin.flush()
    return old.stdout.readline() == "answered\n"


assert ask("/before")
log.truncate(0)

w = Weir("requests", "--json", "--standalone", ready=2)
assert ask("/after1") and ask("/after2")
r = [go("get", f"https://127.0.0.1:{A}/h1", 20, 20, "h1"), go("get", f"https://127.0.0.1:{A}/h2", 50, 40, "h2"), go("get", f"https://127.0.0.1:{W}/w", 5, 8, "h2"),
     go("deep", f"127.0.0.1:{A}", 5), go("together", f"127.0.0.1:{A}", 100)]
bad = [x.stderr for x in r if x.returncode]
never = go("never", f"127.0.0.1:{A}")
for i in range(20):  # processes that live for some ms
    go("get", f"https://127.0.0.1:{A}/short{i}", 1, 1, "h1")
time.sleep(1.5)
w.end()
q = [x for x in w.records if x["kind"] == "request" and x.get("tls") and x["protocol"] in ("http", "http2")]


def of(port, of=None):
    return [x for x in (of or q) if get(x, "server.port") == port]


ok(not bad and never.returncode == 0, "the programs got their answers", f"{bad} {never.stderr}")
truth, got = served(log), collections.Counter(x["resource"] for x in of(A))
ok(sum(truth.values()) == 2 + 400 + 2000 + 200 + 100 + 20 and got == truth, "each request of the server's log, once: HTTP/1.1, HTTP/2, stacks that grow, short lives",
   f"{list((truth - got).items())[:5]} {list((got - truth).items())[:5]}")
truth, got = served(wlog), collections.Counter(x["resource"] for x in of(W))
ok(sum(truth.values()) == 40 and got == truth, "a connection within a connection", f"{truth - got} {got - truth}")
ok({x["protocol"] for x in q if x["resource"].startswith("/h2")} == {"http2"} and {x["protocol"] for x in q if x["resource"].startswith("/h1")} == {"http"}, "in their protocol")
ok(all(x["status"] == "200" and not x.get("gap") and not x.get("truncated") and get(x, "client.exe") == get(x, "server.exe") == os.path.realpath(GO) for x in q),
   "with status and both owners", [x for x in q if x["status"] != "200"][:2])
bodies = [x for x in q if x["resource"].startswith("/h1") and x["operation"] == "POST"]
ok(len(bodies) == 200 and all(5000 < x["request_bytes"] < 5400 for x in bodies), "with its size", bodies[:1])
by = collections.defaultdict(set)
for x in q:
    if x["resource"].startswith("/deep/"):
        by[x["conn"]].add(x["resource"].split("/")[2])
ok(len(by) == 5 and all(len(v) == 1 for v in by.values()), "connections of goroutines that run at once are not mixed up", dict(by))
ok("/never" not in got and not [x for x in w.records if x.get("resource") == "/never"], "what was written and never sent is no request")
ok([x["resource"] for x in q if x["resource"].startswith("/after")] == ["/after1", "/after2"], "a connection that is older than weir, from its next request on")
ok("geheim" not in json.dumps(w.records), "no secret in any record")

# one end alone: OpenSSL at the other end is left alone
script = f"{T}/s.py"
open(script, "w").write(f"""
import http.server, ssl, sys
class H(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")
    do_POST = do_GET
    def log_message(self, *a):
        sys.stdout.write(self.path + chr(10))
        sys.stdout.flush()
s = http.server.ThreadingHTTPServer(("127.0.0.1", {P}), H)
c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
c.load_cert_chain("{T}/c.pem", "{T}/k.pem")
s.socket = c.wrap_socket(s.socket, server_side=True)
s.serve_forever()
""")
plog = open(f"{T}/servedp", "w+")
spawn(["/usr/bin/python3", script], stdout=plog, stderr=subprocess.DEVNULL)
listening(P)
w = Weir("run", "-q", "--agent.socket", f"{T}/sock", "--requests.tls_leave", "libssl", ready=2)
v = Weir("requests", "--json", "--socket", f"{T}/sock", "-w", "tls = true")
for i in range(10):
    subprocess.run(["curl", "-sk", f"https://127.0.0.1:{A}/curl{i}", f"https://127.0.0.1:{A}/no{i}"], **quiet)
    subprocess.run(["curl", "-sk", "--http1.1", f"https://127.0.0.1:{A}/one{i}"], **quiet)
subprocess.run(["curl", "-sk", f"https://127.0.0.1:{A}/big2", "-o", "/dev/null"], **quiet)
subprocess.run(["curl", "-sk", "--http1.1", f"https://127.0.0.1:{A}/big1", "-o", "/dev/null"], **quiet)
go("get", f"https://127.0.0.1:{P}/py", 4, 10, "h1")
time.sleep(1)
c = counters(f"{T}/sock")
copied = {k: c[f"weir.protocol.{k}.bytes"] for k in ("http2", "tls")}
v.end()
q = [x for x in v.records if x["kind"] == "request"]
mine = collections.Counter({k: n for k, n in served(log).items() if re.match("/(curl|no|one|big)", k)})
got = collections.Counter(x["resource"] for x in of(A, q))
ok(sum(mine.values()) == 32 and got == mine and all(x["status"] == ("404" if x["resource"].startswith("/no") else "200") for x in of(A, q)),
   "the server alone (curl at the other end)", f"{mine - got} {got - mine}")
big = [x for x in of(A, q) if x["resource"].startswith("/big")]
ok(len(big) == 2 and all(20000000 < x["response_bytes"] < 20100000 and not x.get("gap") for x in big), "20 MB: one record each with its size", big)
ok(10000 < copied["http2"] < 2000000 and copied["tls"] < 1000000, "... of which little was copied, of HTTP/2's frames and of what is around them", copied)
truth, got = served(plog), collections.Counter(x["resource"] for x in of(P, q))
ok(sum(truth.values()) == 40 and got == truth, "the client alone (Python at the other end)", f"{truth - got} {got - truth}")
ok(c["weir.tls.files"] >= 1 and c["weir.tls.refused"] == 0, "the agent tells what it probed", {k: v for k, v in c.items() if "tls" in k})

# what is probed cannot be unmounted: probes end with the last process that has the file, not with the first
M = tmpfs(f"{T}/mount")
shutil.copy(GO, f"{M}/go")


def files():
    return counters(f"{T}/sock")["weir.tls.files"]


def mounted(port):
    return spawn([f"{M}/go", "serve", f"127.0.0.1:{port}", f"{T}/c.pem", f"{T}/k.pem"], **quiet)


def answers(port):
    return until(lambda: subprocess.run(["curl", "-skf", f"https://127.0.0.1:{port}/mounted"], **quiet).returncode == 0, 10)


n0 = files()
one, two = mounted(18554), mounted(18555)
ok(answers(18554) and answers(18555) and until(lambda: files() > n0, 5), "a program on a file system of its own is probed", f"{n0} {files()}")
n1 = files()
one.kill(), one.wait()
time.sleep(6)
v = Weir("requests", "--json", "--socket", f"{T}/sock", "-w", "server.port = 18555", "--count", "1")
answers(18555)
v.p.wait(10)
ok(v.p.returncode == 0 and files() == n1, "one of its processes ends, the other is read on", f"{v.p.returncode} {files()} {n1}")
two.kill(), two.wait()
ok(until(lambda: subprocess.run(["umount", M], **quiet).returncode == 0, 30) and files() == n0, "the last one ends: it can be unmounted while weir runs", f"{n0} {files()}")

# weir comes to an end in the middle of it
stop, errors, n = threading.Event(), [], [0]


def load():
    while not stop.is_set():
        x = go("get", f"https://127.0.0.1:{A}/load", 8, 50, "h1")
        n[0] += 1
        if x.returncode:
            errors.append(x.stderr)


t = threading.Thread(target=load)
t.start()
time.sleep(1)
w.p.kill()
w.p.wait()
time.sleep(1)
stop.set()
t.join()
ok(not errors and n[0] > 2 and ask("/still"), "kill -9 under load: no application error", f"{errors[:2]} {n}")
ok(until(lambda: len(weir_progs()) <= before, 20) and "uprobe_multi" not in sh("bpftool link 2>/dev/null", check=False), "and no probe stays behind", weir_progs())
done()
