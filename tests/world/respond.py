# SPDX-License-Identifier: Apache-2.0
"""Responders: a scan is seen, its source is dropped by itself and let in again, longer each time; others go on. Dry by default."""
import sys, threading
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
for bad, words in (("port_scan", "port_scan=drop:10m"), ("nonsense=drop:1m", "no detector 'nonsense'"), ("port_scan=ban:1m", "can drop")):
    r = weir("run", "--agent.socket", SOCK, "--store.path", "", "--api.listen", "", "--api.socket", "", "--audit.path", "", "--guard.respond", bad)
    ok(r.returncode in (2, 3) and words in r.stderr, f"a wrong table is refused: {bad}", r)
done()
