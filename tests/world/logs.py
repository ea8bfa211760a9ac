# SPDX-License-Identifier: Apache-2.0
"""Lines of logs joined to requests: nginx's access and error log, an application's own, by trace, by what they say, by
time; several at once; rotated; of a time that is past; the journal. Truth: each line carries the number of its request."""
import shutil, sys, threading
sys.path.insert(0, "tests/lib")
from world import *

need_root()
T = tempfile.mkdtemp(prefix="weir-logs-")
later(shutil.rmtree, T, True)
WEB, APP = free_port(), free_port()
os.makedirs(f"{T}/www")
os.chmod(T, 0o755)
for i in range(40):
    open(f"{T}/www/f{i}", "w").write(f"{i}\n")
open(f"{T}/nginx.conf", "w").write(f"""daemon off; master_process off; pid {T}/pid; error_log {T}/error.log;
events {{ }}
http {{ log_format n '$remote_addr - - [$time_local] "$request" $status n=$arg_n';
  access_log {T}/access.log n; server {{ listen 127.0.0.1:{WEB}; root {T}/www; }} }}
""")
nginx = spawn(["nginx", "-c", f"{T}/nginx.conf", "-e", f"{T}/error.log"], stderr=subprocess.DEVNULL)
# an application with a log of its own: it names a trace, or nothing
open(f"{T}/app.py", "w").write(f"""
import socketserver, time
log = open("{T}/app.log", "a", buffering=1)
class H(socketserver.BaseRequestHandler):
    def handle(self):
        head = b""
        while b"\\r\\n\\r\\n" not in head:
            head += self.request.recv(4096)
        path = head.split()[1].decode()
        trace = [l.split(b"-")[1].decode() for l in head.split(b"\\r\\n") if l.startswith(b"traceparent:")]
        if "slow" in path:
            time.sleep(0.3)
        if "traced" in path:
            log.write("%d trace=%s stock is low\\n" % (time.time(), trace[0]))
        elif "quiet" not in path:
            log.write("item %s is not there\\n" % path.rsplit("=")[-1])
        self.request.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 0\\r\\nConnection: close\\r\\n\\r\\n")
class S(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
S(("127.0.0.1", {APP}), H).serve_forever()
""")
app = spawn([sys.executable, f"{T}/app.py"])
until(lambda: os.path.exists(f"{T}/access.log") and os.path.exists(f"{T}/app.log"))
time.sleep(0.5)


def ask(port, path, *fields):
    c = socket.create_connection(("127.0.0.1", port))
    c.sendall("\r\n".join([f"GET {path} HTTP/1.1", "Host: h", "Connection: close", *fields, "", ""]).encode())
    while c.recv(65536):
        pass
    c.close()


def groups(recs):
    """Each request with the lines that follow it."""
    out = []
    for r in recs:
        if r["kind"] == "request":
            out.append((r, []))
        elif r["kind"] == "log":
            out[-1][1].append(r)
    return out


number = lambda path: (re.search(r"n=(\d+)", path) or [0, None])[1]
agent = Weir("run", "--store.path", f"{T}/store", "--agent.socket", f"{T}/s", ready=1.5)
LOGS = f"{T}/access.log,{T}/error.log,{T}/app.log"
live = Weir("requests", "--socket", f"{T}/s", "--logs", LOGS, "--json", "-w", "protocol = http", ready=0.5)
table = Weir("requests", "--socket", f"{T}/s", "--logs", LOGS, "-w", f"server.port = {WEB}", ready=1.5)
for i in range(20):  # each with its own path and number
    ask(WEB, f"/f{i}?n={i}")
ask(WEB, "/none?n=20")
time.sleep(1)
parallel = [threading.Thread(target=ask, args=(WEB, f"/f1?n={100 + i}")) for i in range(30)]
[t.start() for t in parallel]
[t.join() for t in parallel]
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
ask(APP, "/traced", f"traceparent: 00-{TRACE}-00f067aa0ba902b7-01")
time.sleep(1.5)
ask(APP, "/alone?n=201")
time.sleep(1.5)
both = [threading.Thread(target=ask, args=(APP, f"/slow?n={301 + i}")) for i in range(2)]
[t.start() for t in both]
[t.join() for t in both]
time.sleep(1.5)
ask(APP, "/quiet")
time.sleep(1)
os.rename(f"{T}/access.log", f"{T}/access.log.1")
os.kill(nginx.pid, signal.SIGUSR1)
time.sleep(3)
for i in range(20, 30):
    ask(WEB, f"/f{i}?n={i + 400}")
time.sleep(2)
live, table = live.end(), table.end()
got = groups(live.records)
web = [(r, [l for l in ls if l["source"].endswith("access.log")], [l for l in ls if l["source"].endswith("error.log")])
       for r, ls in got if get(r, "server.port") == WEB]
single = [g for g in web if not 100 <= int(number(g[0]["resource"]) or 0) < 400]
ok(len(web) == 61, "nginx's requests are there", len(web))
ok(all(len(a) == 1 and number(a[0]["text"]) == number(r["resource"]) and a[0]["by"] == "resource" for r, a, _ in single),
   "each has its line of the access log, also behind a rotation", lambda: [(r["resource"], [l["text"] for l in a]) for r, a, _ in single if len(a) != 1][:5])
missing = [g for g in web if "/none" in g[0]["resource"]][0]
ok(len(missing[2]) == 1 and "No such file" in missing[2][0]["text"], "the missing file has its line of the error log", missing)
ok(not any(e for r, _, e in web if "/none" not in r["resource"]), "no other has one")
same = [g for g in web if 100 <= int(number(g[0]["resource"])) < 400]
ok(len(same) == 30 and all(len(a) == 1 for _, a, _ in same) and len({a[0]["text"] for _, a, _ in same}) == 30, "of thirty equal ones at once each has one line",
   lambda: [len(a) for _, a, _ in same])
mine = {r["resource"]: ls for r, ls in got if get(r, "server.port") == APP}
ok([l["by"] for l in mine["/traced"]] == ["trace"] and "stock is low" in mine["/traced"][0]["text"], "a line with a trace id", mine.get("/traced"))
ok([(l["by"], l["text"]) for l in mine["/alone?n=201"]] == [("time", "item 201 is not there")] and mine["/alone?n=201"][0].get("pid") == app.pid,
   "a line that names nothing: by time, with who wrote it", mine.get("/alone?n=201"))
ok(mine["/slow?n=301"] == [] and mine["/slow?n=302"] == [], "two at once: it is not guessed whose it is", [mine.get(f"/slow?n={i}") for i in (301, 302)])
ok(mine["/quiet"] == [], "no line where none was written", mine.get("/quiet"))
ok(re.search(r"GET +/f0\?n=0.*\n    access.log: .*n=0\n", table.out), "for people: the line under its request", table.out[:400])
ok(re.search(r"\d+ lines were read, \d+ belong to a request shown", table.err), "and how many had one", table.err)

past = weir("requests", "--store", f"{T}/store", "--since", "5m", "--logs", f"{T}/access.log,{T}/access.log.1,{T}/app.log", "--json", "-w", "protocol = http")
back = groups(records(past.stdout))
single = [(r, ls) for r, ls in back if get(r, "server.port") == WEB and not 100 <= int(number(r["resource"]) or 0) < 400]
ok(len(single) == 31 and all([number(l["text"]) for l in ls] == [number(r["resource"])] for r, ls in single), "of a time that is past, from the files as they are",
   lambda: past.stderr + str([(r["resource"], [l["text"] for l in ls]) for r, ls in single if len(ls) != 1][:5]))
ok([l["by"] for r, ls in back if r["resource"] == "/traced" for l in ls] == ["trace"], "the trace, too")
agent.end()

for args, status, words in ((("--logs", f"{T}/nothing.log"), 3, "nothing.log: No such file"), (("--logs", T), 3, "Is a directory"),
                            (("--logs", LOGS, "--by", "operation"), 2, "--by"), (("--logs", LOGS, "--csv"), 2, "CSV")):
    p = weir("requests", *args, "--for", "1s")
    ok(p.returncode == status and words in p.stderr, f"{args[-1] if status == 3 else args[2]}: a clear error", p.stderr)

# the journal of a journald that this test runs, with a /run of its own
journald = "/lib/systemd/systemd-journald"
if os.path.exists(journald) and shutil.which("journalctl"):
    script = f"""mount -t tmpfs none /run && mkdir -p /run/systemd/journal /run/log/journal
setpriv --pdeathsig TERM {journald} & sleep 1
exec "$0" "$@" """
    w = Weir("-m", "bash", "-c", script, WEIR, "requests", "--logs", "journal", "--json", "-w", f"server.port = {WEB}", weir="unshare", ready=3.5)
    door = f"/proc/{w.p.pid}/root/run/systemd/journal/socket"
    if os.path.exists(door):
        ask(WEB, "/f3?n=3")
        s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        s.sendto(b"MESSAGE=worker: GET /f3?n=3 took long\nSYSLOG_IDENTIFIER=shop\n", door)
        time.sleep(2)
        w.end()
        j = groups(w.records)
        ok(j and [(l["source"], l.get("pid"), l["text"]) for l in j[0][1]] == [("shop", os.getpid(), "worker: GET /f3?n=3 took long")], "the journal",
           lambda: w.out + w.err)
    else:
        skip("the journal", "journald does not start here: " + w.end().err[-200:].replace("\n", " "))
else:
    skip("the journal", "no systemd-journald is installed")
done()
