# SPDX-License-Identifier: Apache-2.0
"""A real Prometheus scrapes the agent: what it answers to queries is what the server counted; the rules and the dashboard that are
shipped load, and each of their expressions is answered."""
import http.server, shutil, sys, threading, urllib.parse, urllib.request
sys.path.insert(0, "tests/lib")
from world import *

need_root()
if not shutil.which("prometheus"):
    skip("all", "prometheus is not installed")
    done()
open("/proc/self/comm", "w").write("promshop")  # a service that nobody else has
tmp = tempfile.mkdtemp(prefix="weir-prom-")
later(lambda: shutil.rmtree(tmp, True))
api, port = free_port(), free_port()
agent = Weir("run", "-q", "--agent.socket", f"{tmp}/sock", "--store.path", "", "--api.listen", f"127.0.0.1:{api}", "--api.socket", "", "--api.tokens", f"{tmp}/tokens", ready=2)
until(lambda: os.path.exists(f"{tmp}/tokens"))
token = next(l.split()[1] for l in open(f"{tmp}/tokens") if l.startswith("read"))
open(f"{tmp}/token", "w").write(token)
rules = os.path.abspath("packaging/prometheus/weir.rules.yml")
open(f"{tmp}/p.yml", "w").write(f"""global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: [{rules}]
scrape_configs:
  - job_name: weir
    authorization: {{credentials_file: {tmp}/token}}
    static_configs: [{{targets: ["127.0.0.1:{api}"]}}]
""")
r = subprocess.run(["promtool", "check", "config", f"{tmp}/p.yml"], capture_output=True, text=True)
ok(r.returncode == 0 and "6 rules found" in r.stdout, "promtool: the rules are right", r.stdout + r.stderr)
text = urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{api}/metrics", headers={"Authorization": f"Bearer {token}"})).read().decode()
ok(text.endswith("# EOF\n") and "# TYPE weir_requests counter" in text, "the exposition is whole", text[-300:])
r = subprocess.run(["promtool", "check", "metrics"], input=text.replace("# EOF\n", ""), capture_output=True, text=True)
ok("error while" not in r.stdout + r.stderr, "promtool reads it", r.stdout + r.stderr)

prom = spawn(["prometheus", f"--config.file={tmp}/p.yml", f"--storage.tsdb.path={tmp}/data", f"--web.listen-address=127.0.0.1:{port}", "--log.level=error",
              "--enable-feature=exemplar-storage"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def get_json(path, **q):
    try:
        return json.load(urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/{path}?{urllib.parse.urlencode(q)}", timeout=5))
    except OSError as e:
        return {"status": str(e), "data": {"result": []}}


def value(expr):
    r = get_json("query", query=expr)["data"]["result"]
    return float(r[0]["value"][1]) if len(r) == 1 else -1.0


until(lambda: value('up{job="weir"}') == 1.0, 20)
ok(value('up{job="weir"}') == 1.0, "scraped", get_json("targets"))

count = {"n": 0, "bad": 0}
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


class Shop(http.server.BaseHTTPRequestHandler):
    protocol_version, disable_nagle_algorithm = "HTTP/1.1", True

    def do_GET(self):
        count["n"] += 1
        count["bad"] += "bad" in self.path
        if "slow" in self.path:
            time.sleep(0.3)
        self.send_response(500 if "bad" in self.path else 200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *a):
        pass


shop = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Shop)
threading.Thread(target=shop.serve_forever, daemon=True).start()


def ask(path, head=""):
    c = socket.create_connection(("127.0.0.1", shop.server_port))
    c.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n{head}Connection: close\r\n\r\n".encode())
    while c.recv(1000):
        pass
    c.close()


for i in range(40):
    ask("/bad" if i % 8 == 0 else "/ok")
    time.sleep(0.05)
for i in range(3):
    ask("/slow", f"traceparent: 00-{TRACE}-00f067aa0ba902b7-01\r\n")
S = '{protocol="http",service="promshop"}'
until(lambda: value(f"sum(weir_requests_total{S})") == count["n"], 15)
ok(value(f"sum(weir_requests_total{S})") == count["n"] == 43, "requests: as many as the server counted", lambda: (value(f"weir_requests_total{S}"), count))
ok(value(f"sum(weir_request_errors_total{S})") == count["bad"] == 5, "errors: as many as it made", lambda: value(f"weir_request_errors_total{S}"))
ok(value(f'sum(weir_request_duration_seconds_count{S})') == 43 and value('sum(weir_request_duration_seconds_bucket{protocol="http",service="promshop",le="0.25"})') == 40,
   "the histogram: three above 250 ms", lambda: get_json("query", query=f"weir_request_duration_seconds_bucket{S}"))
q = value('histogram_quantile(0.99, sum by (le) (weir_request_duration_seconds_bucket{protocol="http",service="promshop"}))')
ok(isinstance(q, float) and 0.25 <= q <= 0.5, "a quantile over it", q)
ex = get_json("query_exemplars", query="weir_request_duration_seconds_bucket", start=time.time() - 120, end=time.time() + 5)
ok(any(e["labels"].get("trace_id") == TRACE and 0.29 < float(e["value"]) < 0.5 for s in ex.get("data", []) for e in s["exemplars"]), "an exemplar names the slow trace", ex)
for p in range(2, 40):
    c = socket.socket()
    c.bind(("127.0.2.1", 0)), c.connect_ex(("127.0.0.1", p)), c.close()
until(lambda: value('sum(weir_alerts_total{detector="port_scan"})') >= 1, 15)
ok(value('sum(weir_alerts_total{detector="port_scan"})') >= 1, "one incident", lambda: get_json("query", query="weir_alerts_total"))
ok(value('sum(weir_drops_total{reason="NO_SOCKET"})') >= 38, "drops by reason", lambda: get_json("query", query="weir_drops_total"))
ok(value('sum(weir_connections_closed_total{reason="refused"})') >= 38, "connections by how they ended", lambda: get_json("query", query="weir_connections_closed_total"))

groups = get_json("rules")["data"]["groups"]
ok(len(groups) == 1 and len(groups[0]["rules"]) == 6 and all(x["health"] == "ok" for x in groups[0]["rules"]), "the rules run", groups)
d = json.load(open("packaging/grafana/weir.json"))
bad = []
for p in d["panels"]:
    for t in p["targets"]:
        r = get_json("query", query=t["expr"].replace("$instance", ".*").replace("$__rate_interval", "1m"))
        if r["status"] != "success" or (not re.search("rate|increase", t["expr"]) and not r["data"]["result"]):
            bad.append((p["title"], r))
ok(len(d["panels"]) == 9 and not bad and {t["datasource"]["uid"] for p in d["panels"] for t in p["targets"]} == {"${source}"}, "the dashboard: each of its questions is answered", bad)

prom.terminate()
prom.wait(20)
agent.end()
done()
