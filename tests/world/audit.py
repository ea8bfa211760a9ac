# SPDX-License-Identifier: Apache-2.0
"""The trail: who asked for what, alerts, chosen connections; whatever is changed, removed or cut off is found; a full disk is told."""
import shutil, sys, threading
sys.path.insert(0, "tests/lib")
from world import *

need_root()
tmp = tempfile.mkdtemp(prefix="weir-audit-")
later(lambda: shutil.rmtree(tmp, True))
SOCK, DIR = f"{tmp}/weir.sock", f"{tmp}/trail"


def agent(*args):
    w = Weir("run", "-q", "--agent.socket", SOCK, "--audit.path", DIR, *args, ready=2)
    until(lambda: os.path.exists(SOCK))
    return w


def audit(*args):
    return weir("audit", *args, "--path", DIR, "--socket", SOCK)


def show(*what):
    return records(audit("show", "--json", *what).stdout)


def verify(*args):
    r = audit("verify", "--json", *args)
    return r.returncode, json.loads(r.stdout) if r.stdout else r.stderr


ls = socket.create_server(("127.0.0.1", 0))
PORT = ls.getsockname()[1]
a = agent("--audit.conns", f"server.port = {PORT}", "--store.path", f"{tmp}/store", "--detect.port_scan_ports", "25")
ok(oct(os.stat(DIR).st_mode & 0o777) == "0o700" and oct(os.stat(f"{DIR}/key").st_mode & 0o777) == "0o600", "the trail and its key are the agent's alone")

# what was asked for, by whom, and how it ended
weir("ctl", "log", "all", "info", "--socket", SOCK)
weir("ctl", "log", "nonsense", "info", "--socket", SOCK)
weir("guard", "drop", "src 203.0.113.7", "--ttl", "2s", "--socket", SOCK)
c = socket.create_connection(ls.getsockname())
s, _ = ls.accept()
c.sendall(b"hello"), s.recv(10), c.close(), s.close()
for p in range(2, 40):
    q = socket.socket()
    q.connect_ex(("127.0.0.1", p)), q.close()
until(lambda: len(show("--what", "alert")) >= 1 and show("--what", "rule_ended"), 20)
# what the trail tells at once is in history a moment later: kill -9 below must find it written
until(lambda: records(weir("alerts", "--json", "--since", "1h", "--store", f"{tmp}/store").stdout), 5)
got = show()
ok([e["seq"] for e in got] == sorted(e["seq"] for e in got) and got[0]["what"] == "start", "entries in order, the start first", got[:2])
acts = [e for e in got if e["what"] == "action"]
ok([(e["action"], e["who"], e["process"]) for e in acts[:2]] == [("log all info", "root", "weir"), ("log nonsense info", "root", "weir")] and acts[0]["result"] == "done" and
   "no module" in acts[1]["result"], "actions: what, who, how it ended", acts)
ok(any("203.0.113.7" in e["action"] and e["action"].startswith("guard drop") and e["result"] == "done" for e in acts), "a rule of the guard", acts)
ok(any("203.0.113.7" in e["text"] for e in got if e["what"] == "rule_ended"), "... and that it ended", got[-3:])
ok([e["detector"] for e in got if e["what"] == "alert"] == ["port_scan"], "an alert", got[-3:])
conns = [e["conn"] for e in got if e["what"] == "conn"]
ok(len(conns) == 1 and conns[0]["bytes_to_server"] == 5 and conns[0]["server"]["port"] == PORT, "the chosen connection", conns)
r = subprocess.run(["setpriv", "--reuid", "65534", "--clear-groups", WEIR, "audit", "--path", DIR], capture_output=True, text=True)
ok(r.returncode == 3 and "ermission" in r.stderr, "nobody else reads it", r.stderr)
ok("root/weir" in audit().stdout and "203.0.113.7" in audit().stdout, "as a table", audit().stdout[-400:])

# verified against the agent's head; after a kill -9 it goes on
rc, v = verify()
ok(rc == 0 and v["whole"] and v["agent_asked"] and v["signatures"] >= 1, "whole, and as the running agent says", v)
key, n = v["key"], v["last"]
a.p.kill(), a.p.wait()
a = agent()
rc, v = verify("--key", key)
ok(rc == 0 and v["whole"] and v["last"] > n, "killed and started: the chain goes on", v)

# an alert in full, out of history: the numbers, the limits that were in force, the records behind it
alert = next(e for e in got if e["what"] == "alert")
r = weir("alerts", "explain", alert["id"][:10], "--store", f"{tmp}/store", "--socket", SOCK)
ok(r.returncode == 0 and r.stdout.startswith(alert["id"] + ": port_scan") and "T1046" in r.stdout and "that hits" in r.stdout and '"ports":' in r.stdout, "an alert, explained", r.stdout + r.stderr)
ok("detect.port_scan_ports: 20" in r.stdout, "... with the limits of the agent that runs now", r.stdout)
ok(r.stdout.count('"close_reason":"refused"') >= 4 and "more" in r.stdout, "... and the connections behind it", r.stdout[-2500:])
r = weir("alerts", "explain", "ffff", "--store", f"{tmp}/store", "--socket", SOCK)
ok(r.returncode == 2 and "0 alerts" in r.stderr, "an id that is none", r.stderr)

# cut off at the end while the agent runs: only it knows
f = sorted(x for x in os.listdir(DIR) if x.startswith("audit-"))[-1]
data = open(f"{DIR}/{f}").read()
weir("ctl", "log", "all", "warn", "--socket", SOCK)
time.sleep(1.5)
more = open(f"{DIR}/{f}").read()
open(f"{DIR}/{f}", "w").write(data)
rc, v = verify()
ok(rc == 1 and "not here" in v["fault"], "entries cut off at the end: the agent knows its last one", v)
rc, v = verify("--offline")
ok(rc == 0, "... which without it would not be seen, and it says so", v)
ok("no agent was asked" in audit("verify", "--offline").stdout, "... in words")
open(f"{DIR}/{f}", "w").write(more)
lines = more.splitlines(True)
for name, text in (("changed", more.replace("203.0.113.7", "203.0.113.8", 1)), ("removed", "".join(lines[:3] + lines[4:])),
                   ("swapped", "".join(lines[:2] + [lines[3], lines[2]] + lines[4:])), ("the begin removed", "".join(lines[2:]))):
    open(f"{DIR}/{f}", "w").write(text)
    r = audit("verify", "--offline")
    ok(r.returncode == 1 and r.stdout.startswith("NOT as it was written: audit-000001.jsonl:"), f"{name}: found, with its line", r.stdout + r.stderr)
open(f"{DIR}/{f}", "w").write(more)
a.end()
w = [e["what"] for e in show("--what", "start,stop,signature")]
ok(w.count("start") == 2 and w.count("stop") == 1 and verify("--offline")[0] == 0, "starts, stops and signatures", w)

# a full disk: the agent works on, what is lost is counted, and told when there is room again
os.mkdir(f"{tmp}/small")
sh(f"mount -t tmpfs -o size=16k none {tmp}/small")
later(sh, f"umount {tmp}/small", False)
DIR = f"{tmp}/small/trail"
a = agent()
for i in range(60):
    weir("ctl", "log", "all", "info", "--socket", SOCK)
m = {r["name"]: r["value"] for r in records(weir("ctl", "counters", "--json", "--socket", SOCK).stdout) if r["kind"] == "metric"}
ok(m.get("audit.lost", 0) > 5 and a.p.poll() is None, "a full disk: counted, and the agent goes on", {k: v for k, v in m.items() if "audit" in k})
sh(f"mount -o remount,size=1m {tmp}/small")
weir("ctl", "log", "all", "warn", "--socket", SOCK)
time.sleep(1.5)
lost = [e for e in show("--what", "lost")]
# "lost" is short: it may find room where an entry did not, and be told once more at the end
ok(lost and sum(e["entries"] for e in lost) >= m["audit.lost"] and verify()[0] == 0, "... and told when there is room again, the chain whole", lost or audit().stdout[-300:])
a.end()

# secrets may be shown on chosen routes alone, and the trail says so
DIR = f"{tmp}/trail2"
hs = socket.create_server(("127.0.0.1", 0))
HTTP = hs.getsockname()[1]


def answer():
    for _ in range(4):
        s, _a = hs.accept()
        s.recv(4096)
        s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
        s.close()


threading.Thread(target=answer, daemon=True).start()
a = agent("--requests.unmasked_routes", f"http:{HTTP}/debug,:1")
v = Weir("requests", "--json", "--socket", SOCK, "-w", f"server.port = {HTTP}", "--count", "4")
time.sleep(0.5)
for path in ("debug/vars?token=geheim1", "login?token=geheim2", "debugger?token=geheim3", "debug/../login?token=geheim4"):
    subprocess.run(["curl", "-s", "--path-as-is", f"http://127.0.0.1:{HTTP}/{path}"], stdout=subprocess.DEVNULL)
v.p.wait(10)
got = [r["resource"] for r in v.end().records if r["kind"] == "request"]
ok(got == ["/debug/vars?token=geheim1", "/login?token=***", "/debugger?token=***", "/debug/../login?token=***"], "secrets are shown on the chosen route alone", got)
a.end()
ok([e["routes"] for e in show("--what", "unmasked")] == [f"http:{HTTP}/debug,:1"], "... which the trail holds", audit().stdout)
a = agent("--requests.unmasked")
a.end()
ok([e["routes"] for e in show("--what", "unmasked")][1:] == ["all"] and "all" in audit("show", "--what", "unmasked").stdout, "... and that all are", audit().stdout)
r = weir("run", "--agent.socket", SOCK, "--requests.unmasked_routes", "htpp:80/x")
ok(r.returncode == 2 and "requests.unmasked_routes: route 'htpp:80/x': 'htpp' is no protocol" in r.stderr, "a route of no protocol is refused", f"{r.returncode} {r.stderr}")

w = weir("audit", "colour")
ok(w.returncode == 2 and "show or verify" in w.stderr, "wrong use", w.stderr)
w = weir("audit", "--path", f"{tmp}/none")
ok(w.returncode == 3 and "No such file" in w.stderr, "no trail", w.stderr)
done()
