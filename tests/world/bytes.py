# SPDX-License-Identifier: Apache-2.0
"""The bytes of messages: live and from a capture, against what the ends themselves sent and got, and against tshark;
secrets hidden; the field that is wrong."""
import sys, threading
sys.path.insert(0, "tests/lib")
from world import *

need_root()
T = tempfile.mkdtemp(prefix="weir-bytes-")
later(sh, f"rm -rf {T}")
PORT = free_port()
BODY = b"x" * 100000
got_by_server = []


def server():
    """Takes nearly everything, as a lenient server does; a request ends with its empty line and its length."""
    ls = socket.create_server(("127.0.0.1", PORT))
    while True:
        c, _ = ls.accept()
        threading.Thread(target=serve, args=(c,), daemon=True).start()


def serve(c):
    buf = b""
    while True:
        while b"\r\n\r\n" in buf:
            head, rest = buf.split(b"\r\n\r\n", 1)
            n = re.search(rb"(?i)content-length\s*:\s*(\d+)", head)
            n = int(n[1]) if n else 0
            if len(rest) < n:
                break
            got_by_server.append(head + b"\r\n\r\n" + rest[:n])
            buf = rest[n:]
            status = b"404 Not Found" if b"/none" in head else b"200 OK"
            c.sendall(b"HTTP/1.1 " + status + b"\r\nContent-Length: 5\r\nSet-Cookie: id=geheim\r\n\r\nhello")
        try:
            got = c.recv(65536)
        except ConnectionResetError:
            return
        if not got:
            return
        buf += got


threading.Thread(target=server, daemon=True).start()
ask = lambda path, *fields: "\r\n".join([f"GET {path} HTTP/1.1", *fields, "", ""]).encode()
GOOD = [ask("/good?password=geheim", "Host: h", "Authorization: Basic Z2VoZWlt"), ask("/none", "Host: h"),
        b"POST /large HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY]
# what is wrong, which bytes of it, by which section
WRONG = [(ask("/space", "Host : h"), b" :", 1, "RFC 9112 5.1"), (ask("/control", "Host: h", "X: a\x01b"), b"\x01", 1, "RFC 9110 5.5"),
         (ask("/twice", "Host: one", "Host: other"), b"other", 5, "RFC 9112 3.2"),
         (ask("/lengths", "Host: h", "Content-Length: 0, 7"), b"7", 1, "RFC 9112 6.3"), (ask("/nohost", "A: b"), None, 0, "RFC 9112 3.2")]


def talk():
    """Everything on one connection, an answer awaited before the next; returns what came back."""
    answers = []
    c = socket.create_connection(("127.0.0.1", PORT))
    for m in GOOD + [w[0] for w in WRONG]:
        c.sendall(m)
        a = c.recv(4096)
        while not a.endswith(b"hello"):
            a += c.recv(4096)
        answers.append(a)
    c.sendall(b"G@T /method HTTP/1.1\r\nHost: h\r\n\r\n")
    time.sleep(0.2)
    c.close()
    return answers


def messages(recs, part=None):
    return [r for r in recs if r["kind"] == "message" and r.get("part") == part]


plain = lambda m: bytes.fromhex(m["data"])
marks = lambda m: {f["name"]: (f["at"], f["length"]) for f in m.get("fields", [])}
dump = spawn(["tcpdump", "-i", "lo", "-U", "-s", "0", "-w", f"{T}/x.pcap", f"tcp port {PORT}"], stderr=subprocess.DEVNULL)
raw = Weir("requests", "--bytes", "--unmasked", "--json", "-w", f"server.port = {PORT} or client.port = {PORT}", ready=1.8)
safe = Weir("requests", "--bytes", "--json", ready=1.8)
some = Weir("requests", "--bytes", "--json", "-w", "status = 404", ready=1.8)
text = Weir("requests", "--bytes", "-w", f"server.port = {PORT}", ready=1.8)
answers = talk()
time.sleep(1.5)
raw, safe, some, table = [w.end().out for w in (raw, safe, some, text)]
raw, safe, some = records(raw), [r for r in records(safe) if get(r, "server.port") == PORT], records(some)
dump.send_signal(signal.SIGINT)
dump.wait()

asked, answered = messages(raw, "request"), messages(raw, "response")
want = GOOD + [w[0] for w in WRONG]
ok(len(asked) == len(want), "a message for each request", lambda: f"{len(asked)} of {len(want)}")
ok(all(m["length"] == len(w) for m, w in zip(asked, want)), "their lengths are those that were sent, bodies included",
   lambda: [(m["length"], len(w)) for m, w in zip(asked, want)])
ok(all(w.startswith(plain(m)) and len(plain(m)) == min(len(w), 4096) for m, w in zip(asked, want)), "their bytes, up to 4,096 of each",
   lambda: [(plain(m)[:80], w[:80]) for m, w in zip(asked, want)])
# one more follows: to what was no request
ok([plain(m) for m in answered[:len(want)]] == answers, "the bytes of the answers are what the client got", lambda: [plain(m) for m in answered])
ok(got_by_server[:len(want)] == want, "the server got the same")
r = [x["kind"] for x in raw if x["kind"] in ("request", "message")][:3]
ok(r == ["request", "message", "message"], "a request, its message, its answer's", r)
first = asked[0]
at = lambda m, name: plain(m)[marks(m)[name][0]:sum(marks(m)[name])]
ok(at(first, "operation") == b"GET" and at(first, "resource") == b"/good?password=geheim" and at(first, "host") == b"h",
   "fields stand where they were read", lambda: marks(first))
ok(at(answered[1], "status") == b"404", "the status, too", lambda: marks(answered[1]))

by_path = {w[0].split()[1].decode(): (w, m) for w, m in zip(WRONG, asked[len(GOOD):])}
for path, ((sent, what, n, rule), m) in by_path.items():
    place = sent.rindex(what) if what else None
    ok(m.get("rule", "").startswith(rule) and get(m, "wrong.at") == place and (get(m, "wrong.length") or 0) == n, f"{path}: {rule}, at byte {place}",
       lambda: {k: m.get(k) for k in ("rule", "wrong")})
ok(not any("rule" in m for m in asked[:len(GOOD)] + answered), "nothing is wrong with the others")
alone = [r for r in safe if r["kind"] == "message" and "part" not in r]
ok(len(alone) == 1 and alone[0]["rule"].startswith("RFC 9110 9.1") and get(alone[0], "wrong.length") == 3 and not get(alone[0], "wrong.at"),
   "what is no message at all is shown by itself, with the method that is none", alone)

shown = "".join(r["data"] for r in safe if r["kind"] == "message")
ok(b"geheim".hex() not in shown and b"Z2VoZWlt".hex() not in shown and b"Authorization".hex() not in shown, "secrets are hidden without --unmasked")
hidden = messages(safe, "request")[0]
ok(hidden["data"].startswith(b"GET".hex() + "..") and hidden["length"] == len(want[0]) and len(hidden["data"]) == 2 * len(want[0]),
   "what the record shows is not, and each byte has its place", hidden)
ok(len(messages(some, "request")) == 1 and len(messages(some, "response")) == 1 and not messages(some), "a filter chooses requests with their messages",
   lambda: [r["kind"] for r in some])
ok("operation 0+3" in table and re.search(r"request of \d+ bytes, from the client", table) and "hidden (--unmasked" in table, "for people: rows with what begins in them",
   table[:600])
row = re.search(r"\n(    \d{4} .*\|.*)\n( +\^\^ *)\n", table)
ok(row and row[1][row[2].index("^"):][:2] in ("..", "20"), "marks stand under the wrong byte", lambda: row and row[0])

# a capture, and tshark's view of it
got = records(weir("read", f"{T}/x.pcap", "--kind", "request", "--bytes", "--unmasked", "--json").stdout)
ok([m["data"] for m in messages(got, "request")] == [m["data"] for m in asked] and
   [m["data"] for m in messages(got, "response")] == [m["data"] for m in answered], "the same from a capture")
ok([(m.get("rule"), m.get("wrong")) for m in messages(got, "request")] == [(m.get("rule"), m.get("wrong")) for m in asked], "with the same faults")
san = os.path.join(BUILD, "san/weir")
if os.path.exists(san):
    a, b = (weir("read", f"{T}/x.pcap", "--kind", "request", "--bytes", "-q", weir=w) for w in (san, WEIR))
    ok(a.stdout == b.stdout and "Sanitizer" not in a.stderr and "^^" in a.stdout, "the same with sanitizers", a.stderr[-2000:])
if sh("command -v tshark", check=False):
    t = sh(f"tshark -r {T}/x.pcap -Y 'tcp.len > 0 and tcp.srcport == {PORT}' -T fields -e tcp.payload 2>/dev/null").split()
    ok("".join(t) == "".join(m["data"] for m in messages(got, "response")), "tshark's bytes of the answers are the same")
else:
    skip("tshark's bytes of the answers are the same", "no tshark")

for args, words in ((("requests", "--bytes", "--by", "operation"), "--by"), (("requests", "--bytes", "--since", "1h"), "history keeps no bytes"),
                    (("requests", "--bytes", "--csv"), "CSV"), (("read", f"{T}/x.pcap", "--bytes"), "--kind request")):
    p = weir(*args)
    ok(p.returncode == 2 and words in p.stderr, f"{' '.join(args[:1] + args[-2:])}: a clear error", p.stderr)
done()
