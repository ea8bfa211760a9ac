# SPDX-License-Identifier: Apache-2.0
"""Who owns a socket: short-lived processes, accept without address, fork, exec, SCM_RIGHTS, activation, older ones."""
import array, collections, json, socket, sys, threading, time
sys.path.insert(0, "tests/lib")
from world import *

need_root()
N = int(os.environ.get("SHORT", "10000"))

# older than the sensor: a listener and a connection
old_l = socket.create_server(("127.0.0.1", 0))
old_c = socket.create_connection(old_l.getsockname())
old_s, _ = old_l.accept()
oldport = old_c.getsockname()[1]

w = Weir("conns", "--json", "--standalone", "-w", "tcp")
old_c.sendall(b"x" * 1000)
old_s.recv(2000)

# 10,000 connections by processes of a few milliseconds
ls = socket.create_server(("127.0.0.1", 0), backlog=1024)
port = ls.getsockname()[1]


def serve():
    for _ in range(N):
        c, _ = ls.accept()
        c.recv(64)
        c.close()


t = threading.Thread(target=serve)
t.start()
truth = {}
for line in sh(f"{BUILD}/helpers/short {port} {N} 4").splitlines():
    pid, p = line.split()
    truth.setdefault(int(p), set()).add(int(pid))
t.join()


# accept(fd, NULL, NULL): the server writes first, in a child that did not make the listener
nl = socket.create_server(("127.0.0.1", 0))
child = spawn([sys.executable, "-c", f"""
import ctypes, os, socket
libc = ctypes.CDLL(None)
fd = libc.accept({nl.fileno()}, None, None)
os.write(fd, b"hello")
os.read(fd, 1)
"""], pass_fds=[nl.fileno()])
nc = socket.create_connection(nl.getsockname())
nport = nc.getsockname()[1]
nc.recv(5)

# SCM_RIGHTS: a connection is passed to another process, which reads it
a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
taker = spawn([sys.executable, "-c", f"""
import array, os, socket
u = socket.socket(fileno={b.fileno()})
m, anc, _, _ = u.recvmsg(1, socket.CMSG_SPACE(4))
f = array.array("i", anc[0][2])[0]
s = socket.socket(fileno=f)
s.recv(10)
u.send(b"k")
s.recv(1)
"""], pass_fds=[b.fileno()])
sl = socket.create_server(("127.0.0.1", 0))
sc = socket.create_connection(sl.getsockname())
ss, _ = sl.accept()
sport = sc.getsockname()[1]
a.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [ss.fileno()]))])
sc.sendall(b"to the taker")
a.recv(1)
ss.close()

# socket activation: a listener inherited over exec, as systemd hands it
al = socket.create_server(("127.0.0.1", 0))
act = spawn(["/usr/bin/env", sys.executable, "-c", f"""
import socket
s = socket.socket(fileno={al.fileno()})
c, _ = s.accept()
c.recv(1)
"""], pass_fds=[al.fileno()])
ac = socket.create_connection(al.getsockname())
aport = ac.getsockname()[1]
time.sleep(0.5)
ac.sendall(b"x")
# a thread owns nothing: its process does
th = []
threading.Thread(target=lambda: th.append(socket.create_connection(ls.getsockname()))).start()
until(lambda: th)
tport = th[0].getsockname()[1]
ls.accept()[0].close()
time.sleep(1.5)
for s in (nc, sc, ac, th[0], old_c, old_s):
    s.close()
for p in (child, taker, act):
    p.wait(timeout=5)
time.sleep(0.5)
w.end()
recs = w.records
c = closes(recs, server__port=port)
mine = [r for r in c if get(r, "client.process") == "short"]
named = wrong = 0
wrongs = []
for r in c:
    p = get(r, "client.port")
    if get(r, "client.pid") == os.getpid():
        continue
    if get(r, "client.pid") is not None:
        named += 1
        if get(r, "client.pid") not in truth.get(p, ()) or get(r, "client.process") != "short":
            wrong += 1
            wrongs.append((truth.get(p), r))
lost = [r for r in recs if r["kind"] == "loss"]
have = {}
for r in c:
    have[get(r, "client.port")] = have.get(get(r, "client.port"), 0) + 1
missing = [p for p, pids in truth.items() if have.get(p, 0) < len(pids)]
ok(not missing and not lost and sum(map(len, truth.values())) == N,
   f"{N} connections of short-lived processes are all reported", lambda: str(missing[:5]) + str(
       [r for r in recs if get(r, "client.port") in missing][:6]) + str(lost[:3]))
ok(named >= 0.999 * N, "at least 99.9 % are named", f"{named} of {N}")
ok(wrong == 0, "none is named wrongly", lambda: wrongs[:2])
ok(sum(1 for r in mine if str(get(r, "client.exe")).endswith("helpers/short")) >= 0.999 * N, "with the executable",
   lambda: str(collections.Counter(str(get(r, "client.exe")) for r in mine)))


def owner(p, end):
    r = closes(recs, client__port=p)
    r = r[-1:]  # a port of the many before may have come again
    return (get(r[0], f"{end}.pid"), get(r[0], f"{end}.process")) if r else None


ok(owner(nport, "server") and owner(nport, "server")[0] == child.pid, "accept without address: the child that wrote",
   owner(nport, "server"))
ok(owner(sport, "server") and owner(sport, "server")[0] == taker.pid, "SCM_RIGHTS: the process that it was passed to",
   owner(sport, "server"))
ok(owner(aport, "server") and owner(aport, "server")[0] == act.pid, "socket activation: the process that accepted",
   owner(aport, "server"))
ok(owner(tport, "client") and owner(tport, "client")[0] == os.getpid(), "a thread's socket is its process's",
   owner(tport, "client"))
r = [x for x in recs if get(x, "client.port") == oldport]
ok(r and get(r[-1], "client.pid") == os.getpid() == get(r[-1], "server.pid") and r[-1]["bytes_to_server"] == 1000, "a connection older than the sensor has both owners and its bytes", r[:1])
li = [x for x in recs if x.get("state") == "listen" and get(x, "server.port") == port]
ok(li and get(li[0], "server.pid") == os.getpid(), "a listener has its owner", li[:1])
done()
