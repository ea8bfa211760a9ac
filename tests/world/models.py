# SPDX-License-Identifier: Apache-2.0
"""Calls to language models and streams of events: model, tokens, time to the first one, against what the server itself did; TLS, a gateway, HTTP/2."""
import http.client, json, os, shutil, socket, ssl, sys, threading
sys.path.insert(0, "tests/lib")
from world import *

need_root()
T = tempfile.mkdtemp(prefix="weir-models-")
os.chmod(T, 0o755)
later(shutil.rmtree, T, True)
quiet = dict(stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
sh(f"openssl req -x509 -newkey rsa:2048 -nodes -keyout {T}/k.pem -out {T}/c.pem -days 30 -subj /CN=localhost 2>/dev/null")
# answers in the forms of two APIs; what it did and when goes into its log
open(f"{T}/s.py", "w").write("""
import gzip, http.server, json, os, ssl, sys, time
class H(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def chunk(self, b):
        self.wfile.write(b"%x\\r\\n%s\\r\\n" % (len(b), b))
    def event(self, d):
        self.chunk(b"data: " + json.dumps(d).encode() + b"\\n\\n")
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        for i in range(30):
            self.wfile.write(b"id: %d\\ndata: tick\\n\\n" % i)
            time.sleep(0.01)
        self.close_connection = True
    def do_POST(self):
        q = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        tokens, wait, prompt = q["n"], q["wait"], len(json.dumps(q["messages"])) // 4
        did = dict(id=q["id"], model=q["model"], prompt=prompt, tokens=tokens)
        usage = dict(prompt_tokens=prompt, completion_tokens=tokens)
        time.sleep(wait)
        if not q.get("stream"):
            b = json.dumps(dict(model=q["model"] + "-2026", usage=usage, choices=[dict(finish_reason="stop", message=dict(content="a " * tokens))])).encode()
            z = "gzip" in self.headers.get("Accept-Encoding", "")
            b = gzip.compress(b) if z else b
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            if z:
                self.send_header("Content-Encoding", "gzip")
            self.send_header("Content-Length", str(len(b)))
            self.end_headers()
            self.wfile.write(b)
        else:
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.event(dict(choices=[dict(delta=dict(role="assistant", content=""))]))
            time.sleep(wait)
            did["first"] = time.time_ns()
            for i in range(tokens):
                self.event(dict(model=q["model"] + "-2026", choices=[dict(delta=dict(content="word " * q.get("words", 1)))]))
                if tokens < 100:
                    time.sleep(0.005)
            if q.get("breaks"):
                self.event(dict(error=dict(type="server_error", message="no")))
            self.event(dict(choices=[], usage=usage))
            self.chunk(b"data: [DONE]\\n\\n")
            self.chunk(b"")
        os.write(1, json.dumps(did).encode() + b"\\n")  # in one piece: others write too
    def log_message(self, *a): pass
s = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), H)
if len(sys.argv) > 2:
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    c.load_cert_chain(sys.argv[2] + "/c.pem", sys.argv[2] + "/k.pem")
    s.socket = c.wrap_socket(s.socket, server_side=True)
s.serve_forever()
""")
log = open(f"{T}/log", "w+")
PLAIN, TLS, GATE = 18701, 18702, 18703
spawn(["/usr/bin/python3", f"{T}/s.py", str(PLAIN)], stdout=log, stderr=subprocess.DEVNULL)
spawn(["/usr/bin/python3", f"{T}/s.py", str(TLS), T], stdout=log, stderr=subprocess.DEVNULL)
open(f"{T}/n.conf", "w").write(f"""daemon off; master_process off; pid {T}/n.pid; error_log /dev/null;
events {{ worker_connections 64; }}
http {{ access_log off; client_body_temp_path {T}/b; fastcgi_temp_path {T}/f; proxy_temp_path {T}/p; uwsgi_temp_path {T}/u; scgi_temp_path {T}/s; client_max_body_size 9m;
 server {{ listen 127.0.0.1:{GATE} http2; location / {{ proxy_pass http://127.0.0.1:{PLAIN}; proxy_http_version 1.1; proxy_buffering off; }} }} }}
""")
spawn(["nginx", "-c", f"{T}/n.conf", "-e", "/dev/null"], **quiet)
for p in (PLAIN, TLS, GATE):
    listening(p)

w = Weir("requests", "--json", "--standalone", ready=2)
took = {}


def body(id, **kw):
    q = dict(id=id, n=20, wait=0.05, messages=[dict(role="user", content="x" * kw.pop("prompt", 40))], model="small")
    return json.dumps(q | kw)


def calls(prefix, make, each):
    """on one connection: the time to the first token as the client has it"""
    c = make()
    for i, kw in enumerate(each):
        id = f"{prefix}{i}"
        t = time.time_ns()
        c.request("POST", f"/v1/chat/completions?id={id}", body(id, **kw), {"Content-Type": "application/json"} | ({"Accept-Encoding": "gzip"} if kw.get("zip") else {}))
        r = c.getresponse()
        while kw.get("stream"):
            line = r.readline()
            if not line or b"word" in line:
                took[id] = (time.time_ns() - t) / 1000
                break
        r.read()


S = dict(stream=True)
EACH = [dict(), S, S | dict(n=400, words=40), dict(n=9000), S | dict(wait=0.3), dict(prompt=300000), S | dict(prompt=300000), dict(zip=1, n=5000), S | dict(breaks=1)]
no = ssl.create_default_context()
no.check_hostname, no.verify_mode = False, ssl.CERT_NONE
threads = [threading.Thread(target=calls, args=(k, m, EACH)) for k, m in (
    ("p", lambda: http.client.HTTPConnection("127.0.0.1", PLAIN)), ("q", lambda: http.client.HTTPConnection("127.0.0.1", PLAIN)),
    ("t", lambda: http.client.HTTPSConnection("127.0.0.1", TLS, context=no)))]
[t.start() for t in threads]
[t.join() for t in threads]
open(f"{T}/q", "w").write(body("h2", stream=True))
sh(f"curl -s --http2-prior-knowledge --data @{T}/q 'http://127.0.0.1:{GATE}/v1/chat/completions?id=h2' >/dev/null; curl -s http://127.0.0.1:{PLAIN}/live >/dev/null")
time.sleep(1)
w.end()
did = {d["id"]: d for d in map(json.loads, open(f"{T}/log"))}
req = [r for r in w.records if r["kind"] == "request" and "model" in r]
name = lambda r: r["resource"].split("id=")[1]
by = {name(r): r for r in req if get(r, "server.port") in (PLAIN, TLS) and r["protocol"] == "http"}
# what was sent before weir knew what the connection carries is not all copied: that is a gap, and never a wrong number
first = {"p0", "q0", "t0"}
same = lambda id: (by[id].get("model"), by[id].get("input_tokens"), by[id].get("output_tokens")) == ("small", did[id]["prompt"], did[id]["tokens"])
wrong = {id: by.get(id) for id in did if id[0] in "pqt" and (id not in by or not same(id))}
ok(len(did) == 3 * len(EACH) + 1 and not wrong, "model and tokens of each call are what the server says, plain and inside TLS, long, streamed, compressed", lambda: wrong)
off = {id: (by[id].get("first_token_us"), us) for id, us in took.items() if id in by and not 0.7 * us - 3000 < by[id].get("first_token_us", 0) < us + 3000}
ok(len(took) == 5 * 3 and not off, "the time to the first token is the client's", lambda: (off, took))
ok(all("first_token_us" not in by[id] for id in did if id not in took and id != "h2"), "... and none is told of what is not streamed")
ok(all(get(by[k + "2"], "detail.events") == 403 for k in "pqt"), "every event of a stream is counted", lambda: [by[k + "2"] for k in "pqt"])
ok(all(by[k + "8"]["error"] and get(by[k + "8"], "detail.error_type") == "server_error" and by[k + "8"]["status"] == "200" for k in "pqt"), "an error inside a stream is one, whatever its status", lambda: [by[k + "8"] for k in "pqt"])
ok(get(by["p0"], "detail.response_model") == "small-2026" and get(by["p0"], "detail.finish_reason") == "stop", "the model that answered", by["p0"])
h2 = [r for r in req if name(r) == "h2"]
ok({r["protocol"] for r in h2} == {"http", "http2"} and all(r["output_tokens"] == 20 and r["first_token_us"] > 100000 for r in h2), "the same through a gateway, HTTP/2 in front and HTTP/1.1 behind", h2)
live = [r for r in w.records if r.get("resource") == "/live"]
ok(live and get(live[0], "detail.events") == 30 and "model" not in live[0], "a stream of events that is no call", live)
text = json.dumps(w.records)
ok("word word" not in text and "xxxx" not in text, "no text of prompt or answer is in a record")

# sums by model, by any view
w = Weir("trace", "request", "--json", "--standalone", "--by", "model", "--show", "count,sum(input_tokens),sum(output_tokens),p50(first_token_us)", "--for", "3s", "-w", f"server.port = {PLAIN} and model = other", ready=1.5)
calls("z", lambda: http.client.HTTPConnection("127.0.0.1", PLAIN), [S | dict(model="other", n=i) for i in (3, 4, 5)])
w.end(sig=None)
got = [r for r in w.records if r["kind"] != "loss"]
ok(len(got) == 1 and "12" in json.dumps(got[0]) and "other" in json.dumps(got[0]), "tokens summed by model", got)
done()
