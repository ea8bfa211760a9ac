# SPDX-License-Identifier: Apache-2.0
"""Responders: a scan is seen, its source is dropped by itself and let in again, longer each time; others go on. Dry by default."""
import re, subprocess, sys, threading
sys.path.insert(0, "tests/lib")
from world import *

need_root()
veth("wra", "wrb")
sh("ip -n wra addr add 10.77.0.9/24 dev vwra")
SOCK = tempfile.mktemp(prefix="/tmp/weir-respond", suffix=".sock")
later(lambda: os.path.exists(SOCK) and os.unlink(SOCK))
with in_netns("wrb"):
    ls = socket.create_server(("10.77.0.2", 8080), backlog=64)
threading.Thread(target=lambda: [ls.accept()[0].close() for i in range(10**6)], daemon=True).start()


def agent(*args):
    p = spawn(["nsenter", "--net=/run/netns/wrb", WEIR, "run", "--agent.socket", SOCK, "--store.path", "", "--api.listen", "", "--api.socket", "", "--audit.path", "", *args],
              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for i in range(100):
        if os.path.exists(SOCK) and weir("ctl", "counters", "--socket", SOCK).returncode == 0:
            return p
        time.sleep(0.1)
    ok(False, "an agent in the namespace")
    done()


def scan(source):
    sh(f"ip netns exec wra nmap -n -Pn -sS -S {source} -e vwra -T4 --max-retries 0 -p1-200 10.77.0.2", False)


def reaches(source):
    with in_netns("wra"):
        c = socket.socket()
    c.settimeout(0.7)
    c.bind((source, 0))
    try:
        return c.connect_ex(("10.77.0.2", 8080)) == 0
    finally:
        c.close()


def rules():
    return [x for x in records(weir("guard", "list", "--json", "--socket", SOCK).stdout) if not x.get("automatic")]


# dry: it is told, nothing is done
p = agent("--guard.respond", "port_scan=drop:1m")
w = Weir("alerts", "--json", "--socket", SOCK, ready=0.5)
scan("10.77.0.1")
time.sleep(2.5)
w.end()
a = [r for r in w.records if r.get("detector") == "port_scan"]
ok(a and a[0]["action"] == "would drop ttl 60s src 10.77.0.1 (guard.dry_run)" and rules() == [] and reaches("10.77.0.1"), "as it is set it only says what it would do", w.out[-900:])
p.terminate(), p.wait()

p = agent("--guard.respond", "port_scan=drop:6s", "--guard.dry_run=false")
w = Weir("alerts", "--json", "--socket", SOCK, ready=0.5)
begin = time.time()
scan("10.77.0.1")
while not rules() and time.time() < begin + 10:
    time.sleep(0.1)
took = time.time() - begin
r = rules()
ok(len(r) == 1 and r[0]["text"] == "src 10.77.0.1" and not reaches("10.77.0.1") and reaches("10.77.0.9"), "the scanner is dropped, another client of the same network is not", r)
ok(took < 6, "... while it scans, or soon after", took)
end = time.time() + 12
while not reaches("10.77.0.1") and time.time() < end:
    time.sleep(0.3)
ok(4 < time.time() - begin - took < 10 and reaches("10.77.0.1"), "its time ends by itself", time.time() - begin)
time.sleep(1)

scan("10.77.0.1")
end = time.time() + 12
while not rules() and time.time() < end:
    time.sleep(0.2)
r = rules()
left = (time.mktime(time.strptime(r[0]["expires"][:19], "%Y-%m-%dT%H:%M:%S")) - time.mktime(time.strptime(r[0]["since"][:19], "%Y-%m-%dT%H:%M:%S"))) if r else 0
ok(11 <= left <= 13, "a source that comes again is dropped twice as long", (r, left))
w.end()
a = [x for x in w.records if x.get("detector") == "port_scan"]
ok(a and a[0]["action"].endswith("drop ttl 6s src 10.77.0.1") and a[0]["action"].startswith("rule "), "the alert says what was done", w.out[-900:])
p.terminate(), p.wait()

# against what runs here: the process that talks to whom a list names; not against the one that is only talked to
import shutil
tmp = tempfile.mkdtemp(prefix="weir-respond-")
os.chmod(tmp, 0o755)
later(lambda: shutil.rmtree(tmp, True))
open(f"{tmp}/list", "w").write("10.77.0.1\n10.77.0.8\n")
with in_netns("wra"):
    evil = socket.create_server(("10.77.0.1", 6666), backlog=64)
    sh("ip -n wra addr add 10.77.0.8/24 dev vwra")
    evil2 = socket.create_server(("10.77.0.8", 6666), backlog=64)
    fine = socket.create_server(("10.77.0.9", 6666), backlog=64)
for s in (evil, evil2, fine):
    threading.Thread(target=lambda s=s: [s.accept() for i in range(10**6)], daemon=True).start()
CALLS = "import socket, sys\nfor l in sys.stdin:\n  try: socket.create_connection((l.strip(), 6666), timeout=2).close(); print('ok', flush=True)\n  except OSError as e: print(e.errno, flush=True)"


def caller(name):
    if not os.path.exists(f"{tmp}/{name}"):
        shutil.copy(os.path.realpath(sys.executable), f"{tmp}/{name}")
    return spawn(["ip", "netns", "exec", "wrb", f"{tmp}/{name}", "-c", CALLS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)


def call(c, ip):
    c.stdin.write(ip + "\n"), c.stdin.flush()
    return c.stdout.readline().strip()


def told(detector):
    return [x for x in w.so_far() if x.get("detector") == detector]


open(f"{tmp}/rules", "w").write('alert tcp any any -> any 8088 (msg:"bad words"; flow:to_server; content:"bad words"; sid:1;)\n')
p = agent("--guard.respond", "threat_list=block:20s,signature=reset,signature=capture:3s,port_scan=limit:5/s:20s", "--guard.dry_run=false", "--store.path", f"{tmp}/store", "--detect.threat_lists", f"{tmp}/list", "--detect.signatures", f"{tmp}/rules")
w = Weir("alerts", "--json", "--socket", SOCK, ready=0.5)
bot, vital, twin = caller("wrbot"), caller("sshd"), caller("wrother")
ok([call(c, "10.77.0.9") for c in (bot, vital, twin)] == ["ok"] * 3, "three programs that may talk")
call(bot, "10.77.0.1"), call(vital, "10.77.0.8")
ok(until(lambda: call(bot, "10.77.0.9") == "1", 8), "block: the one that talks to a listed address gets no socket any more", w.so_far()[-2:])
ok(until(lambda: call(vital, "10.77.0.9") == "ok" and call(twin, "10.77.0.9") == "ok", 3), "... the others do")
ok(until(lambda: len(told("threat_list")) >= 2, 8), "both are told", w.so_far()[-2:])
a = {get(x, "owner.process"): x for x in told("threat_list")}
ok(re.fullmatch(r"rule \d+: block ttl 20s process \d+", a.get("wrbot", {}).get("action", "")) and get(a["wrbot"], "owner.is") == "source", "the alert says what was done, and that its owner did it", a)
ok(a.get("sshd", {}).get("action") == "nothing: that process is never blocked by itself", "a program without which nobody could undo it is never blocked by itself", a)

# reset: what the words came over, at once; no rule stays
held = []
with in_netns("wrb"):
    s8 = socket.create_server(("10.77.0.2", 8088), backlog=8)
threading.Thread(target=lambda: [held.append(s8.accept()[0]) for i in range(10000)], daemon=True).start()
with in_netns("wra"):
    c1 = socket.create_connection(("10.77.0.2", 8088), timeout=3)
    c2 = socket.socket()
    c2.bind(("10.77.0.9", 0)), c2.settimeout(3), c2.connect(("10.77.0.2", 8088))
c1.sendall(b"hello"), c2.sendall(b"hello"), time.sleep(0.3)
c1.sendall(b"bad words")
c1.settimeout(6)
try:
    end = c1.recv(10) or "eof"
except OSError as e:
    end = type(e).__name__
c2.sendall(b"still here")
c2.settimeout(0.5)
try:
    other = c2.recv(1)
except OSError as e:
    other = type(e).__name__
ok(end == "ConnectionResetError" and other in ("timeout", "TimeoutError"), "reset: the connection with the bad words ends, another client's does not", (end, other))
a = told("signature")
file = f"{tmp}/store/evidence/{a[0]['id']}.pcapng" if a else "-"
ok(a and re.fullmatch(rf"\d sockets? ended: reset 10.77.0.1; packets: {file}", a[0].get("action", "")), "... as the alert says, and where its packets are", a and a[0])
# packets of the incident: what the address does for three seconds from then on, with the process that it talks to
begin = time.time()
while time.time() < begin + 5:
    for source in ("10.77.0.1", "10.77.0.9"):
        with in_netns("wra"):
            x = socket.socket()
        x.bind((source, 0)), x.settimeout(1), x.connect(("10.77.0.2", 8088)), x.sendall(b"again"), x.close()
        with in_netns("wra"):
            x = socket.socket()
        x.bind((source, 0)), x.connect_ex(("10.77.0.2", 8089)), x.close()  # nobody listens
    time.sleep(0.1)
sh("sleep 1.5")
rows = [l.split("\t") for l in sh(f"tshark -r {file} -T fields -e frame.time_epoch -e ip.src -e ip.dst -e frame.comment 2>/dev/null", False).splitlines()]
ends = {x for r in rows for x in r[1:3]}
ok(len(rows) > 20 and ends == {"10.77.0.1", "10.77.0.2"}, "capture: a file of packets, of that address only", (len(rows), ends))
ok(rows and float(rows[-1][0]) - float(rows[0][0]) < 4 and any("python3[" in r[3] for r in rows), "... of three seconds, each with the process here", rows[:1] + rows[-1:])
refused = [r for r in rows if r[3].startswith("drop NO_SOCKET at tcp_v4_rcv")]
ok(len(refused) > 10 and {r[1] for r in refused} == {"10.77.0.1"}, "... and what the kernel dropped of it, why and where", [r[3] for r in rows][:3])
ok(os.stat(file).st_mode & 0o777 == 0o600, "... that only root can read")
scan("10.77.0.9")
ok(until(lambda: [r for r in rules() if r["action"] == "limit"], 8), "limit: a scanner gets a rate", rules())
r = [r for r in rules() if r["action"] == "limit"]
ok(r and r[0]["text"] == "src 10.77.0.9" and r[0]["rate"] == "5/s" and r[0]["per"] == "src", "... its own", r)
w.end()
p.terminate(), p.wait()
for bad, words in (("port_scan", "port_scan=drop:10m"), ("nonsense=drop:1m", "no detector 'nonsense'"), ("port_scan=ban:1m", "a detector can drop:10m"), ("port_scan=drop", "a detector can"), ("port_scan=reset:1m", "a detector can"), ("port_scan=limit:soon:1m", "a rate is packets"), ("port_scan=drop:2d", "up to a day")):
    r = weir("run", "--agent.socket", SOCK, "--store.path", "", "--api.listen", "", "--api.socket", "", "--audit.path", "", "--guard.respond", bad)
    ok(r.returncode in (2, 3) and words in r.stderr, f"a wrong table is refused: {bad}", r)
done()
