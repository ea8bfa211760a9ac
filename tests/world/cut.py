# SPDX-License-Identifier: Apache-2.0
"""Processes, containers and ports that are blocked: what they have open ends, they get nothing new, wherever their namespace is; others do
not notice; it ends by itself, with the agent, or when it is cleared. The processes themselves tell what they can do, ss what is open."""
import re, shutil, signal, subprocess, sys, threading
sys.path.insert(0, "tests/lib")
from world import *

need_root()
veth("wca", "wcb")
sh("ip -n wca link set lo up; ip -n wcb link set lo up; ip -n wca -6 addr add fd77::1/64 dev vwca nodad; ip -n wcb -6 addr add fd77::2/64 dev vwcb nodad", False)
tmp = tempfile.mkdtemp(prefix="weir-cut-")
os.chmod(tmp, 0o755)
later(lambda: shutil.rmtree(tmp, True))
SOCK = f"{tmp}/sock"
AGENT = ["run", "--agent.socket", SOCK, "--store.path", "", "--api.listen", "", "--api.socket", "", "--audit.path", f"{tmp}/audit"]

# a worker: connects to the peer, listens, sends; tells each time that it is asked what works
WORKER = r'''
import socket, sys
PEER, PORT, SIX = sys.argv[1], int(sys.argv[2]), sys.argv[3]
l = socket.socket(); l.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); l.bind(("", int(sys.argv[4]))); l.listen(8)
l.settimeout(0.05)
t = socket.create_connection((PEER, PORT), timeout=3)
t6 = socket.create_connection((SIX, PORT), timeout=3) if SIX != "-" else t
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.connect((PEER, PORT))
ready = socket.socket()  # made before, not yet used
free = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
def new(f=socket.AF_INET):
    with socket.socket(f) as s:
        s.settimeout(2); s.connect((SIX if f == socket.AF_INET6 else PEER, PORT))
def accept():
    try: l.accept()
    except socket.timeout: pass
TRIES = {"tcp": lambda: t.send(b"x"), "tcp6": lambda: t6.send(b"x"), "udp": lambda: u.send(b"x"), "sendto": lambda: free.sendto(b"x", (PEER, PORT)),
         "accept": accept, "ready": lambda: socket.socket.connect(ready, (PEER, PORT)) if ready.fileno() >= 0 and not getattr(sys, "used", 0) else None,
         "bind": lambda: free2().close(), "new": new, "new6": lambda: SIX == "-" or new(socket.AF_INET6), "unix": lambda: socket.socketpair()[0].close()}
def free2():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("", 0)); return s
print("up", flush=True)
for line in sys.stdin:
    can = []
    for name in line.split():
        try: TRIES[name](); can.append(name)
        except OSError as e: can.append(f"{name}:{e.errno}")
    print(" ".join(can), flush=True)
'''
open(f"{tmp}/worker.py", "w").write(WORKER)
EVERYTHING = "tcp tcp6 udp sendto accept bind new new6 unix"


class Worker:
    def __init__(self, name, port, ns="wca", peer="10.77.0.2", six="fd77::2", prefix=()):
        self.exe = f"{tmp}/{name}"
        if not os.path.exists(self.exe):
            shutil.copy(os.path.realpath(sys.executable), self.exe)
        inside = prefix or ("ip", "netns", "exec", ns)
        self.p = spawn([*inside, self.exe, f"{tmp}/worker.py", peer, "7000", six, str(port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1)
        self.up = self.p.stdout.readline().strip() == "up"

    def can(self, what=EVERYTHING):
        self.p.stdin.write(what + "\n"), self.p.stdin.flush()
        return self.p.stdout.readline().split()


def fine(w):
    return w.can() == EVERYTHING.split()


def cut_off(w):
    """Nothing but local sockets; EPERM where it asks for something new."""
    got = dict(x.split(":") if ":" in x else (x, "") for x in w.can())
    return got["unix"] == "" and all(got[k] for k in got if k != "unix") and all(got[k] == "1" for k in ("sendto", "bind", "new", "new6")), got


# the peer: takes and keeps, counts who was reset
resets, ends = [], []
for fam, addr in ((socket.AF_INET, "10.77.0.2"), (socket.AF_INET6, "fd77::2")):
    with in_netns("wcb"):
        s = socket.socket(fam)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind((addr, 7000)), s.listen(64)

    def one(c):
        try:
            while c.recv(1000):
                pass
            ends.append(c)
        except ConnectionResetError:
            resets.append(c)

    def run(s=s):
        while True:
            c, _ = s.accept()
            threading.Thread(target=one, args=(c,), daemon=True).start()
    threading.Thread(target=run, daemon=True).start()


def agent():
    p = spawn([WEIR, *AGENT], stdout=subprocess.DEVNULL, stderr=open(f"{tmp}/err", "w"))
    until(lambda: os.path.exists(SOCK) and weir("ctl", "counters", "--socket", SOCK).returncode == 0, 15)
    return p


def guard(*args, **kw):
    return weir("guard", *args, "--socket", SOCK, **kw)


def rules():
    r = guard("list", "--json")
    return [x for x in map(json.loads, r.stdout.splitlines()) if x["kind"] == "rule" and not x.get("automatic")]


def hooks():
    """Programs of ours at control groups, by the kernel's own list."""
    return sh("bpftool prog show 2>/dev/null | grep -c 'name cut_'", False).strip()


p = agent()
bad, good = Worker("wcut-bad", 7101), Worker("wcut-good", 7102)
ok(bad.up and good.up and fine(bad) and fine(good), "two workers of the same program, in a namespace of their own, can do everything", (bad.can(), good.can()))
ok(hooks() in ("", "0"), "nothing hangs on any control group while nothing is blocked", hooks())
before = len(resets)
r = guard("block", "--process", "wcut-bad", "--ttl", "1h")
ok(r.returncode == 0 and "block" in r.stdout and "process = wcut-bad" in r.stdout and re.search(r"[345] sockets ended", r.stderr), "block --process: the rule is shown, and how many sockets it ended", r.stdout + r.stderr)
until(lambda: len(resets) - before >= 2, 3)
ok(len(resets) - before == 2, "the peer's two connections are reset, over IPv4 and IPv6", (len(resets), len(ends)))
done_, got = cut_off(bad)
ok(done_, "... and the process can do nothing any more but talk to itself: its listener is closed, new sockets, connects, binds, datagrams are refused", got)
ok(bad.can("ready") == ["ready:1"], "... nor with a socket that it had made before", bad.can("ready"))
ss = sh("ip netns exec wca ss -Htuanp", False)
ok(":7101" not in ss and ":7102" in ss, "ss: its listener is gone, that of the other one is there", ss)
ok(fine(good), "the other worker did not notice", good.can())
again = spawn(["ip", "netns", "exec", "wca", f"{tmp}/wcut-bad", "-c", "import socket; socket.socket()"], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
ok("PermissionError" in again.communicate(timeout=10)[1], "a new process of that name gets nothing from its begin on")
mine = rules()
ok(len(mine) == 1 and mine[0]["action"] == "block" and mine[0]["hits"] >= 6 and mine[0]["ended"] >= 3 and mine[0].get("expires"), "list: what it refused, what it ended, when it ends", mine)
r = guard("clear", str(mine[0]["id"]))
ok(r.returncode == 0 and "1 rule cleared" in r.stderr and bad.can("new new6 sendto bind") == ["new", "new6", "sendto", "bind"] and hooks() in ("", "0"), "cleared: it can again, and nothing hangs on the control groups", (r.stderr, bad.can("new"), hooks()))
r = weir("audit", "--path", f"{tmp}/audit", "--json") if "--path" in weir("audit", "--help").stdout else weir("audit", f"{tmp}/audit", "--json")
ok("block ttl 1h" in r.stdout and "wcut-bad" in r.stdout, "the audit trail has it", r.stdout[-600:] + r.stderr)

# one of two with the same name, by its number; it ends by itself
bad, twin = Worker("wcut-bad", 7101), Worker("wcut-bad", 7103)
pid = int(sh("ip netns exec wca ss -Hltnp 'sport = :7101' | grep -o 'pid=[0-9]*' | head -1", False).strip()[4:])
r = guard("block", "--process", str(pid), "--ttl", "3s")
t = time.time()
ok(r.returncode == 0 and cut_off(bad)[0] and fine(twin), "block --process PID: that one, not the other of its name", (r.stderr, bad.can(), twin.can()))
os.kill(p.pid, signal.SIGSTOP)
ok(until(lambda: bad.can("new") == ["new"], 8) and time.time() - t > 2, "it ends by itself after its time, though the agent stands still", time.time() - t)
os.kill(p.pid, signal.SIGCONT)
ok(until(lambda: not rules() and hooks() in ("", "0"), 5), "... and the rule is gone", rules())

# a number that another process gets is not blocked with it
def again_as(pid):
    for _ in range(100):
        open("/proc/sys/kernel/ns_last_pid", "w").write(str(pid - 1))
        q = spawn([sys.executable, "-c", "import socket, sys\nfor l in sys.stdin:\n  try: socket.socket().close(); print('new', flush=True)\n  except OSError as e: print(e.errno, flush=True)"],
                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        if q.pid == pid:
            return q
        q.kill(), q.wait()


for how in ("pid", "name"):
    w = Worker("wcut-gone", 7104)
    pid = int(sh("ip netns exec wca ss -Hltnp 'sport = :7104' | grep -o 'pid=[0-9]*' | head -1", False).strip()[4:])
    r = guard("block", "--process", str(pid) if how == "pid" else "wcut-gone", "--ttl", "1m")
    ok(r.returncode == 0 and cut_off(w)[0], f"blocked by {how}", r.stderr)
    os.kill(pid, signal.SIGKILL), w.p.wait()
    q = again_as(pid)
    time.sleep(2.5)
    said = (q.stdin.write("?\n"), q.stdin.flush(), q.stdout.readline().strip())[2] if q else "no such number"
    ok(said == "new" and len(rules()) == 1, "... another process that gets its number is not", (said, rules()))
    guard("clear")
    if q:
        q.kill(), q.wait()

# kill -9
r = guard("block", "--process", "wcut-bad")
ok(r.returncode == 0 and cut_off(twin)[0], "blocked again", twin.can())
p.kill(), p.wait()
ok(until(lambda: hooks() in ("", "0"), 3) and twin.can("new") == ["new"], "kill -9 of the agent leaves nothing behind: it can again", (hooks(), twin.can("new")))
p = agent()

# a shell that asks for it keeps what it asks with
script = f"exec 3<>/dev/tcp/10.77.0.2/7000; {WEIR} guard block --process wcut-sh --socket {SOCK} --ttl 1m > /dev/null; echo hello >&3 && echo still"
shutil.copy("/bin/bash", f"{tmp}/wcut-sh")
other = spawn(["ip", "netns", "exec", "wca", f"{tmp}/wcut-sh", "-c", "exec 3<>/dev/tcp/10.77.0.2/7000; echo up; read x; exec 4<>/dev/tcp/10.77.0.2/7000 && echo more"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
other.stdout.readline()
r = subprocess.run(["ip", "netns", "exec", "wca", f"{tmp}/wcut-sh", "-c", script], capture_output=True, text=True, timeout=20)
ok(r.stdout.strip() == "still", "who blocks shells by name from a shell keeps that shell", r.stdout + r.stderr)
out = other.communicate("go\n", timeout=10)[0]
ok("more" not in out, "... the other one of that name does not", out)
guard("clear")

# a port: what is open on it ends, what comes is dropped; another port of the same process is not touched
w1, w2 = Worker("wcut-p1", 7201, ns="wcb", peer="10.77.0.2", six="-"), Worker("wcut-p2", 7202, ns="wcb", peer="10.77.0.2", six="-")
with in_netns("wca"):
    c1, c2 = socket.create_connection(("10.77.0.2", 7201), timeout=3), socket.create_connection(("10.77.0.2", 7202), timeout=3)
w1.can("accept"), w2.can("accept")
alone = Weir("guard", "block", "--port", "7201", "--standalone", "--netns", "wcb", "--for", "6s", ready=1.5)
c1.settimeout(2)
try:
    c1.send(b"x"), time.sleep(0.3), c1.send(b"x")
    gone = c1.recv(10)
except OSError as e:
    gone = type(e).__name__


def reach(port):
    with in_netns("wca"):
        s = socket.socket()
    s.settimeout(1)
    try:
        s.connect(("10.77.0.2", port))
        return "open"
    except OSError as e:
        return type(e).__name__
    finally:
        s.close()


c2.send(b"y")
ok(gone in ("ConnectionResetError", "BrokenPipeError", b"", "TimeoutError") and reach(7201) in ("TimeoutError", "timeout") and reach(7202) == "open", "block --port: what was open there ended, what comes is dropped, the other port goes on", (gone, reach(7201), reach(7202)))
alone.end(sig=None, timeout=20)
ss = sh("ip netns exec wcb ss -Htan 'sport = :7201'", False)
ok("ESTAB" not in ss, "... by ss, too", ss)

# a container: everything in it, also what it starts later
ENGINE = ["timeout", "60", "podman", "--runtime", "runc", "--cgroup-manager=cgroupfs"]
root = f"{tmp}/root"
os.makedirs(f"{root}/bin")
shutil.copy("/bin/busybox", f"{root}/bin/busybox")
for name in ("sh", "nc", "sleep"):
    os.symlink("busybox", f"{root}/bin/{name}")
me = os.getpid()
names = [f"weir-c{me}", f"weir-d{me}"]
started = []
for n in names:
    later(lambda n=n: subprocess.run([*ENGINE, "rm", "-f", "-t", "0", n], capture_output=True))
    os.makedirs(f"{tmp}/{n}")
    started.append(subprocess.run([*ENGINE, "run", "-d", "--name", n, "--network", "none", "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024", "-v", f"{tmp}/{n}:/out", "--rootfs", f"{root}:O", "sh", "-c",
                                   "while :; do nc -l -p 80 < /dev/null > /dev/null; sleep 0.05; done & while :; do if nc -w 1 127.0.0.1 80 < /dev/null; then echo yes; else echo no; fi >> /out/log; sleep 0.2; done"], capture_output=True, text=True))
if any(r.returncode for r in started):
    skip("a container is blocked", "podman does not start one here: " + started[0].stderr.strip()[-200:])
else:
    last = lambda n: open(f"{tmp}/{n}/log").read().split()[-3:] if os.path.exists(f"{tmp}/{n}/log") else []
    ok(until(lambda: "yes" in last(names[0]) and "yes" in last(names[1]), 10), "two containers that talk within themselves", [last(n) for n in names])
    r = guard("block", "--container", names[0], "--ttl", "1m")
    ok(r.returncode == 0 and f"container = {names[0]}" in r.stdout, "block --container", r.stdout + r.stderr)
    time.sleep(1.5)
    ok(last(names[0]) == ["no"] * 3 and "yes" in last(names[1]), "it says nothing any more, though each of its words is a process of its own; the other one does", [last(n) for n in names])
    guard("clear")
    ok(until(lambda: "yes" in last(names[0]), 8), "cleared: it talks again", last(names[0]))

# what is wrong is told
for args, status, said in ((("block",), 2, "one of --process, --container, --port"), (("block", "--process", "a", "--port", "1"), 2, "one of --process"), (("block", "--port", "70000"), 2, "is not a port"),
                           (("block", "--process", "1"), 2, "process 1 is not blocked"), (("block", "--process", "4194000"), 2, "there is no process 4194000"), (("block", "--process", "a-name-that-is-too-long"), 2, "at most 15 characters"),
                           (("block", "--container", "nobody-has-this"), 2, "no process runs in a container 'nobody-has-this'"), (("block", "--process", "x", "--ttl", "soon"), 2, "'soon' is not a duration"), (("clear", "4711"), 2, "there is no rule 4711")):
    r = guard(*args)
    ok(r.returncode == status and said in r.stderr, f"{' '.join(args)}: {said}", (r.returncode, r.stderr))
ok(not rules() and hooks() in ("", "0"), "nothing of that stayed", (rules(), hooks()))
done()
