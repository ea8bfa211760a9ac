# SPDX-License-Identifier: Apache-2.0
"""`weir trace syscalls`: as many calls, bytes and errors as the program itself counted, its waiting time; files are none of it."""
import sys
sys.path.insert(0, "tests/lib")
from world import *

need_root()
PROG = """
import os, socket, struct, time
time.sleep(1)
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.bind(("127.0.0.1", 0)); u.connect(u.getsockname())
for i in range(300): u.send(b"x" * 100)
for i in range(100): u.recv(2000)
a, b = socket.socketpair(); f = os.open("/dev/null", os.O_RDWR)
for i in range(70): os.write(a.fileno(), b"y" * 1000); os.write(f, b"z" * 5000); os.read(f, 10)
for i in range(70): os.read(b.fileno(), 1000)
os.writev(a.fileno(), [b"1" * 10, b"2" * 20])
w = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); w.bind(("127.0.0.1", 0))
w.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 0, 50000))
for i in range(6):
    try: w.recv(10)
    except BlockingIOError: pass
for i in range(4):
    try: socket.create_connection(("127.0.0.1", 1))
    except ConnectionRefusedError: pass
print(os.getpid(), flush=True); time.sleep(30)
"""


def trace(seconds, *args):
    w = Weir("trace", "syscalls", "--json", "--for", f"{seconds}s", *args, ready=1)
    p = spawn([sys.executable, "-c", PROG], stdout=subprocess.PIPE, text=True)
    pid = int(p.stdout.readline())
    w.end(sig=None, timeout=60)
    p.kill(), p.wait()
    return [r for r in w.records if get(r, "owner.pid") == pid], w


got, w = trace(5)
one = {r["name"]: r for r in got}
ok(one["sendto"]["count"] == 300 and one["sendto"]["bytes"] == 30000 and not one["sendto"]["errors"], "sendto: calls and bytes", one.get("sendto"))
ok(one["recvfrom"]["count"] == 106 and one["recvfrom"]["bytes"] == 10000 and one["recvfrom"]["errors"] == 6 and one["recvfrom"]["errnos"] == {"EAGAIN": 6},
   "recvfrom: calls, bytes, errors by name", one.get("recvfrom"))
ok(45000 < one["recvfrom"]["max_us"] < 90000 and 290000 < one["recvfrom"]["mean_us"] * 106 < 500000, "... and how long it waited", one.get("recvfrom"))
ok((one["write"]["count"], one["write"]["bytes"]) == (70, 70000) and (one["read"]["count"], one["read"]["bytes"]) == (70, 70000), "read and write: of sockets, not of files",
   (one.get("write"), one.get("read")))
ok(one["writev"]["count"] == 1 and one["writev"]["bytes"] == 30, "writev", one.get("writev"))
ok(one["connect"]["count"] == 5 and one["connect"]["errnos"] == {"ECONNREFUSED": 4}, "connect: four refused", one.get("connect"))
ok(one["socket"]["count"] >= 6 and all(r["owner"]["process"].startswith("python3") and r["p50_us"] <= r["p99_us"] <= r["max_us"] * 1.07 for r in got), "whose, and quantiles", got[:1])
got, w = trace(4, "-w", "name = connect and errors > 0")
ok([r["name"] for r in got] == ["connect"], "a filter", got)
w = Weir("trace", "syscalls", "--every", "1s", "--for", "3s", ready=0).end(sig=None)
ok(w.rc == 0 and not w.err, "again and again", w.err)
r = weir("trace", "syscalls", "colour")
ok(r.returncode == 2 and "colour" in r.stderr, "wrong use", r.stderr)
done()
