# SPDX-License-Identifier: Apache-2.0
"""Exporters against what they are for: rsyslog, nfcapd, and HTTP receivers that check each body. The ledger adds up, whatever the
target does; a record that arrived is the record that the agent had."""
import http.server, itertools, shutil, sys, threading
sys.path.insert(0, "tests/lib")
from world import *
import otlp

need_root()
tmp = tempfile.mkdtemp(prefix="weir-export-")
os.chmod(tmp, 0o755)
later(lambda: shutil.rmtree(tmp, True))
SOCK = f"{tmp}/weir.sock"
agent = Weir("run", "-q", "--agent.socket", SOCK, ready=2)
until(lambda: os.path.exists(SOCK))


class Receiver:
    """An HTTP server that keeps what was posted; `status` and `answer` are what it says."""

    def __init__(self):
        self.got, self.status, self.answer, me = [], 200, b"", self

        class H(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if me.status == 200:
                    me.got.append((self.path, dict(self.headers), body))
                self.send_response(me.status)
                self.send_header("Content-Length", str(len(me.answer)))
                self.end_headers()
                self.wfile.write(me.answer)

            def log_message(self, *a):
                pass
        self.s = http.server.ThreadingHTTPServer(("127.0.0.1", 0), H)
        self.url = f"http://127.0.0.1:{self.s.server_port}"
        threading.Thread(target=self.s.serve_forever, daemon=True).start()

    def has(self, words, n=20):
        return lambda: sum(b.count(words) for _, _, b in self.got) >= n

    def docs(self, path):
        return [json.loads(b) for p, _, b in self.got if p == path]


TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


class Site:
    """A server of its own: what is exported of it is nobody else's, so groups of cases run side by side."""

    def __init__(self):
        s = http.server.ThreadingHTTPServer(("127.0.0.1", 0), type("W", (http.server.BaseHTTPRequestHandler,), {
            "protocol_version": "HTTP/1.1", "log_message": lambda *a: None,
            "do_GET": lambda h: (h.send_response(500 if "bad" in h.path else 200), h.send_header("Content-Length", "2"), h.end_headers(), h.wfile.write(b"ok"))}))
        threading.Thread(target=s.serve_forever, daemon=True).start()
        self.port, self.mine = s.server_port, f"server.port = {s.server_port}"
        self.only = ("--kinds", "request", "-w", self.mine)

    def traffic(self, n=20):
        """@n requests, one of them bad."""
        for i in range(n):
            c = socket.create_connection(("127.0.0.1", self.port))
            head = f"traceparent: 00-{TRACE}-{PARENT}-01\r\n" if i == 1 else ""
            c.sendall(f"GET /{'bad' if not i else f'item/{i}'} HTTP/1.1\r\nHost: x\r\n{head}Connection: close\r\n\r\n".encode())
            while c.recv(1000):
                pass
            c.close()

    def export(self, to, *args, during=None, after=2.5, seen=None):
        """@seen: what was waited for has arrived; else @after seconds go by."""
        w = Weir("export", to, "--socket", SOCK, *args, ready=1)
        (during or self.traffic)()
        if seen:
            until(seen, after)
            time.sleep(0.2)  # what comes too often would be seen, too
        else:
            time.sleep(after)
        w.end(timeout=30)
        m = re.search(r"(\d+) records in, (\d+) sent, (\d+) dropped \(queue full (\d+), refused (\d+), no form for them (\d+)\), (\d+) held", w.err)
        w.n = dict(zip(("in", "sent", "dropped", "full", "refused", "no_form", "held"), map(int, m.groups()))) if m else {}
        ok(m and w.n["in"] == w.n["sent"] + w.n["dropped"] + w.n["held"] and w.n["dropped"] == w.n["full"] + w.n["refused"] + w.n["no_form"],
           f"{to.split(':')[0]}: in == sent + dropped + held", w.err)
        return w


scans = itertools.count(1)


def scan():
    """From an address of its own: an incident of its own, an alert."""
    me = next(scans)
    for p in range(2, 40):
        c = socket.socket()
        c.bind((f"127.0.1.{me}", 0))
        c.connect_ex(("127.0.0.1", p))
        c.close()


def lines(name, n=20):
    """The file has as many: no need to wait any longer."""
    return lambda: os.path.exists(f"{tmp}/{name}") and open(f"{tmp}/{name}", "rb").read().count(b"\n") >= n


class Grpc:
    """A gRPC server of grpcio; @script: how it answers in turn. `docs()` as those of Receiver."""

    def __init__(self, *script):
        self.p = spawn(["/usr/bin/python3", "tests/lib/otlp.py", *script], stdout=subprocess.PIPE, text=True)
        self.url, self.calls = f"grpc://127.0.0.1:{int(self.p.stdout.readline())}", []
        threading.Thread(target=lambda: self.calls.extend(x.split() for x in self.p.stdout), daemon=True).start()

    def end(self):
        self.p.terminate(), self.p.wait()

    def docs(self, path):
        kind = {"/v1/traces": ("Trace", "Spans"), "/v1/logs": ("Logs", "Logs"), "/v1/metrics": ("Metrics", "Metrics")}[path]
        method = f"/opentelemetry.proto.collector.{kind[0].lower()}.v1.{kind[0]}Service/Export"
        return [otlp.message(bytes.fromhex(c[1]) if len(c) > 1 else b"", otlp.REQUESTS[kind[1]]) for c in self.calls if c[0] == method]


class Kafka:
    def __init__(self):
        self.p, self.got = spawn(["/usr/bin/python3", "tests/lib/kafkad.py"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True), []
        self.port = int(self.p.stdout.readline())
        self.url = f"kafka://127.0.0.1:{self.port}/weir"
        threading.Thread(target=lambda: self.got.extend(x.rstrip("\n").split(" ", 2) for x in self.p.stdout), daemon=True).start()


def files_and_telemetry(site):
    export, traffic, mine, only, PORT = site.export, site.traffic, site.mine, site.only, site.port
    port_of = lambda s: next((a["value"].get("intValue") for a in s["attributes"] if a["key"] == "server.port"), "")
    spans_of = lambda docs: [s for d in docs for r in d["resourceSpans"] for ss in r["scopeSpans"] for s in ss["spans"] if port_of(s) == str(PORT)]
    # files: weir's records, ECS, OCSF
    w = export(f"json:{tmp}/j", "--kinds", "request", "-w", mine, seen=lines("j"))
    rows = [json.loads(x) for x in open(f"{tmp}/j")]
    ok(w.rc == 0 and len(rows) == 20 == w.n["sent"] and {r["resource"] for r in rows} == {"/bad", *(f"/item/{i}" for i in range(1, 20))}, "json: each request, as a line", w.err)
    w = export(f"ecs:{tmp}/e", "--kinds", "request", "-w", mine, seen=lines("e"))
    rows = [json.loads(x) for x in open(f"{tmp}/e")]
    r = next((r for r in rows if r["url.path"] == "/bad"), {})
    ok(len(rows) == 20 and r.get("http.response.status_code") == "500" and r["@timestamp"].endswith("Z") and r["event.module"] == "weir" and r["server.port"] == PORT and
       r["event.duration"] > 1000, "ecs: names of the schema, durations in ns", rows[:1])
    w = export(f"ocsf:{tmp}/o", "--kinds", "request", "-w", mine, seen=lines("o"))
    rows = [json.loads(x) for x in open(f"{tmp}/o")]
    ok(len(rows) == 20 and all(r["class_uid"] == 4002 and r["category_uid"] == 4 and r["type_uid"] == 400203 and r["http_request"]["http_method"] == "GET" for r in rows) and
       {r["http_response"]["code"] for r in rows} == {200, 500}, "ocsf: HTTP activity", rows[:1])
    w = export(f"ocsf:{tmp}/o2", during=scan, after=6, seen=lambda: os.path.exists(f"{tmp}/o2") and "port_scan" in open(f"{tmp}/o2").read())
    rows = [json.loads(x) for x in open(f"{tmp}/o2")]
    a = [r for r in rows if r["class_uid"] == 2004]
    ok(a and a[0]["finding_info"]["title"] == "port_scan" and a[0]["finding_info"]["attacks"][0]["technique"]["uid"] == "T1046", "ocsf: a finding", rows[-1:])

    # OpenTelemetry: over HTTP as JSON and as protobuf, over gRPC; the same messages in all three
    rx = Receiver()
    protobuf = lambda path: [otlp.message(b, otlp.REQUESTS[{"/v1/traces": "Spans", "/v1/logs": "Logs", "/v1/metrics": "Metrics"}[path]]) for p, h, b in rx.got
                             if p == path and h["Content-Type"] == "application/x-protobuf"]
    rpc = Grpc()
    for name, to, docs in (("otlp", f"otlp:{rx.url}", protobuf), ("otlp_json", f"otlp_json:{rx.url}", rx.docs), ("gRPC", f"otlp:{rpc.url}", rpc.docs)):
        rx.got.clear()
        w = export(to, during=lambda: (traffic(), scan()), after=12, seen=lambda: len(spans_of(docs("/v1/traces"))) >= 20 and any("tried" in str(d) for d in docs("/v1/logs")) and docs("/v1/metrics"))
        spans = spans_of(docs("/v1/traces"))
        ok(w.rc == 0 and len(spans) == 20 and all(re.fullmatch("[0-9a-f]{32}", s["traceId"]) and re.fullmatch("[0-9a-f]{16}", s["spanId"]) and s["kind"] == 2 and
           int(s["endTimeUnixNano"]) > int(s["startTimeUnixNano"]) for s in spans), f"{name}: each request a span", (len(spans), spans[:1], w.err))
        s = [s for s in spans if s["traceId"] == TRACE]
        ok(len(s) == 1 and s[0]["name"] == "GET /item/1" and s[0]["status"]["code"] == 1, "... under the trace that it carried", s)
        ok(s and s[0].get("parentSpanId") == PARENT and not any("parentSpanId" in x for x in spans if x["traceId"] != TRACE), "... and the span that asked", s)
        ok(s and {"weir.retransmits", "weir.zero_window_us"} <= {x["key"] for x in s[0]["attributes"]}, "... with the facts of the network", s and s[0]["attributes"])
        ok([s["status"]["code"] for s in spans if s["name"] == "GET /bad"] == [2], "... with its error", spans[:1])
        logs = [r for d in docs("/v1/logs") for x in d["resourceLogs"] for y in x["scopeLogs"] for r in y["logRecords"]]
        ok(any("tried" in r["body"]["stringValue"] and r["severityText"] == "WARN" for r in logs), f"{name}: alerts as logs", [r["body"] for r in logs][:3])
        metrics = {m["name"] for d in docs("/v1/metrics") for x in d["resourceMetrics"] for y in x["scopeMetrics"] for m in y["metrics"]}
        ok({"weir.conns.live", "weir.sessions.requests"} <= metrics, f"{name}: counters as metrics", sorted(metrics)[:5])
    rpc.end()
    rpc = Grpc("14", "14")
    w = export(f"otlp:{rpc.url}", *only, after=6, seen=lambda: len(spans_of(rpc.docs("/v1/traces"))) >= 20)
    ok(w.rc == 0 and w.n["sent"] == 20 == len(spans_of(rpc.docs("/v1/traces"))), "gRPC: UNAVAILABLE is tried again, each arrives once", w.err)
    rpc.end()
    rpc = Grpc("3", "3", "3")
    w = export(f"otlp:{rpc.url}", *only)
    ok(w.rc == 1 and w.n["refused"] == 20 and "status 3: as" in w.err, "gRPC: INVALID_ARGUMENT is not: counted, and it says so", w.err)
    rpc.end()
    rpc = Grpc("partial")
    w = export(f"otlp:{rpc.url}", *only)
    ok(w.rc == 1 and w.n["refused"] == 2 and w.n["sent"] == 18 and "not so" in w.err, "gRPC: a success without two of them: those two are counted as refused", w.err)
    rpc.end()
    rx.answer = b"\x0a\x0a\x08\x02\x12\x06not so"
    w = export(f"otlp:{rx.url}", *only)
    ok(w.rc == 1 and w.n["refused"] == 2 and w.n["sent"] == 18 and "not so" in w.err, "otlp: the same over HTTP", w.err)
    rx.answer = b'{"partialSuccess":{"rejectedSpans":"2","errorMessage":"not so"}}'
    w = export(f"otlp_json:{rx.url}", *only)
    ok(w.rc == 1 and w.n["refused"] == 2 and w.n["sent"] == 18 and "not so" in w.err, "otlp_json: the same", w.err)
    rx.answer = b'{"took":3,"errors":true,"items":[{"create":{"status":201}},{"create":{"status":400,"error":{"type":"mapper_parsing_exception","reason":"no such date"}}}]}'
    w = export(f"elasticsearch:{rx.url}", *only)
    ok(w.rc == 1 and w.n["refused"] == 1 and w.n["sent"] == 19 and "no such date" in w.err, "elasticsearch: a document that was not taken is counted, though the answer is 200", w.err)
    rx.answer = b""
    w = export(f"otlp:grpc://127.0.0.1:{PORT}", *only, after=1.5)
    ok(w.rc == 1 and w.n["sent"] == 0, "gRPC: a server that does not speak it: nothing counts as sent", w.err)


def http_and_outages(site):
    export, traffic, mine, only, PORT = site.export, site.traffic, site.mine, site.only, site.port
    rx = Receiver()
    # HTTP receivers
    rx.got.clear()
    w = export(f"elasticsearch:{rx.url}", "--kinds", "request", "-w", mine, seen=rx.has(b'"create"'))
    docs = [json.loads(x) for _, _, b in rx.got for x in b.splitlines()]
    ok(rx.got and rx.got[0][0] == "/weir/_bulk" and rx.got[0][1]["Content-Type"] == "application/x-ndjson" and docs[::2] == [{"create": {}}] * 20 and
       all(x["url.path"] for x in docs[1::2]), "elasticsearch: the bulk form", docs[:2])
    rx.got.clear()
    w = export(f"loki:{rx.url}", "--kinds", "request", "-w", mine, seen=rx.has(b'"stream"'))
    st = [s for d in rx.docs("/loki/api/v1/push") for s in d["streams"]]
    ok(len(st) == 20 and all(s["stream"]["job"] == "weir" and s["values"][0][0].isdigit() and json.loads(s["values"][0][1])["server"]["port"] == PORT for s in st), "loki: streams", st[:1])
    rx.got.clear()
    open(f"{tmp}/t.json", "w").write('{"subject": "[{severity}] {detector}", "body": "{summary}\\n{advice}", "none": "{nothing}"}')
    open(f"{tmp}/h", "w").write("Authorization: Bearer s3cret\n")
    w = export(f"webhook:{rx.url}/hook", "--template", f"{tmp}/t.json", "--header", f"@{tmp}/h", during=scan, after=6, seen=rx.has(b"port_scan", 1))
    d = [x for x in rx.docs("/hook") if "port_scan" in x["subject"]]
    ok(d and d[0]["subject"] == "[medium] port_scan" and "\n" in d[0]["body"] and d[0]["none"] == "" and rx.got[0][1]["Authorization"] == "Bearer s3cret",
       "webhook: the template, filled, and the header from a file", rx.got[:1] or w.err)
    rx.got.clear()
    w = export(f"webhook:{rx.url}", during=scan, after=6, seen=rx.has(b"port_scan", 1))
    ok([x for x in rx.docs("/") if "port_scan" in x["text"] and x["record"]["detector"] == "port_scan"], "webhook: as chat programs take it", rx.got[:1] or w.err)

    # a pipe that closes
    p = subprocess.Popen(f"{WEIR} export json:- --socket {SOCK} --kinds request -w '{mine}' | head -n 2", shell=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    time.sleep(1)
    for i in range(4):
        traffic(5)
        time.sleep(1.2)
    out, err = p.communicate(timeout=20)
    ok(len(out.splitlines()) == 2 and not err, "into head: ends with it, quietly", (out, err))

    # what does not answer, what refuses, what comes back
    rx.got.clear()

    def outage():
        rx.status = 503
        traffic()
        time.sleep(1.5)
        rx.status = 200

    w = export(f"elasticsearch:{rx.url}", "--kinds", "request", "-w", mine, during=outage, after=8, seen=rx.has(b'"create"'))
    ok(w.rc == 0 and w.n["sent"] == 20 and sum(b.count(b'"create"') for _, _, b in rx.got) == 20, "an outage: sent when it is over, each once", w.err)
    rx.status = 400
    w = export(f"elasticsearch:{rx.url}", "--kinds", "request", "-w", mine)
    ok(w.rc == 1 and w.n["refused"] == 20 and "answers 400" in w.err, "refused: counted, status 1, and it says so", w.err)
    rx.status = 200
    free = free_port()
    w = export(f"loki:http://127.0.0.1:{free}", "--kinds", "request", "-w", mine, "--queue", "65536", during=lambda: traffic(400), after=1)
    ok(w.rc == 1 and w.n["full"] > 50 and w.n["held"] > 10 and w.n["sent"] == 0, "nobody there: the queue is bounded, what does not fit is counted", w.err)
    sh(f"mount -t tmpfs -o size=64k none {tmp}/full", False) if os.makedirs(f"{tmp}/full") is None else 0
    later(sh, f"umount {tmp}/full", False)
    w = export(f"json:{tmp}/full/j", "--kinds", "request", "-w", mine, during=lambda: traffic(200), after=1)
    whole = [json.loads(x) for x in open(f"{tmp}/full/j")]
    ok(w.rc == 1 and "No space" in w.err and w.n["held"] and len(whole) == w.n["sent"], "a full disk: whole lines, the rest is held, and it says so", w.err)

    # a spool: what finds no room waits on the disk, over the end and a kill; then it goes, each once
    down, sp = free_port(), f"{tmp}/spool"
    spooled = lambda w: int((re.search(r"(\d+) of those held back wait in", w.err) or [0, 0])[1])
    on_disk = lambda: len([x for x in os.listdir(sp) if x.endswith(".batch")])
    w = export(f"loki:http://127.0.0.1:{down}", "--kinds", "request", "-w", mine, "--queue", "65536", "--spool", sp, during=lambda: traffic(400), after=1)
    ok(w.rc == 0 and w.n["in"] == 400 == w.n["held"] == spooled(w) and w.n["full"] == 0 and on_disk() >= 3, "a spool: nobody there, nothing dropped, all of it waits on the disk", w.err)
    p = Weir("export", f"loki:http://127.0.0.1:{down}", "--kinds", "request", "-w", mine, "--queue", "65536", "--spool", sp, "--socket", SOCK, ready=1)
    traffic(300)
    until(lambda: on_disk() >= 6, 8)
    w = weir("export", f"loki:{rx.url}", "--kinds", "request", "--spool", sp, "--socket", SOCK, "--for", "1s")
    ok(w.returncode == 2 and "in use" in w.stderr, "... of one export at a time", w.stderr)
    time.sleep(1.5)
    p.p.kill(), p.p.wait()
    w = weir("export", f"ecs:{tmp}/no", "--kinds", "request", "--spool", sp, "--socket", SOCK, "--for", "1s")
    ok(w.returncode == 2 and "loki" in w.stderr, "... and of one exporter", w.stderr)
    bad = sorted(x for x in os.listdir(sp) if x.endswith(".batch"))[1]
    data = open(f"{sp}/{bad}", "rb").read()
    open(f"{sp}/{bad}", "wb").write(data[:-20] + b"x" + data[-19:])
    rx.got.clear()
    w = export(f"loki:{rx.url}", "--kinds", "request", "-w", mine, "--spool", sp, during=lambda: traffic(10), after=4)
    arrived = [s["values"][0] for d in rx.docs("/loki/api/v1/push") for s in d["streams"]]
    ok(w.n["sent"] == len(arrived) == len(set(map(tuple, arrived))) and w.n["held"] == 0 == on_disk() and w.n["refused"] > 0 and w.n["sent"] + w.n["refused"] >= 700 and w.rc == 1 and
       "1 damaged" in w.err and os.path.exists(f"{sp}/{bad[:-6]}.bad"), "... a kill -9 later all but a damaged file arrives, each once", (w.err, len(arrived)))
    times = [int(a[0]) for a in arrived]
    ok(times == sorted(times) or sum(a > b for a, b in zip(times, times[1:])) < 30, "... in about the order in which they came", times[:5])
    sh(f"mount -t tmpfs -o size=80k none {tmp}/full2", False) if os.makedirs(f"{tmp}/full2") is None else 0
    later(sh, f"umount {tmp}/full2", False)
    w = export(f"loki:http://127.0.0.1:{down}", "--kinds", "request", "-w", mine, "--queue", "65536", "--spool", f"{tmp}/full2/s", during=lambda: traffic(400), after=1)
    ok(w.rc == 1 and w.n["full"] > 0 and 0 < spooled(w) < 400, "... a full disk: what fits, the rest is counted", w.err)


def syslog_flows_kafka(site):
    export, traffic, mine, only, PORT = site.export, site.traffic, site.mine, site.only, site.port
    # a real syslog server
    if shutil.which("rsyslogd"):
        up, tp = free_port(), free_port()
        open(f"{tmp}/r.conf", "w").write(f'''
module(load="imudp") input(type="imudp" port="{up}" address="127.0.0.1")
module(load="imtcp") input(type="imtcp" port="{tp}" address="127.0.0.1")
template(name="t" type="string" string="%syslogfacility-text%|%syslogseverity-text%|%app-name%|%msgid%|%structured-data%|%hostname%|%msg%\\n")
action(type="omfile" file="{tmp}/syslog" template="t" fileCreateMode="0644")
''')
        rs = spawn(["rsyslogd", "-n", "-f", f"{tmp}/r.conf", "-i", f"{tmp}/r.pid"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until(lambda: not socket.socket().connect_ex(("127.0.0.1", tp)))
        for how, port in (("udp", up), ("tcp", tp)):
            open(f"{tmp}/syslog", "w").close()
            w = export(f"syslog:{how}://127.0.0.1:{port}", "--kinds", "request", "-w", mine, seen=lines("syslog"))
            rows = [x.split("|", 6) for x in open(f"{tmp}/syslog")]
            ok(len(rows) == 20 and all(r[:4] == ["local0", r[1], "weir", "request"] and f'server.port="{PORT}"' in r[4] for r in rows) and
               sorted(r[1] for r in rows) == ["info"] * 19 + ["warning"], f"syslog over {how}: as rsyslog reads it", rows[:2] or w.err)
        # TLS: rsyslog asks for a certificate, too
        cert = lambda name, *more: sh(f"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout {tmp}/{name}.key -out {tmp}/{name}.pem -days 2 -subj /CN={name} " + " ".join(more))
        cert("server", "-addext subjectAltName=IP:127.0.0.1"), cert("client"), cert("stranger")
        open(f"{tmp}/both.pem", "w").write(open(f"{tmp}/server.pem").read() + open(f"{tmp}/client.pem").read())
        sp = free_port()
        open(f"{tmp}/s.conf", "w").write(f'''
global(defaultNetstreamDriverCAFile="{tmp}/both.pem" defaultNetstreamDriverCertFile="{tmp}/server.pem" defaultNetstreamDriverKeyFile="{tmp}/server.key")
module(load="imtcp" StreamDriver.Name="gtls" StreamDriver.Mode="1" StreamDriver.Authmode="x509/certvalid") input(type="imtcp" port="{sp}" address="127.0.0.1")
template(name="t" type="string" string="%syslogfacility-text%|%syslogseverity-text%|%app-name%|%msgid%|%structured-data%|%hostname%|%msg%\\n")
action(type="omfile" file="{tmp}/secure" template="t" fileCreateMode="0644")
''')
        spawn(["rsyslogd", "-n", "-f", f"{tmp}/s.conf", "-i", f"{tmp}/s.pid"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if until(lambda: not socket.socket().connect_ex(("127.0.0.1", sp))) and os.path.exists("/usr/lib/x86_64-linux-gnu/rsyslog/lmnsd_gtls.so"):
            me = ("--certificate", f"{tmp}/client.pem", "--key", f"{tmp}/client.key")
            trust = ("--ca", f"{tmp}/server.pem")
            for name, where, more, good in (("as rsyslog reads it", "127.0.0.1", (*trust, *me), True), ("a server that nobody vouches for: nothing is sent", "127.0.0.1", ("--ca", f"{tmp}/stranger.pem", *me), False),
                                            ("a server of another name: nothing is sent", "localhost", (*trust, *me), False), ("who it is was asked and not said: nothing counts as sent", "127.0.0.1", trust, False)):
                open(f"{tmp}/secure", "w").close()
                w = export(f"syslog:tls://{where}:{sp}", "--kinds", "request", "-w", mine, *more, seen=lines("secure"))
                time.sleep(0.5)
                rows = [x.split("|", 6) for x in open(f"{tmp}/secure")]
                if good:
                    ok(w.rc == 0 and len(rows) == 20 and all(r[:4] == ["local0", r[1], "weir", "request"] and f'server.port="{PORT}"' in r[4] for r in rows), f"syslog over TLS: {name}", lambda: (rows[:2], w.err))
                else:
                    ok(w.rc == 1 and not rows and w.n["sent"] == 0 and w.n["held"] == 20 and "tls://" in w.err, f"syslog over TLS: {name}", lambda: (rows[:2], w.err))
            w = weir("export", f"syslog:tls://127.0.0.1:{sp}", "--ca", f"{tmp}/none", "--socket", SOCK)
            ok(w.returncode == 2 and "none: No such file" in w.stderr, "a file that is not there is told at once", w.stderr)
        else:
            skip("syslog over TLS", "rsyslog-gnutls is not installed")
        open(f"{tmp}/syslog", "w").close()
        w = export(f"syslog:udp://127.0.0.1:{up}", during=scan, after=6, seen=lambda: "port_scan" in open(f"{tmp}/syslog").read())
        rows = open(f"{tmp}/syslog").read()
        ok("|alert|" in rows and 'detector="port_scan"' in rows and "tried" in rows, "syslog: an alert in words", rows[:400])
    else:
        skip("syslog", "rsyslogd is not installed")

    # a real flow collector
    if shutil.which("nfcapd"):
        port = free_port()
        os.mkdir(f"{tmp}/nf")
        nf = spawn(["nfcapd", "-w", f"{tmp}/nf", "-b", "127.0.0.1", "-p", str(port), "-t", "60"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(1)
        w = export(f"ipfix:udp://127.0.0.1:{port}", "-w", mine)
        time.sleep(0.5)
        nf.send_signal(signal.SIGTERM)
        nf.wait(20)
        out = sh(f"nfdump -R {tmp}/nf -q -o csv 'port {PORT}' 2>/dev/null", False)
        rows = [x.split(",") for x in out.splitlines() if "127.0.0.1" in x]
        ok(len(rows) == 40, "ipfix: two flows a connection, as nfdump reads them", (out[:600], w.err))
        dump = sh(f"nfdump -R {tmp}/nf -q -o 'fmt:%sa %sp %da %dp %pr %byt %pkt' 'src port {PORT}' 2>/dev/null", False).split("\n")[0].split()
        ok(len(dump) == 7 and dump[:2] == ["127.0.0.1", str(PORT)] and dump[4].lower() in ("tcp", "6") and int(dump[5]) > 50 and int(dump[6]) >= 3, "... with addresses, ports, bytes, packets", dump)
    else:
        skip("ipfix", "nfcapd is not installed")

    # Kafka: a broker that speaks the protocol, and a consumer
    k = Kafka()
    w = export(f"json:{k.url}", *only, after=10, seen=lambda: len(k.got) >= 20)
    rows = [json.loads(x) for _, _, x in k.got]
    ok(w.rc == 0 and w.n["sent"] == 20 == len(rows) and {r["resource"] for r in rows} == {"/bad", *(f"/item/{i}" for i in range(1, 20))}, "Kafka: each request a message", (w.err, rows[:1]))
    ok(all(key == r["conn"] for (_, key, _), r in zip(k.got, rows)) and len({p for p, _, _ in k.got}) > 1, "... keyed by its connection, over the partitions", [x[:2] for x in k.got])
    k.got.clear()
    w = export(f"ecs:{k.url}", *only, after=10, seen=lambda: len(k.got) >= 20)
    ok(w.rc == 0 and len(k.got) == 20 and all(json.loads(x)["event.module"] == "weir" for _, _, x in k.got), "... in any form of lines", w.err)
    k.got.clear()
    sh(f"nft add table inet weir_kafka && nft add chain inet weir_kafka o '{{ type filter hook output priority 0; }}' && nft add rule inet weir_kafka o tcp dport {k.port} reject with tcp reset")
    later(sh, "nft delete table inet weir_kafka", False)

    def broker_away():
        traffic()
        time.sleep(7)
        sh("nft delete table inet weir_kafka")

    w = export(f"json:{k.url}", *only, during=broker_away, after=15, seen=lambda: len(k.got) >= 20)
    ok(w.rc == 0 and w.n["sent"] == 20 == len(k.got) == len({tuple(x) for x in k.got}), "... a broker that was away: sent when it is back, each once", (w.err, len(k.got)))
    k.p.terminate(), k.p.wait()
    w = export(f"json:{k.url}", *only, after=1)
    ok(w.rc == 1 and w.n["held"] == 20 and "refused" in w.err.lower().split("held back")[-1], "... nobody there: held, and it says why", w.err)

    # StatsD: datagrams
    u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    u.bind(("127.0.0.1", 0)), u.settimeout(0.2)
    w = export(f"statsd:127.0.0.1:{u.getsockname()[1]}", "--kinds", "request", "-w", mine)
    got = []
    try:
        while True:
            got += u.recv(2000).decode().split("\n")
    except OSError:
        pass
    ok(len([g for g in got if re.fullmatch(r"weir\.requests\.[\w-]+\.http:[\d.]+\|ms", g)]) == 20 and len([g for g in got if g.startswith("weir.errors.") and g.endswith(":1|c")]) == 1,
       "statsd: durations and errors", got[:3])


def group(run):
    try:
        run(Site())
    except Exception as e:
        ok(False, run.__name__, e)


groups = [threading.Thread(target=group, args=(run,)) for run in (files_and_telemetry, http_and_outages, syslog_flows_kafka)]
for t in groups:
    t.start()
for t in groups:
    t.join()
site = Site()

# an agent that goes and comes again
w = Weir("export", f"json:{tmp}/again", "--kinds", "request", "-w", site.mine, "--socket", SOCK, ready=1)
agent.end()
agent = Weir("run", "-q", "--agent.socket", SOCK, ready=3.5)
site.traffic()
time.sleep(2)
w.end()
ok(len(open(f"{tmp}/again").read().splitlines()) == 20, "the agent was started again: found again", w.err)

# wrong use
for args, rc, words in ((["nonsense:/x"], 2, "no exporter 'nonsense'"), (["syslog"], 2, "where to?"), (["syslog:/x"], 2, "does not go into a file"), (["otlp:udp://x:1"], 2, "does not go to"),
                        (["loki:kafka://h:9092/x"], 2, "does not go to Kafka"), (["json:kafka://h:9092"], 2, "kafka://HOST:PORT/TOPIC"), (["kafka:h:9092/x"], 2, "json:kafka://"), (["json:grpc://h:1"], 2, "does not go over gRPC"),
                        (["elasticsearch:/x"], 2, "does not go into a file"), (["json:/x", "--kinds", "colour"], 2, "no kind 'colour'"), (["json:/x", "-w", "server.port = 1"], 2, "one kind"), (["json:/x", "--template", "/y"], 2, "webhook"),
                        (["webhook:http://h/", "--template", "/nonexistent"], 2, "/nonexistent: No such"), ([], 2, "NAME:WHERE"), (["json:/x", "--kinds", "request", "-w", "server.prot = 1"], 3, "server.port")):
    w = weir("export", *args, "--socket", SOCK)
    ok(w.returncode == rc and words in w.stderr, f"wrong: {' '.join(args)[:40]}", (w.returncode, w.stderr))
w = weir("export", "json:/x", "--socket", f"{tmp}/none")
ok(w.returncode == 3 and "weir run" in w.stderr, "no agent: says how to start it", w.stderr)
ok("ipfix" in weir("export", "--list").stdout, "--list")
agent.end()
done()
