# SPDX-License-Identifier: Apache-2.0
"""Own protocols by description and script: a real beanstalkd, a meter, graphite; wrong files; scripts that misbehave."""
import glob, os, shutil, socket, struct, sys, threading
sys.path.insert(0, "tests/lib")
from world import *

need_root()
T = tempfile.mkdtemp(prefix="weir-own-")
later(shutil.rmtree, T, True)
EX = "examples/protocols"
METER = free_port()


def meter():
    """The device that examples/protocols/meter.yaml describes."""
    ls = socket.create_server(("127.0.0.1", METER))
    while True:
        c, _ = ls.accept()
        buf = b""
        while True:
            got = c.recv(4096)
            if not got:
                break
            buf += got
            out = []
            while len(buf) >= 4 and len(buf) >= 4 + struct.unpack_from(">H", buf, 2)[0]:
                n = 4 + struct.unpack_from(">H", buf, 2)[0]
                kind, seq = buf[4], struct.unpack_from(">H", buf, 5)[0]
                reg = struct.unpack_from(">H", buf, 17)[0] if n >= 19 else 0
                if kind != 3:
                    out.append(b"EM" + struct.pack(">HBHBI", 8, kind | 0x80, seq, 0 if reg < 10 else 1, 4711 + reg))
                buf = buf[n:]
            c.sendall(b"".join(reversed(out)))  # answers in another order: the sequence number pairs
        c.close()


threading.Thread(target=meter, daemon=True).start()
graphite = socket.create_server(("127.0.0.1", 2003))


def swallow():
    s, _ = graphite.accept()
    while s.recv(1 << 16):
        pass


threading.Thread(target=swallow, daemon=True).start()
bean = shutil.which("beanstalkd")
if bean:
    BEAN = free_port()
    spawn([bean, "-l", "127.0.0.1", "-p", str(BEAN)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
time.sleep(0.5)


def ask(seq, kind, reg, device=b"dev-0001"):
    return b"EM" + struct.pack(">HBH8sHH", 15, kind, seq, device, 1234, reg)


w = Weir("requests", "--json", "--protocols", EX, ready=1.8)
c = socket.create_connection(("127.0.0.1", METER))
c.sendall(ask(1, 1, 3) + ask(2, 2, 4) + ask(3, 1, 77) + ask(4, 3, 0))
take(c, 3 * 12)
for i in range(50):
    c.sendall(ask(100 + i, 1, i % 10)[:7])
    time.sleep(0.002)
    c.sendall(ask(100 + i, 1, i % 10)[7:])
    take(c, 12)
c.close()
g = socket.create_connection(("127.0.0.1", 2003))
for i in range(20):
    g.sendall(b"host.load%d %d.5 1700000000\n" % (i, i))
g.close()
if bean:
    b = socket.create_connection(("127.0.0.1", BEAN))
    f = b.makefile("rwb")

    def cmd(line, body=None):
        f.write(line + b"\r\n" + (body + b"\r\n" if body is not None else b""))
        f.flush()
        r = f.readline().split()
        if r[0] in (b"RESERVED", b"FOUND", b"OK"):
            f.read(int(r[-1]) + 2)
        return r
    cmd(b"use work")
    ids = [cmd(b"put 1 0 60 %d" % len(x), x)[1] for x in (b"hello", b"x" * 60000, b"put 1 0 60 3\r\nabc")]
    cmd(b"watch work")
    for _ in ids:
        got = cmd(b"reserve-with-timeout 1")[1]
        cmd(b"delete " + got)
    cmd(b"delete 9999")
    f.write(b"stats\r\n"), f.flush()
    n = int(f.readline().split()[1])
    stats = f.read(n + 2).decode()
    b.close()
time.sleep(0.7)
w.end()
q = [r for r in w.records if r["kind"] == "request"]
m = [r for r in q if r["protocol"] == "meter"]
ok([(r["operation"], r["resource"], r["status"], r["error"]) for r in sorted(m[:4], key=lambda r: r["operation"] + r["status"])] ==
   [("ALARM", "dev-0001", "no_response", False), ("READ", "dev-0001", "no_such_register", True), ("READ", "dev-0001", "ok", False), ("SWITCH", "dev-0001", "ok", False)],
   "a binary protocol by its description: pairs by sequence number, names, errors, one way", m[:4])
ok(len(m) == 54 and all(get(r, "detail.pin") == "***" and r.get("duration_us", 0) >= 0 for r in m), "54 of 54, cut anywhere; a masked field is masked", f"{len(m)} {m[-1:]}")
gr = [r for r in q if r["protocol"] == "graphite"]
ok([(r["operation"], get(r, "detail.value"), r["status"]) for r in gr] == [(f"host.load{i}", f"{i}.5", "no_response") for i in range(20)], "lines that nobody answers", gr[:2])
if bean:
    r = [x for x in q if x["protocol"] == "beanstalkd"]
    truth = {k: int(v) for k, v in (l.split(": ") for l in stats.splitlines() if l.startswith("cmd-"))}
    got = {}
    for x in r:
        got[x["operation"]] = got.get(x["operation"], 0) + 1
    ok(all(got.get(k, 0) == truth[f"cmd-{k}"] for k in ("put", "use", "watch", "delete", "reserve-with-timeout")), "beanstalkd by a script: the server's own counts", f"{got} {truth}")
    ok([(x["operation"], x["status"]) for x in r if x["error"]] == [("delete", "NOT_FOUND")], "and its error", r[-2:])
else:
    skip("beanstalkd", "it is not installed")

# files that are wrong: refused with file and line
for name, text, want in (("a.yaml", "protocol: x\nover: carrier-pigeon\n", "a.yaml:2: 'over' is tcp or udp"),
                         ("b.yaml", "protocol: x\nfields:\n  - {name: a, at: 0, size: 1}\nrequest: {operation: nope}\n", "b.yaml:4: there is no field 'nope'"),
                         ("c.yaml", "protocol: x\n  bad: [\n", "c.yaml:"),
                         ("d.yaml", "protocol: http\nmagic: X\nframe: {fixed: 4}\nfields:\n  - {name: a, at: 0, size: 1}\nrequest: {operation: a}\n", "of that name already"),
                         ("e.yaml", "protocol: x\nframe: {fixed: 4}\nfields:\n  - {name: a, at: 0, size: 1}\nrequest: {operation: a}\n", "nothing tells it from others"),
                         ("f.lua", "return {protocol = 'x'}", "no function 'probe'"),
                         ("g.lua", "x = = 1", "g.lua:1:"),
                         ("h.lua", "while true do end", "more than 100000 steps"),
                         ("i.lua", "io.open('/etc/passwd')", "nil value"),
                         ("j.txt", "", "ends with .yaml")):
    open(f"{T}/{name}", "w").write(text)
    r = weir("docs", "protocols", f"{T}/{name}")
    ok(r.returncode == 2 and want in r.stderr, f"wrong file {name}: told", f"{r.returncode} {r.stderr}")
r = weir("requests", "--protocols", f"{T}/none.yaml")
ok(r.returncode == 2 and "No such file" in r.stderr, "no file: told", r.stderr)

# scripts that take too long, too much, or fail: the traffic is read by the others, and weir goes on
for i, body in enumerate(("while true do end", "local t = {} for i = 1, 1e6 do t[i] = bytes .. i end", "error('no')", "return 'x' + {}", "local s = bytes while true do s = s .. s end")):
    os.makedirs(f"{T}/bad{i}")
    open(f"{T}/bad{i}/x.lua", "w").write("return {protocol='bad', ports={%d}, probe=function(bytes) %s end, frame=function(bytes) %s end, message=function(bytes) %s end}" %
                                         (METER, body, body, body))
    shutil.copy(f"{EX}/meter.yaml", f"{T}/bad{i}")
    w = Weir("requests", "--json", "--protocols", f"{T}/bad{i}", ready=1.5)
    c = socket.create_connection(("127.0.0.1", METER))
    for k in range(5):
        c.sendall(ask(k, 1, 3))
        take(c, 12)
    c.close()
    time.sleep(0.4)
    w.end()
    got = [r for r in w.records if r.get("protocol") == "meter"]
    ok(w.rc == 0 and len(got) == 5 and "x.lua" in w.err, f"a script that misbehaves ({body[:24]}): told, and the rest is read", f"{w.rc} {len(got)} {w.err[-300:]}")
done()
