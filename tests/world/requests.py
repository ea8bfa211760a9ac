# SPDX-License-Identifier: Apache-2.0
"""Requests of real servers against the servers' own counts: HTTP, HTTP/2, Redis, PostgreSQL, MariaDB, Memcached, MQTT, DNS, TLS."""
import collections, glob, json, pwd, re, shutil, socket, sys, threading, time
sys.path.insert(0, "tests/lib")
from world import *

need_root()
T = tempfile.mkdtemp(prefix="weir-requests-")
os.chmod(T, 0o755)
later(shutil.rmtree, T, True)
quiet = dict(stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def have(*tools):
    return all(shutil.which(t) for t in tools)


def listening(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


def wait_port(port):
    assert until(lambda: listening(port), 20), f"nothing listens on {port}"


def as_user(user, *args, **kw):
    u = pwd.getpwnam(user)
    return spawn(["setpriv", f"--reuid={u.pw_uid}", f"--regid={u.pw_gid}", "--clear-groups", *args], cwd=T, **kw)


def requests(w, **want):
    return [r for r in w.records if r["kind"] == "request" and all(get(r, k.replace("__", ".")) == v for k, v in want.items())]


# servers; all on loopback
open(f"{T}/n.conf", "w").write(f"""daemon off; master_process off; pid {T}/n.pid; error_log /dev/null;
events {{ worker_connections 512; }}
http {{ access_log {T}/access.log; client_body_temp_path {T}/b; client_max_body_size 64m; proxy_temp_path {T}/p; fastcgi_temp_path {T}/f;
 uwsgi_temp_path {T}/u; scgi_temp_path {T}/s;
 server {{ listen 127.0.0.1:18081; location / {{ return 200 "hello\\n"; }} location /no {{ return 404; }} location /body {{ set $a {'x' * 3900}; return 200 "$a$a#"; }} location /up {{ proxy_pass http://127.0.0.1:18083; }} }} }}
""")
spawn(["nginx", "-c", f"{T}/n.conf", "-e", "/dev/null"], **quiet)
spawn(["redis-server", "--port", "16380", "--save", "", "--appendonly", "no", "--bind", "127.0.0.1"], **quiet)
wait_port(18081), wait_port(16380)
sink = socket.create_server(("127.0.0.1", 18083))


def swallow():
    while True:
        c, _ = sink.accept()
        got = c.recv(65536)
        n = int(re.search(rb"content-length: (\d+)", got.lower())[1]) + got.index(b"\r\n\r\n") + 4 - len(got)
        while n > 0:
            n -= len(c.recv(1 << 20))
        c.sendall(b"HTTP/1.0 201 Created\r\nContent-Length: 2\r\n\r\nok")
        c.close()


threading.Thread(target=swallow, daemon=True).start()
old = socket.create_connection(("127.0.0.1", 16380))  # older than the sensors
old.sendall(b"PING\r\n")
old.recv(100)

pg = sorted(glob.glob("/usr/lib/postgresql/*/bin"))
if pg:
    os.mkdir(f"{T}/pg")
    shutil.chown(f"{T}/pg", "postgres")
    as_user("postgres", f"{pg[-1]}/initdb", "-D", f"{T}/pg", "-A", "trust", "--no-sync", **quiet).wait(60)
    as_user("postgres", f"{pg[-1]}/postgres", "-D", f"{T}/pg", "-p", "15433", "-h", "127.0.0.1", "-k", f"{T}/pg", "-F", **quiet)
if have("mariadbd"):
    os.mkdir(f"{T}/my")
    shutil.chown(f"{T}/my", "mysql")
    as_user("mysql", "mariadb-install-db", "--no-defaults", f"--datadir={T}/my", "--auth-root-authentication-method=normal", "--skip-test-db",
            **quiet).wait(90)
    as_user("mysql", "mariadbd", "--no-defaults", f"--datadir={T}/my", "--port=13307", "--bind-address=127.0.0.1", f"--socket={T}/my/s",
            f"--pid-file={T}/my/pid", **quiet)
if have("memcached"):
    spawn(["memcached", "-l", "127.0.0.1", "-p", "11212", "-u", "nobody"], **quiet)
if have("mosquitto"):
    open(f"{T}/mq", "w").write("listener 11883 127.0.0.1\nallow_anonymous true\n")
    spawn(["mosquitto", "-c", f"{T}/mq"], **quiet)
if have("nghttpd"):
    spawn(["nghttpd", "--no-tls", "-d", T, "-a", "127.0.0.1", "18082"], **quiet)
if have("dnsmasq"):
    spawn(["dnsmasq", "-k", "-C", "/dev/null", "-p", "53", "--listen-address=127.0.0.77", "--bind-interfaces", "--no-resolv", "--no-hosts", "--user=root",
           f"--pid-file={T}/dns.pid", "--address=/a.test/192.0.2.7", "--local=/test/"], **quiet)
sh(f"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout {T}/key -out {T}/crt -days 2 -subj /CN=weir.test 2>/dev/null")
spawn(["openssl", "s_server", "-accept", "127.0.0.1:18443", "-key", f"{T}/key", "-cert", f"{T}/crt", "-quiet", "-www"], **quiet)
open(f"{T}/page", "w").write("x" * 3000)
for port, tool in ((18443, True), (15433, pg), (13307, have("mariadbd")), (11212, have("memcached")), (11883, have("mosquitto")), (18082, have("nghttpd"))):
    if tool:
        wait_port(port)

cap = spawn(["tcpdump", "-i", "lo", "-w", f"{T}/all.pcap", "-s", "0", "-B", "65536", "port 18081 or port 16380 or port 15433"], **quiet)
w = Weir("requests", "--standalone", "--json", ready=1.5)

# HTTP: methods, status, size; ten pipelined in one write; a body of 20 MB
N = 200
for i in range(N // 10):
    with socket.create_connection(("127.0.0.1", 18081)) as s:
        s.sendall(b"".join(b"GET /p%d?token=geheim HTTP/1.1\r\nHost: h\r\n\r\n" % (i * 10 + k) for k in range(10)))
        got = b""
        while got.count(b"hello") < 10:
            got += s.recv(65536)
sh("curl -s -I http://127.0.0.1:18081/head; curl -s http://127.0.0.1:18081/no")
open(f"{T}/big", "wb").write(b"z" * 20000000)
sh(f"curl -s -H 'Expect:' --data-binary @{T}/big http://127.0.0.1:18081/up -o /dev/null", check=False)
# Redis: pipelined, a large value, an error, a connection that was there before
sh("redis-benchmark -p 16380 -P 16 -t set,get -n 4000 -c 4 -q")
sh("redis-cli -p 16380 -x set big < " + f"{T}/big")
sh("redis-cli -p 16380 get big > /dev/null; redis-cli -p 16380 lpush big x", check=False)
old.sendall(b"*2\r\n$3\r\nGET\r\n$5\r\nolder\r\n")
old.recv(100)
stat = sh("redis-cli -p 16380 info commandstats")
calls = {m[1]: int(m[2]) for m in re.finditer(r"cmdstat_(\w+):calls=(\d+)", stat)}
if pg:
    sql = f"psql -h 127.0.0.1 -p 15433 -U postgres -q -X postgres"
    sh(f"{sql} -c \"create table t(a int, b text)\" -c \"insert into t values (1, 'geheim')\" -c 'select * from t where a = 1' ")
    sh(f"{sql} -c 'select nonsense'", check=False)
    sh(f"pgbench -h 127.0.0.1 -p 15433 -U postgres -i -q postgres 2>&1")
    before = int(sh(f"{sql} -tA -c \"select xact_commit from pg_stat_database where datname = 'postgres'\""))
    sh(f"pgbench -h 127.0.0.1 -p 15433 -U postgres -n -M prepared -S -c 2 -t 100 postgres 2>&1")
if have("mariadbd"):
    my = f"mariadb --no-defaults -h 127.0.0.1 -P 13307 -u root --skip-ssl"
    for i in range(30):
        sh(f"{my} -e 'select {i} from dual'")
    sh(f"{my} -e 'select nonsense'", check=False)
if pg:
    sh(f"{sql} -c 'select * from pgbench_accounts limit 20000' -o /dev/null")
if have("memcached"):
    with socket.create_connection(("127.0.0.1", 11212)) as s:
        s.sendall(b"".join(b"set k%d 0 0 3\r\nabc\r\nget k%d\r\n" % (i, i) for i in range(50)))
        got = b""
        while got.count(b"END") < 50:
            got += s.recv(65536)
if have("mosquitto_pub"):
    for i in range(10):
        sh(f"mosquitto_pub -h 127.0.0.1 -p 11883 -t weir/x -q 1 -m hello")
if have("h2load"):
    h2 = sh("h2load -n 2000 -c 4 -m 100 http://127.0.0.1:18082/page")
    open(f"{T}/large", "wb").write(os.urandom(300000))
    sh("h2load -n 200 -c 4 -m 20 http://127.0.0.1:18082/large")  # bodies and heads of 20 streams mixed
if have("dig") and have("dnsmasq"):
    sh("dig @127.0.0.77 a.test; dig @127.0.0.77 none.test; dig +tcp @127.0.0.77 a.test", check=False)
sh("curl -sk --resolve weir.test:18443:127.0.0.1 https://weir.test:18443/ -o /dev/null", check=False)
time.sleep(1.5)
w.end()
cap.terminate()
cap.wait()
old.close()
text = w.out
lost = [r for r in w.records if r["kind"] == "loss"]
ok(not lost, "nothing was lost", lost[:3])
h = requests(w, protocol="http", server__port=18081)
p = [r for r in h if r["resource"].startswith("/p")]
log = sum(1 for _ in open(f"{T}/access.log"))
ok(len(h) == log, "HTTP: as many records as nginx logged", f"{len(h)} {log}")
ok([r["resource"].split("?")[0] for r in p] == [f"/p{i}" for i in range(N)] and all(r["status"] == "200" for r in p), "ten pipelined requests: ten pairs in order",
   lambda: [r["resource"] for r in p][:20])
ok(all(r["client"].get("pid") == os.getpid() and r["server"].get("process") == "nginx" and r["duration_us"] < 2000000 for r in p), "with both owners and a time",
   p[:1])
ok(any(r["operation"] == "HEAD" and r["status"] == "200" for r in h) and any(r["status"] == "404" and r["error"] for r in h), "HEAD and an error", h[-3:])
big = [r for r in h if r["resource"] == "/up"]
ok(len(big) == 1 and big[0]["operation"] == "POST" and big[0].get("status") == "201" and 20000000 < big[0]["request_bytes"] < 20001000, "a body of 20 MB: one record, its size exact", big)
r = requests(w, protocol="redis", server__port=16380)
c = collections.Counter(x.get("operation", "").lower() for x in r)
ok(c["set"] == calls["set"] and c["get"] == calls["get"], "Redis: as many as INFO commandstats says, pipelined by 16", f"{c} {calls}")
ok(any(x["operation"] == "SET" and 20000000 < x["request_bytes"] < 20000100 for x in r) and any(
    x["operation"] == "GET" and 20000000 < x["response_bytes"] < 20000100 for x in r), "a value of 20 MB, there and back: exact sizes", "")
ok(any(x.get("resource") == "older" for x in r), "a connection older than the sensors is read from its next command on", "")
ok(any(x.get("status") == "WRONGTYPE" and x["error"] for x in r), "an error has its name", c)
if pg:
    q = requests(w, protocol="postgresql", server__port=15433)
    ins = [x for x in q if x["operation"] == "INSERT" and x["resource"] == "insert into t values (?, ?)"]
    ok(len(ins) == 1 and ins[0]["status"] == "ok", "PostgreSQL: the statement normalised, its literals masked", [x.get("resource") for x in q][:9])
    ok(any(x["status"] == "42703" and x["error"] for x in q), "PostgreSQL: an error with its SQLSTATE", "")
    large = [x for x in q if x.get("resource") == "select * from pgbench_accounts limit ?"]
    ok(len(large) == 1 and get(large[0], "detail.rows") == 20000 and large[0]["status"] == "ok", "PostgreSQL: 20,000 rows, one record", large)
    ex = [x for x in q if get(x, "detail.command") == "execute" and "pgbench_accounts" in x.get("resource", "")]
    ok(len(ex) == 200 and all(x["operation"] == "SELECT" for x in ex), "PostgreSQL: pgbench -M prepared, one record a transaction", f"{len(ex)}")
else:
    skip("PostgreSQL", "not installed")
if have("mariadbd"):
    q = requests(w, protocol="mysql", server__port=13307)
    ok(sum(x.get("resource") == "select ? from dual" for x in q) == 30, "MariaDB: 30 queries", collections.Counter(x.get("resource") for x in q))
    ok(any(x.get("status") == "1054" and x["error"] for x in q), "MariaDB: an error with its number", "")
else:
    skip("MariaDB", "not installed")
if have("memcached"):
    q = requests(w, protocol="memcached", server__port=11212)
    ok(sum(x["operation"] == "get" for x in q) == 50 == sum(x["operation"] == "set" for x in q), "Memcached: 100 pipelined commands", len(q))
else:
    skip("Memcached", "not installed")
if have("mosquitto_pub"):
    q = requests(w, protocol="mqtt", server__port=11883)
    ok(sum(x["operation"] == "PUBLISH" and x["status"] == "ok" and x["resource"] == "weir/x" for x in q) == 10, "MQTT: ten PUBLISH of QoS 1, acknowledged", len(q))
else:
    skip("MQTT", "not installed")
if have("h2load"):
    q = requests(w, protocol="http2", server__port=18082)
    large, q = ([x for x in q if (x["resource"] == "/large") == b] for b in (True, False))
    ok(len(large) == 200 and all(x.get("status") == "200" and 300000 < x["response_bytes"] < 301000 for x in large), "HTTP/2: bodies of 20 streams mixed, each with its size", lambda: (len(large), collections.Counter(x["response_bytes"] for x in large)))
    ok(len(q) == 2000 and all(x.get("status") == "200" and x["resource"] == "/page" for x in q), "HTTP/2: h2load -m 100, every stream", lambda: f"{len(q)} {h2[-200:]} {[x for x in q if x.get('status') != '200'][:2]}")
else:
    skip("HTTP/2", "not installed")
if have("dig") and have("dnsmasq"):
    q = requests(w, protocol="dns", resource="a.test")
    ok(len(q) == 2 and all(x["status"] == "NOERROR" and get(x, "detail.addresses") == "192.0.2.7" for x in q), "DNS over UDP and TCP, with the answer", q)
    q = requests(w, protocol="dns", resource="none.test")
    ok(len(q) == 1 and q[0]["status"] == "NXDOMAIN" and q[0]["client"].get("process"), "DNS: NXDOMAIN, with the process that asked", q)
else:
    skip("DNS", "not installed")
q = requests(w, protocol="tls", server__port=18443)
ok(len(q) == 1 and get(q[0], "detail.sni") == "weir.test" and get(q[0], "detail.version") == "TLS 1.3" and get(q[0], "detail.ja4"), "TLS: name, version, fingerprint", q)
ok("geheim" not in text, "no secret in any record", "")

# the same from the capture
d = weir("read", "--json", f"{T}/all.pcap", timeout=120)
got = [x for x in records(d.stdout) if x["kind"] == "request"]
for proto, live in (("http", h), ("redis", r)) + ((("postgresql", requests(w, protocol="postgresql")),) if pg else ()):
    a = collections.Counter((x.get("operation"), x.get("resource"), x.get("status")) for x in live)
    b = collections.Counter((x.get("operation"), x.get("resource"), x.get("status")) for x in got if x["protocol"] == proto)
    ok(a == b, f"{proto}: the capture of the same traffic gives the same records", lambda: f"{list((a - b).items())[:4]} {list((b - a).items())[:4]}")
d = weir("read", f"{T}/all.pcap", "--kind", "request", "-w", "protocol = redis and error = true")
ok(d.returncode == 0 and "WRONGTYPE" in d.stdout, "weir read --kind request shows and filters them", d.stdout + d.stderr)

# both ends on this host, each in its namespace: every byte passes two sockets, and is read once
veth("wqa", "wqb")
with in_netns("wqb"):
    ls = socket.create_server(("10.77.0.2", 18084))
with in_netns("wqa"):
    c = socket.socket()
w = Weir("requests", "--standalone", "--json", "-w", "server.port = 18084")
c.connect(("10.77.0.2", 18084))
a, _ = ls.accept()
for i in range(20):
    c.sendall(b"GET /n%d HTTP/1.1\r\nHost: h\r\n\r\n" % i)
    a.recv(1000)
    a.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 70000\r\n\r\n" + b"n" * 70000)
    take(c, 70000 + len(b"HTTP/1.1 200 OK\r\nContent-Length: 70000\r\n\r\n"))
time.sleep(0.3)
c.close(), a.close(), ls.close()
time.sleep(0.5)
w.end()
q = requests(w)
ok([x["resource"] for x in q] == [f"/n{i}" for i in range(20)] and all(
    x["status"] == "200" and 70000 < x["response_bytes"] < 70100 and get(x, "client.pid") == os.getpid() == get(x, "server.pid") for x in q),
   "over veth between two namespaces: each request once, both owners, sizes exact", lambda: f"{len(q)} {q[:2]}")

# sums and the map, beside an agent
S = f"{T}/sock"
agent = Weir("run", "-q", "--agent.socket", S, ready=1.0)
by = Weir("requests", "--socket", S, "--json", "--by", "server.service,operation,status", "--for", "4s", "-w", "server.port = 18081", ready=0.2)
edges = Weir("map", "--socket", S, "--json", "--for", "4s", ready=0.2)
dot = Weir("map", "--socket", S, "--dot", "--for", "4s", ready=0.3)
sh("for i in 1 2 3 4 5 6 7 8 9; do curl -s http://127.0.0.1:18081/x; done; curl -s http://127.0.0.1:18081/no")
sh("redis-cli -p 16380 set a b")
for x in (by, edges, dot):
    x.end(sig=None)
rows = {tuple(x["keys"].values()): x for x in by.records if x["kind"] == "requests"}
good, bad = rows.get(("nginx", "GET", "200")), rows.get(("nginx", "GET", "404"))
ok(good and bad and good["count"] == 9 and bad["errors"] == 1 == bad["error_rate"] and 0 < good["p50_us"] <= good["p99_us"] <= good["max_us"] and good["rate"] > 1,
   "requests --by: rate, errors, duration", by.out)
e = {(get(x, "client.service"), get(x, "server.service"), x["protocol"]): x for x in edges.records if x["kind"] == "edge"}
ok(e.get(("curl", "nginx", "http"), {}).get("count") == 10 and ("redis-cli", "redis-server", "redis") in e, "map: one edge a pair of services", edges.out)
ok('"curl" -> "nginx" [label="http' in dot.out and dot.out.startswith("digraph"), "map --dot: a graph", dot.out)
c = {x["name"]: x["value"] for x in records(weir("ctl", "counters", "--json", "--socket", S).stdout) if x["kind"] == "metric"}
ok(c["weir.payload.in"] == c["weir.payload.out"] + c["weir.payload.dropped"] and c["weir.payload.dropped"] == 0 and c["weir.protocol.http.requests"] == 10 and
   c["weir.protocol.http.unread"] == 0, "the ledger of payload holds, and each protocol's", c)
# bodies give way when the ring fills: the agent sleeps while more passes than it holds
agent.p.send_signal(signal.SIGSTOP)
with socket.create_connection(("127.0.0.1", 18081)) as s:
    for i in range(400):
        s.sendall(b"GET /body HTTP/1.1\r\nHost: t\r\n\r\n")
        b = b""
        while not b.endswith(b"#"):
            b += s.recv(65536)
agent.p.send_signal(signal.SIGCONT)
until(lambda: counters(S)["weir.protocol.http.requests"] >= 410, 5)
c = counters(S)
ok(c["weir.protocol.http.requests"] == 410 and not c["weir.kernel.data_lost"], "3 MB of bodies in a ring of 2 MiB: no request is lost",
   {k: v for k, v in c.items() if "http" in k or "data" in k or "payload" in k})
agent.end(signal.SIGTERM)
agent = Weir("run", "-q", "--agent.socket", S, "--requests.read=false", ready=1.0)
d = weir("requests", "--socket", S)
ok(d.returncode == 3 and "requests.read is off" in d.stderr, "an agent that does not read requests says so", d.stderr)
agent.end(signal.SIGTERM)
d = weir("requests", "--standalone", "--for", "1s", env=dict(os.environ, WR_DENY="cgroup_skb"))
ok(d.returncode == 3 and "weir doctor" in d.stderr, "so does a kernel without the tap", d.stderr)
done()
