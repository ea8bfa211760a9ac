# SPDX-License-Identifier: Apache-2.0
"""Containers by a real engine, named; and what goes away while one looks: containers, control groups, namespaces."""
import shutil, socket, subprocess, sys, threading
sys.path.insert(0, "tests/lib")
from world import *

need_root()
ENGINE = ["timeout", "60", "podman", "--runtime", "runc", "--cgroup-manager=cgroupfs"]
LIMITS = ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024"]
tmp = tempfile.mkdtemp(prefix="weir-ctr-")
later(shutil.rmtree, tmp, True)
root = f"{tmp}/root"
os.makedirs(f"{root}/bin")
shutil.copy("/bin/busybox", f"{root}/bin/busybox")
for name in ("sh", "nc", "sleep", "seq"):
    os.symlink("busybox", f"{root}/bin/{name}")


def run(name, script, *args):
    """Starts a container; its name is unique to this run."""
    later(lambda: subprocess.run([*ENGINE, "rm", "-f", "-t", "0", name], capture_output=True))
    return subprocess.run([*ENGINE, "run", "--name", name, *LIMITS, *args, "--rootfs", f"{root}:O", "sh", "-c", script],
                          capture_output=True, text=True)


def named(recs, what):
    return [r for r in recs if r.get("event") == "close" and get(r, f"client.{what}")]


me = os.getpid()
a, b = f"weir-a{me}", f"weir-b{me}"
w = Weir("conns", "--json", "--standalone", ready=1.5)
# a server in one container; a client in another one that shares its network namespace, as in a pod
r = run(a, "while :; do echo hi | nc -l -p 80; done", "-d", "--network", "none")
if r.returncode:
    skip("containers of a real engine", "podman does not start one here: " + r.stderr.strip()[-200:])
else:
    ida = r.stdout.strip()
    r = run(b, "for i in $(seq 5); do nc 127.0.0.1 80 < /bin/busybox > /dev/null; sleep 0.1; done", "--network", f"container:{a}")
    # containers that are gone before anybody can look them up
    short = [f"weir-s{me}-{i}" for i in range(6)]
    for name in short:
        run(name, "(echo hi | nc -l -p 81 &) ; nc 127.0.0.1 81 < /dev/null", "--rm", "--network", "none")
    # the engine starts the program in the container's first process, which it moved there: not the host's any more
    first = f"weir-f{me}"
    subprocess.run([*ENGINE, "run", "--rm", "--name", first, *LIMITS, "--network", f"container:{a}", "--rootfs", f"{root}:O", "nc", "127.0.0.1", "80"],
                   capture_output=True, stdin=subprocess.DEVNULL)
    time.sleep(1.2)
    subprocess.run([*ENGINE, "rm", "-f", "-t", "0", a], capture_output=True)
    w.end()
    recs = w.records
    pod = [r for r in recs if r.get("event") == "close" and get(r, "client.container") == b]
    ok(len(pod) == 5 and all(get(r, "server.container") == a and get(r, "server.port") == 80 for r in pod),
       "two containers in one network namespace: each end has its own", pod[:2] or recs[-3:])
    ok(all(ida in get(r, "server.cgroup") and get(r, "server.exe") == "/bin/busybox" for r in pod), "with control group and executable", pod[:1])
    fst = [r for r in recs if r.get("event") == "close" and get(r, "client.container") == first]
    ok(len(fst) == 1 and get(fst[0], "server.container") == a, "the first process of a container is in it", fst)
    g = weir("flows", "--by", "client.container", "--json", "--once", "--standalone")
    ok(g.returncode == 0, "flows by container", g.stderr)
    names = [get(r, "client.container") for r in recs if r.get("event") == "close" and get(r, "server.port") == 81 and get(r, "client.ip")]
    # the name, or (it was gone before its first packet was read) the id: never another one's
    ok(len(names) == len(short) and all(n in short or re.fullmatch("[0-9a-f]{12}", n or "") for n in names) and
       len(set(names)) == len(short), "containers that live for a moment: each its own name", names)

# control groups that are made, used and removed while they are looked up
mnt = next((l.split()[1] for l in open("/proc/mounts") if l.split()[2] == "cgroup2"), None)
w = Weir("conns", "--json", "--standalone", ready=1.2)
if not mnt:
    skip("control groups that go", "no cgroup v2 here")
else:
    ls = socket.create_server(("127.0.0.1", 0), backlog=512)
    port = ls.getsockname()[1]
    threading.Thread(target=lambda: [ls.accept()[0].close() for _ in range(300)], daemon=True).start()
    for i in range(300):
        g = f"{mnt}/docker-{i:012x}{0:052x}.scope"
        os.mkdir(g)
        pid = os.fork()
        if not pid:
            with open(f"{g}/cgroup.procs", "w") as f:
                f.write("0")
            socket.create_connection(("127.0.0.1", port)).recv(1)
            os._exit(0)
        os.waitpid(pid, 0)
        os.rmdir(g)
    time.sleep(1.2)
    w.end()
    got = [get(r, "client.container") for r in closes(w.records, server__port=port)]
    ok(w.rc == 0 and sorted(got) == [f"{i:012x}" for i in range(300)],
       "300 control groups that go at once: every connection has its own", f"{w.rc} {len(got)} {got[:5]} {w.err}")
    ok(not [r for r in w.records if get(r, "client.cgroup") not in (None, "") and get(r, "server.port") == port and
            "docker-" not in get(r, "client.cgroup")], "and none another one's control group", got[:5])

# a network namespace that goes under its connections
w = Weir("conns", "--json", "--standalone", ready=1.2)
for i in range(10):
    netns(f"wgone{i}")
    with in_netns(f"wgone{i}"):
        ls, c = socket.socket(), socket.socket()
    ls.bind(("127.0.0.1", 7777))
    ls.listen()
    c.connect(("127.0.0.1", 7777))
    s, _ = ls.accept()
    c.sendall(b"g" * 100)
    take(s, 100)
    sh(f"ip netns del wgone{i}")
    time.sleep(0.05)
    c.close(), s.close(), ls.close()
v = weir("conns", "--once", "--netns", "wgone1", "--standalone")
ok(v.returncode == 2 and "wgone1" in v.stderr, "a namespace that is gone: told by name", f"{v.returncode} {v.stderr}")
time.sleep(1.2)
w.end()
gone = closes(w.records, server__port=7777)
ok(w.rc == 0 and len(gone) == 10 and all(r["bytes_to_server"] == 100 for r in gone) and len({r["netns"] for r in gone}) >= 1,
   "10 namespaces removed under their connections: all are told", f"{w.rc} {len(gone)} {w.err}")

# what the agent still may when it runs
sock = f"{tmp}/sock"
w = Weir("run", "-q", "--agent.socket", sock, ready=1.5)
st = dict(l.split(":", 1) for l in open(f"/proc/{w.p.pid}/status").read().splitlines())
caps = {i for i in range(64) if int(st["CapEff"], 16) >> i & 1}
# net_admin, dac_read_search, sys_ptrace, perfmon, bpf
ok(caps <= {12, 2, 19, 38, 39} and 39 in caps and int(st["CapBnd"], 16) & 1 << 21 == 0 and st["NoNewPrivs"].strip() == "1" and
   st["Seccomp"].strip() == "2", "the agent keeps five capabilities and no more", {k: v for k, v in st.items() if "Cap" in k or k in ("NoNewPrivs", "Seccomp")})
v = Weir("conns", "--json", "--socket", sock)
ls = socket.create_server(("127.0.0.1", 0))
subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "bash", "-c",
                f"exec 3<>/dev/tcp/127.0.0.1/{ls.getsockname()[1]}; read -t 0.3 -u 3"])
time.sleep(1)
v.end()
r = [x for x in v.records if get(x, "client.user") == "nobody"]
ok(r and get(r[0], "client.exe") == os.path.realpath("/bin/bash"), "and still names other users' programs", r[:1] or v.records[-2:])

# a process that gives up root, as servers do: what it accepts then is its new user's
v = Weir("conns", "--json", "--socket", sock)
ls.close()
child = spawn([sys.executable, "-c", """
import os, socket
ls = socket.create_server(("127.0.0.1", 0))
print(ls.getsockname()[1], flush=True)
ls.accept()[0].close()
os.setuid(65534)
for _ in range(2):
    s = ls.accept()[0]
    s.recv(1)
    s.close()
"""], stdout=subprocess.PIPE, text=True)
port = int(child.stdout.readline())
for i in range(3):
    c = socket.create_connection(("127.0.0.1", port))
    time.sleep(0.1)
    c.sendall(b"x")
    c.close()
    time.sleep(0.1)
time.sleep(1)
v.end()
users = [get(r, "server.user") for r in closes(v.records, server__port=port) if get(r, "client.ip")]
ok(users == ["root", "nobody", "nobody"], "a server that gave up root is named by its new user", users)
w.end(signal.SIGTERM)
ok(w.rc == 0 and not os.path.exists(sock), "and ends clean", w.err)
done()
