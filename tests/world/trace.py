# SPDX-License-Identifier: Apache-2.0
"""weir trace: what one asks of live records, against what the test itself did and what query says of the same time."""
import sys, threading
from http.server import BaseHTTPRequestHandler, HTTPServer
sys.path.insert(0, "tests/lib")
from world import *

need_root()


class H(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        time.sleep(0.05 if self.path == "/slow" else 0)
        self.send_response(500 if self.path == "/bad" else 200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, *a):
        pass


s = HTTPServer(("127.0.0.1", 0), H)
port = s.server_address[1]
threading.Thread(target=s.serve_forever, daemon=True).start()


def get_(path):
    c = socket.create_connection(("127.0.0.1", port))
    c.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    while c.recv(1000):
        pass
    c.close()


w = Weir("trace", "request", "--standalone", "-w", f"server.port = {port}", "--by", "resource,status",
         "--show", "count,sum(response_bytes),p50(duration_us)", "--json", ready=1.5)
for path, n in (("/fast", 12), ("/slow", 5), ("/bad", 3)):
    for i in range(n):
        get_(path)
w.end()
rows = {(r["resource"], r["status"]): r for r in w.records if r["kind"] == "row"}
ok(w.rc == 0 and {k: r["count"] for k, r in rows.items()} == {("/fast", "200"): 12, ("/slow", "200"): 5, ("/bad", "500"): 3}, "counts by two keys", lambda: (w.out, w.err))
ok(rows and 50000 <= rows["/slow", "200"]["p50(duration_us)"] < 80000 and rows["/fast", "200"]["p50(duration_us)"] < 30000, "quantiles by key", w.out)
w = Weir("trace", "conn", "--standalone", "-w", f"event = close and server.port = {port}", "--show", "count,sum(bytes_to_server)", "--every", "1s", "--for", "3s", "--json", ready=1.2)
for i in range(8):
    get_("/fast")
w.end(sig=None)
rows = [r for r in w.records if r["kind"] == "row"]
ok(sum(r["count"] for r in rows) == 8 and sum(r["sum(bytes_to_server)"] or 0 for r in rows) == 8 * len("GET /fast HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
   "a table each second; together each connection once", w.out)
r = weir("trace", "nonsense")
ok(r.returncode == 2 and "conn, request, drop and syscalls" in r.stderr, "what cannot be traced", r)
r = weir("trace", "request", "--by", "sevrer.port")
ok(r.returncode == 2 and "server.port" in r.stderr, "a wrong key, with the nearest one", r)
r = weir("trace", "request", "--since", "1h")
ok(r.returncode == 2 and "weir query" in r.stderr, "the past is asked elsewhere", r)
done()
