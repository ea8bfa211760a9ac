# SPDX-License-Identifier: Apache-2.0
"""Requests inside TLS, of programs that know nothing of it: OpenSSL with sockets and with memory BIOs, GnuTLS, Node, HTTP/2, PostgreSQL."""
import collections, glob, json, os, pwd, shutil, socket, ssl, sys, threading
sys.path.insert(0, "tests/lib")
from world import *

need_root()
T = tempfile.mkdtemp(prefix="weir-tls-")
os.chmod(T, 0o755)
later(shutil.rmtree, T, True)
quiet = dict(stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
PY = "/usr/bin/python3"  # the system's, with the system's libssl
before = len(weir_progs())
sh(f"openssl req -x509 -newkey rsa:2048 -nodes -keyout {T}/k.pem -out {T}/c.pem -days 30 -subj /CN=localhost 2>/dev/null")


def script(name, text):
    open(f"{T}/{name}", "w").write(text)
    return f"{T}/{name}"


# a threaded server with sockets; answers count what it served
server = script("s.py", """
import http.server, ssl, sys
class H(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        b = b"x" * (int(self.path.split("=")[1]) if self.path.startswith("/big=") else 12)
        self.send_response(404 if "/no" in self.path else 200)
        self.send_header("Content-Length", str(len(b)))
        self.send_header("Set-Cookie", "session=geheimkeks")
        self.end_headers()
        self.wfile.write(b)
    def log_message(self, *a):
        print(self.path, flush=True)
s = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), H)
c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
c.load_cert_chain("%s/c.pem", "%s/k.pem")
s.socket = c.wrap_socket(s.socket, server_side=True)
s.serve_forever()
""" % (T, T))
log = open(f"{T}/served", "w+")
spawn([PY, server, "18443"], stdout=log, stderr=subprocess.DEVNULL)
aserver = script("as.py", """
import asyncio, ssl
async def h(r, w):
    while await r.readline():
        while (await r.readline()).strip():
            pass
        w.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: 5\\r\\n\\r\\nhello")
        await w.drain()
    w.close()
async def main():
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    c.load_cert_chain("%s/c.pem", "%s/k.pem")
    s = await asyncio.start_server(h, "127.0.0.1", 18444, ssl=c)
    await s.serve_forever()
asyncio.run(main())
""" % (T, T))
spawn([PY, aserver], **quiet)
aclient = script("ac.py", """
import asyncio, ssl
async def one(i):
    r, w = await asyncio.open_connection("127.0.0.1", 18444, ssl=ssl._create_unverified_context())
    for k in range(5):
        w.write(f"GET /c{i}/{k} HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n".encode())
        await w.drain()
        await r.readuntil(b"hello")
    w.close()
async def main():
    await asyncio.gather(*[one(i) for i in range(20)])
asyncio.run(main())
""")
node = shutil.which("node")
if node:
    spawn([node, script("n.js", f"""
const https = require('https'), fs = require('fs');
https.createServer({{key: fs.readFileSync('{T}/k.pem'), cert: fs.readFileSync('{T}/c.pem')}}, (q, s) => s.end('n' + q.url)).listen(18445, '127.0.0.1');
""")], **quiet)
spawn(["nghttpd", "-d", T, "18446", f"{T}/k.pem", f"{T}/c.pem"], **quiet)
pg = sorted(glob.glob("/usr/lib/postgresql/*/bin"))
if pg:
    u = pwd.getpwnam("postgres")
    os.mkdir(f"{T}/pg")
    shutil.copy(f"{T}/k.pem", f"{T}/pgk.pem")
    for f in ("pg", "pgk.pem"):
        shutil.chown(f"{T}/{f}", "postgres")
    os.chmod(f"{T}/pgk.pem", 0o600)
    as_pg = ["setpriv", f"--reuid={u.pw_uid}", f"--regid={u.pw_gid}", "--clear-groups"]
    subprocess.run([*as_pg, f"{pg[-1]}/initdb", "-D", f"{T}/pg", "-A", "trust", "--no-sync"], cwd=T, **quiet)
    spawn([*as_pg, f"{pg[-1]}/postgres", "-D", f"{T}/pg", "-p", "18447", "-h", "127.0.0.1", "-k", f"{T}/pg", "-F", "-c", "ssl=on",
           "-c", f"ssl_cert_file={T}/c.pem", "-c", f"ssl_key_file={T}/pgk.pem"], cwd=T, **quiet)
for p in (18443, 18444, 18446) + ((18445,) if node else ()) + ((18447,) if pg else ()):
    listening(p)
log.seek(0), log.truncate()

w = Weir("requests", "--json", "--standalone", ready=2)
URL = "https://127.0.0.1:18443"
for i in range(30):  # processes that live for some ms
    subprocess.run(["curl", "-sk", "-H", "Authorization: Bearer geheimtoken", f"{URL}/curl{i}?password=geheim", f"{URL}/no{i}"], **quiet)
subprocess.run(["curl", "-sk", f"{URL}/big=20000000", "-o", "/dev/null"], **quiet)
if shutil.which("wget"):
    subprocess.run(["wget", "-q", "--no-check-certificate", "-O", "/dev/null", f"{URL}/wget"], **quiet)
subprocess.run([PY, aclient])
if node:
    subprocess.run([node, script("nc.js", """
const https = require('https'); let n = 0;
const agent = new https.Agent({keepAlive: true, maxSockets: 8, rejectUnauthorized: false});
for (let i = 0; i < 40; i++) https.get({port: 18445, host: '127.0.0.1', path: '/n' + i, agent}, r => { r.resume(); r.on('end', () => { if (++n == 40) process.exit() }) });
""")], timeout=30)
h2 = sh("h2load -n 2000 -c 4 -m 100 https://127.0.0.1:18446/c.pem 2>&1", check=False)
if pg:
    sh("PGSSLMODE=require psql -h 127.0.0.1 -p 18447 -U postgres -X -q postgres -c \"select 'geheim', 42\" -c 'select nothing from nowhere' 2>&1", check=False)
# a server that begins after the sensor, and one whose library is its own copy
shutil.copy(os.path.realpath(glob.glob("/usr/lib/*/libssl.so.3")[0]), f"{T}/libssl.so.3")
own = spawn([PY, server, "18448"], env=dict(os.environ, LD_LIBRARY_PATH=T), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
listening(18448)
time.sleep(0.3)
plain = ssl._create_unverified_context()
if subprocess.run(["grep", "-q", f"{T}/libssl", f"/proc/{own.pid}/maps"]).returncode == 0:
    with socket.create_connection(("127.0.0.1", 18448)) as s, plain.wrap_socket(s) as c:
        c.sendall(b"GET /own HTTP/1.1\r\nHost: x\r\n\r\n")
        c.recv(1000)
time.sleep(1.5)
w.end()
q = [r for r in w.records if r["kind"] == "request"]


def inside_tls(port, proto="http"):
    return [r for r in q if r.get("tls") and get(r, "server.port") == port and r["protocol"] == proto]


log.seek(0)
truth = collections.Counter(log.read().split())
got = collections.Counter(r["resource"].replace("***", "geheim") for r in inside_tls(18443))
ok(len(truth) > 60 and got == truth, "OpenSSL: each request of the server's log, once", f"{truth - got} {got - truth}")
bad = [r for r in inside_tls(18443) if r["status"] != ("404" if "/no" in r["resource"] else "200") or get(r, "client.process") not in ("curl", "wget")]
ok(not bad, "with its status and its client", bad[:2])
big = [r for r in inside_tls(18443) if r["resource"] == "/big=20000000"]
ok(len(big) == 1 and 20000000 < big[0]["response_bytes"] < 20000400 and not big[0].get("gap"), "20 MB: one record with its size", big)
if shutil.which("wget"):
    ok([get(r, "client.process") for r in inside_tls(18443) if r["resource"] == "/wget"] == ["wget"], "GnuTLS (wget)")
else:
    skip("GnuTLS (wget)", "wget is not installed")
a = inside_tls(18444)
by = collections.defaultdict(set)
for r in a:
    by[r["conn"]].add(r["resource"].split("/")[1])
ok(len(a) == 100 == len({r["resource"] for r in a}) and len(by) == 20 and all(len(v) == 1 for v in by.values()),
   "memory BIOs (asyncio): 20 connections at once, each with its own requests", f"{len(a)} {len(by)}")
if node:
    n = inside_tls(18445)
    ok(sorted(r["resource"] for r in n) == sorted(f"/n{i}" for i in range(40)), "Node: 40 requests", len(n))
else:
    skip("Node", "it is not installed")
n = inside_tls(18446, "http2")
ok("2000 succeeded" in h2 and len(n) == 2000 and {r["status"] for r in n} == {"200"}, "HTTP/2, 100 streams at once: 2,000 of 2,000", f"{len(n)} {h2[-300:]}")
if pg:
    n = inside_tls(18447, "postgresql")
    ok([(get(r, "detail.statement"), r["error"]) for r in n if get(r, "detail.command") == "query"] ==
       [("select ?, ?", False), ("select nothing from nowhere", True)], "PostgreSQL behind its SSLRequest", n)
else:
    skip("PostgreSQL", "it is not installed")
n = inside_tls(18448)
ok([r["resource"] for r in n] == ["/own"], "a program that began later, with a library of its own", n)
ok(not [r for r in q if "geheim" in json.dumps(r)], "no secret in any record", [r for r in q if "geheim" in json.dumps(r)][:1])
shakes = [r for r in q if r["protocol"] == "tls"]
ok(len(shakes) == len({r["conn"] for r in q if r.get("tls")}), "as many handshakes as connections with requests", len(shakes))

# certificates: in the clear up to TLS 1.2; both ends show one
sh(f"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout {T}/ck.pem -out {T}/cc.pem -days 3 -subj /O=Test/CN=client-7 "
   "-addext subjectAltName=DNS:a.test,DNS:b.test,IP:10.1.2.3 2>/dev/null")
spawn(["openssl", "s_server", "-accept", "127.0.0.1:18449", "-tls1_2", "-cert", f"{T}/c.pem", "-key", f"{T}/k.pem", "-Verify", "1", "-quiet"], stdin=subprocess.PIPE, **quiet)
listening(18449)
w = Weir("requests", "--json", "--standalone", "-w", "protocol = tls and server.port = 18449", ready=2)
sh(f"echo hello | timeout 3 openssl s_client -connect 127.0.0.1:18449 -tls1_2 -cert {T}/cc.pem -key {T}/ck.pem -servername x.test 2>&1", check=False)
sh("echo | timeout 3 openssl s_client -connect 127.0.0.1:18449 -tls1_2 -servername y.test 2>&1", check=False)
time.sleep(1)
w.end()
r = {x.get("resource"): x for x in w.records}


def facts(pem):
    t = sh(f"openssl x509 -in {pem} -noout -enddate -startdate -dateopt iso_8601")
    return [re.search(rf"{k}=(.*)", t).group(1).replace(" ", "T") for k in ("notBefore", "notAfter")]


x = get(r.get("x.test", {}), "detail") or {}
ok([x.get(f"cert_{k}") for k in ("subject", "issuer", "key", "self_issued", "not_before", "not_after")] == ["localhost", "localhost", "RSA 2048", "true", *facts(f"{T}/c.pem")],
   "the server's certificate: as openssl reads it", r)
ok([x.get(f"client_cert_{k}") for k in ("subject", "key", "names", "not_before", "not_after")] ==
   ["client-7", "EC P-256", "a.test,b.test,10.1.2.3", *facts(f"{T}/cc.pem")] and x.get("client_cert") == "requested", "and the client's (mutual TLS)", x)
y = get(r.get("y.test", {}), "detail") or {}
ok(y.get("client_cert") == "requested" and "client_cert_subject" not in y, "a client without one: asked, and none shown", r.get("y.test"))

# in 1.3 they are encrypted: that one was shown, or asked for in vain, is seen by the length of what the client sends; so is that it refused
port13 = 18450
spawn(["openssl", "s_server", "-accept", f"127.0.0.1:{port13}", "-tls1_3", "-cert", f"{T}/c.pem", "-key", f"{T}/k.pem", "-verify", "1", "-quiet"], stdin=subprocess.PIPE, **quiet)
listening(port13)
w = Weir("requests", "--json", "--standalone", "-w", f"protocol = tls and (server.port = {port13} or server.port = 18443)", ready=2)
for suite in ("TLS_AES_256_GCM_SHA384", "TLS_AES_128_GCM_SHA256", "TLS_CHACHA20_POLY1305_SHA256"):
    name = suite[4:].split("_SHA")[0].lower().replace("_", "-")
    client = f"timeout 3 openssl s_client -connect 127.0.0.1:{port13} -tls1_3 -ciphersuites {suite}"
    sh(f"echo | {client} -cert {T}/cc.pem -key {T}/ck.pem -servername with.{name} 2>&1", check=False)
    sh(f"echo | {client} -servername without.{name} 2>&1", check=False)
subprocess.run(["curl", "-sk", "--resolve", "unasked:18443:127.0.0.1", "https://unasked:18443/x"], **quiet)
subprocess.run(["curl", "-s", "--resolve", "refused:18443:127.0.0.1", "https://refused:18443/x"], **quiet)
# OpenSSL sends its alert in the clear; others encrypt it: a client that answers with a record as long as that (nobody can tell what is in it)
into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
hello = plain.wrap_bio(into, out, server_hostname="hidden")
try:
    hello.do_handshake()
except ssl.SSLWantReadError:
    pass
with socket.create_connection(("127.0.0.1", 18443)) as c:
    c.sendall(out.read())
    c.recv(65536)
    time.sleep(0.2)
    c.sendall(b"\x17\x03\x03\x00\x13" + os.urandom(19))
    time.sleep(0.2)
time.sleep(1)
w.end()
r = {x.get("resource"): (get(x, "detail.client_cert"), x["status"], x["error"], get(x, "detail.alert_by"), get(x, "detail.version")) for x in w.records}
ok(all(v[0] == "shown" for k, v in r.items() if k.startswith("with.")) and sum(k.startswith("with.") for k in r) == 3, "TLS 1.3: a certificate of the client's was shown", r)
ok(all(v[0] == "requested" for k, v in r.items() if k.startswith("without.")) and sum(k.startswith("without.") for k in r) == 3, "... or asked for in vain", r)
ok(r.get("unasked") == (None, "ok", False, None, "TLS 1.3"), "... or not asked for", r)
ok(r.get("refused", ())[1:4] == ("unknown_ca", True, "client") and r.get("hidden", ())[1:4] == ("alert", True, "client"),
   "a client that does not believe the server ends it: an error, its own", r)

# by choice, and what stays behind
w = Weir("run", "-q", "--agent.socket", f"{T}/sock", "--requests.tls_leave", "libssl", ready=1.5)
v = Weir("requests", "--json", "--socket", f"{T}/sock", "-w", "protocol = http")
subprocess.run(["curl", "-sk", f"{URL}/left"], **quiet)
time.sleep(1)
v.end()
c = counters(f"{T}/sock")
ok(not v.records and c["weir.tls.left_alone"] >= 1, "files that shall be left alone are", f"{v.records[:1]} {c}")
w.end(signal.SIGTERM)
w = Weir("run", "-q", "--agent.socket", f"{T}/sock", ready=1.5)
c = counters(f"{T}/sock")
ok(c["weir.tls.files"] >= 1 and c["weir.tls.refused"] == 0, "the agent tells what it probed", {k: v for k, v in c.items() if "tls" in k})
# a library on a file system of its own, which can be unmounted when nobody uses it any more
M = tmpfs(f"{T}/mount")
shutil.copy(f"{T}/libssl.so.3", M)


def files():
    return counters(f"{T}/sock")["weir.tls.files"]


n = files()
p = spawn([PY, "-c", "import ssl, time\ntime.sleep(60)"], env=dict(os.environ, LD_LIBRARY_PATH=M), **quiet)
up = until(lambda: files() == n + 1, 10)
p.kill(), p.wait()
ok(up and until(lambda: subprocess.run(["umount", M], **quiet).returncode == 0, 30) and files() == n, "a library's file system can be unmounted when its last process has ended",
   f"{up} {n} {files()}")
v = Weir("requests", "--json", "--socket", f"{T}/sock", "-w", "tls = true")
stop, errors = threading.Event(), []


def load():
    while not stop.is_set():
        if subprocess.run(["curl", "-skf", f"{URL}/load"], **quiet).returncode:
            errors.append(1)


t = threading.Thread(target=load)
t.start()
time.sleep(1.5)
w.p.kill()
w.p.wait()
time.sleep(1)
stop.set()
t.join()
v.end()
ok(not errors and len(v.records) > 5, "kill -9 under load: no application error", f"{len(errors)} {len(v.records)}")
ok(until(lambda: len(weir_progs()) <= before, 20) and "uprobe_multi" not in sh("bpftool link 2>/dev/null", check=False), "and no probe stays behind", weir_progs())
done()
