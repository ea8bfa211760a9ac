# SPDX-License-Identifier: Apache-2.0
"""A gateway's incoming requests joined to their upstream calls: nginx before two servers, against nginx's own log."""
import collections, json, os, shutil, socket, sys, threading
sys.path.insert(0, "tests/lib")
from world import *

need_root()
T = tempfile.mkdtemp(prefix="weir-gw-")
os.chmod(T, 0o755)
later(shutil.rmtree, T, True)
quiet = dict(stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
open(f"{T}/s.py", "w").write("""
import http.server, sys, time
class H(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        time.sleep(0.02 if "slow" in self.path else 0)
        self.send_response(500 if "bad" in self.path else 200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")
    def log_message(self, *a): pass
s = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), H)
if len(sys.argv) > 2:
    import ssl
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    c.load_cert_chain(sys.argv[2] + "/crt", sys.argv[2] + "/key")
    s.socket = c.wrap_socket(s.socket, server_side=True)
s.serve_forever()
""")
for p in (18601, 18602):
    spawn(["/usr/bin/python3", f"{T}/s.py", str(p)], **quiet)
sh(f"openssl req -x509 -newkey rsa:2048 -nodes -keyout {T}/key -out {T}/crt -days 2 -subj /CN=x 2>&1", False)
spawn(["/usr/bin/python3", f"{T}/s.py", "18603", T], **quiet)
open(f"{T}/n.conf", "w").write(f"""daemon off; master_process off; pid {T}/n.pid; error_log /dev/null;
events {{ worker_connections 512; }}
http {{ log_format j escape=json '{{"uri":"$request_uri","up":"$upstream_addr","us":"$upstream_status","at":"$upstream_response_time","all":"$request_time"}}';
 limit_req_zone $binary_remote_addr zone=z:1m rate=8r/s;
 access_log {T}/log j; client_body_temp_path {T}/b; fastcgi_temp_path {T}/f; proxy_temp_path {T}/p; uwsgi_temp_path {T}/u; scgi_temp_path {T}/s;
 upstream app {{ server 127.0.0.1:18601; server 127.0.0.1:18602; keepalive 8; }}
 server {{ listen 127.0.0.1:18600; location / {{ proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection ""; }}
  location /lazy/ {{ limit_req zone=z burst=20; proxy_pass http://app; }}
  location /tls/ {{ proxy_pass https://127.0.0.1:18603; }}
  location /own {{ return 200 "x"; }}
  location /rewrite/ {{ proxy_pass http://app/inner/; }} }} }}
""")
spawn(["nginx", "-c", f"{T}/n.conf", "-e", "/dev/null"], **quiet)
for p in (18600, 18601, 18602, 18603):
    listening(p)

w = Weir("requests", "--json", "--standalone", ready=1.8)


def many(k):
    with socket.create_connection(("127.0.0.1", 18600)) as c:
        for i in range(25):
            path = f"/{'slow' if i % 3 else 'quick'}/{k}-{i}" if i % 8 else f"/bad/{k}-{i}"
            c.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            got = b""
            while b"\r\n\r\n" not in got or not got.endswith(b"ok"):
                got += c.recv(4096)


threads = [threading.Thread(target=many, args=(k,)) for k in range(8)]
[t.start() for t in threads]
[t.join() for t in threads]
# a rewritten path: alone in time; the same path by two at once, told apart by their trace
sh("curl -s http://127.0.0.1:18600/rewrite/x; curl -s http://127.0.0.1:18600/own", check=False)
sh("for i in 1 2 3 4 5; do curl -s http://127.0.0.1:18600/lazy/$i; done; for i in 1 2 3; do curl -s http://127.0.0.1:18600/tls/$i; done", check=False)
ps = [subprocess.Popen(["curl", "-s", "-H", f"traceparent: 00-{i:032x}-00f067aa0ba902b7-01", "http://127.0.0.1:18600/slow/same"], **quiet) for i in range(1, 5)]
[p.wait() for p in ps]
time.sleep(0.8)
w.end()
q = [r for r in w.records if r["kind"] == "request" and r["protocol"] == "http"]
came = [r for r in q if get(r, "server.port") == 18600]
log = [json.loads(l) for l in open(f"{T}/log")]
truth = {l["uri"]: (l["up"], l["us"]) for l in log if l["uri"] not in ("/slow/same",)}
got = {r["resource"]: (f'{get(r, "upstream.ip")}:{get(r, "upstream.port")}', get(r, "upstream.status")) for r in came if get(r, "upstream.ip") and r["resource"] != "/slow/same"}
want = {k: v for k, v in truth.items() if v[0] and v[0] != "-"}
lazy = {k: v for k, v in want.items() if k.startswith(("/lazy/", "/tls/"))}
want = {k: v for k, v in want.items() if k not in lazy}
got_lazy, got = {k: v for k, v in got.items() if k in lazy}, {k: v for k, v in got.items() if k not in lazy}
ok(len(want) == 201 and got == want, "each of 201 requests, 8 at once: the backend and status that nginx's log has", f"{len(want)} {len(got)} {list(set(want.items()) ^ set(got.items()))[:4]}")
ok({get(r, "upstream.by") for r in came if r["resource"] in want} == {"path", "time"} and
   [get(r, "upstream.by") for r in came if r["resource"] == "/rewrite/x"] == ["time"], "by path; where it was rewritten by time alone", collections.Counter(get(r, "upstream.by") for r in came))
ok([get(r, "upstream.resource") for r in came if r["resource"] == "/rewrite/x"] == ["/inner/x"], "with what was asked there")
ok(not [r for r in came if r["resource"] == "/own" and get(r, "upstream.ip")], "what the gateway answers itself has no upstream")
same = [r for r in came if r["resource"] == "/slow/same"]
calls = {r["trace_id"]: f'{get(r, "server.ip")}:{get(r, "server.port")}' for r in q if get(r, "client.process") == "nginx" and r["resource"] == "/slow/same"}
ok(len(same) == 4 and all(get(r, "upstream.by") == "trace" and f'{get(r, "upstream.ip")}:{get(r, "upstream.port")}' == calls[r["trace_id"]] for r in same),
   "four of one path at once: told apart by their traces", f"{same[:1]} {calls}")
slow = [r for r in came if r["resource"].startswith("/slow/") and get(r, "upstream.duration_us")]
ok(slow and all(20000 <= get(r, "upstream.duration_us") <= r["duration_us"] for r in slow), "the time of the upstream is within the gateway's", slow[:1])
# what the gateway itself costs: here it holds requests back (8 a second), as its own clocks say
own = {l["uri"]: (float(l["all"]) - float(l["at"])) * 1e6 for l in log if l["uri"].startswith("/lazy/")}
added = {r["resource"]: get(r, "upstream.added_us") for r in came if r["resource"].startswith("/lazy/")}
ok(len(own) == 5 and set(added) == set(own) and all(abs(added[k] - own[k]) < 5000 for k in own) and sum(v > 80000 for v in own.values()) >= 3, "what it costs itself, by its own clocks within 5 ms", (added, own))
fast = [get(r, "upstream.added_us") for r in came if r["resource"].startswith("/quick/")]
ok(fast and sorted(fast)[len(fast) // 2] < 20000 and all(get(r, "upstream.added_us") == r["duration_us"] - get(r, "upstream.duration_us") for r in slow), "... where it only passes on that is little", sorted(fast)[-3:])
tls = [r for r in came if r["resource"].startswith("/tls/")]
ok(len(tls) == 3 and got_lazy == lazy and all(get(r, "upstream.tls") is True for r in tls) and not any(get(r, "upstream.tls") for r in came if r not in tls), "calls that go on inside TLS are joined, too, and it says so", (tls[:1], got_lazy))
done()
