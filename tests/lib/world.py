# SPDX-License-Identifier: Apache-2.0
"""What scenario tests share: running weir, namespaces that are removed whatever happens, TAP."""
import atexit, json, os, re, signal, socket, subprocess, sys, tempfile, threading, time

WEIR = os.environ.get("WEIR", os.path.join(os.path.dirname(__file__), "../../build/weir"))
BUILD = os.environ.get("BUILD", os.path.join(os.path.dirname(__file__), "../../build"))
_n = 0
_failed = 0
_cleanup = []
_telling = threading.Lock()
_procs = []


def ok(cond, name, why=""):
    """One result; `why` is shown when it fails (may be a function)."""
    global _n, _failed
    with _telling:  # groups of cases may run side by side
        _n += 1
        print(("ok" if cond else "not ok") + f" {_n} - {name}", flush=True)
        if not cond:
            _failed += 1
            for line in str(why() if callable(why) else why).splitlines()[:20]:
                print("# " + line, flush=True)
    return cond


def skip(name, why):
    global _n
    _n += 1
    print(f"ok {_n} - {name} # SKIP {why}", flush=True)


def done():
    print(f"1..{_n}", flush=True)
    sys.exit(1 if _failed else 0)


def later(fn, *args):
    _cleanup.append((fn, args))


@atexit.register
def _end():
    for p in _procs:
        if p.poll() is None:
            p.kill()
            p.wait()
    for fn, args in reversed(_cleanup):
        try:
            fn(*args)
        except Exception as e:  # the rest must be cleaned too
            print(f"# cleanup: {e}", flush=True)


signal.signal(signal.SIGTERM, lambda *a: sys.exit(1))


def sh(cmd, check=True):
    r = subprocess.run(cmd, shell=True, capture_output=True, text=True)
    if check and r.returncode:
        raise RuntimeError(f"{cmd}: {r.returncode} {r.stderr}")
    return r.stdout


def spawn(args, **kw):
    p = subprocess.Popen(args, **kw)
    _procs.append(p)
    return p


class Weir:
    """A weir process; `records` after stop()."""

    def __init__(self, *args, weir=None, env=None, ready=0.8, stdin=None):
        if args and args[0] == "run" and not any(a.startswith(("--store.", "--config")) for a in args):
            args += ("--store.path", "")  # history is what only its own tests keep
        if args and args[0] == "run" and not any(a.startswith(("--api.", "--config")) for a in args):
            args += ("--api.listen", "", "--api.socket", "")
        if args and args[0] == "run" and not any(a.startswith(("--audit.", "--config")) for a in args):
            args += ("--audit.path", "")
        self.files = [tempfile.TemporaryFile("w+") for _ in range(2)]  # a full pipe would slow it down
        self.p = spawn([weir or WEIR, *args], stdout=self.files[0], stderr=self.files[1],
                       env=dict(os.environ, **(env or {})), stdin=stdin or subprocess.DEVNULL)
        time.sleep(ready)

    def end(self, sig=signal.SIGINT, timeout=30):
        if self.p.poll() is None and sig:
            time.sleep(0.3)
            self.p.send_signal(sig)
        self.rc = self.p.wait(timeout=timeout)
        for f in self.files:
            f.seek(0)
        self.out, self.err = (f.read() for f in self.files)
        return self

    def so_far(self):
        """Records while it runs."""
        text = os.pread(self.files[0].fileno(), 1 << 26, 0).decode()
        return [json.loads(x) for x in text.splitlines(True) if x.endswith("\n")]

    @property
    def records(self):
        return [json.loads(x) for x in self.out.splitlines()]


def weir(*args, timeout=60, weir=None, **kw):
    return subprocess.run([weir or WEIR, *args], capture_output=True, text=True, timeout=timeout, **kw)


def records(text):
    return [json.loads(x) for x in text.splitlines()]


def closes(recs, **want):
    return [r for r in recs if r["kind"] == "conn" and r.get("event") == "close" and "client" in r
            and all(get(r, k.replace("__", ".")) == v for k, v in want.items())]


def get(r, path):
    for k in path.split("."):
        r = r.get(k) if isinstance(r, dict) else None
    return r


def netns(name):
    """A namespace with lo up, removed at the end."""
    sh(f"ip netns del {name}", check=False)
    sh(f"ip netns add {name}")
    later(sh, f"ip netns del {name}", False)
    sh(f"ip -n {name} link set lo up")
    return name


def veth(a, b, ip_a="10.77.0.1/24", ip_b="10.77.0.2/24"):
    """Two namespaces joined by a veth pair."""
    netns(a), netns(b)
    sh(f"ip link add v{a} netns {a} type veth peer name v{b} netns {b}")
    for ns, ip in ((a, ip_a), (b, ip_b)):
        sh(f"ip -n {ns} addr add {ip} dev v{ns}")
        sh(f"ip -n {ns} link set v{ns} up")
    time.sleep(0.2)


def inside(ns, *args, **kw):
    return spawn(["ip", "netns", "exec", ns, *args], **kw)


class in_netns:
    """Sockets made in this block live in the namespace."""

    def __init__(self, ns):
        self.ns = ns

    def __enter__(self):
        import ctypes
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.old = os.open("/proc/self/ns/net", os.O_RDONLY)
        fd = os.open(f"/run/netns/{self.ns}", os.O_RDONLY)
        if self.libc.setns(fd, 0x40000000):
            raise OSError("setns")
        os.close(fd)

    def __exit__(self, *a):
        self.libc.setns(self.old, 0x40000000)
        os.close(self.old)


def take(s, n):
    """Receives exactly n bytes; an end before that is an error, never a loop."""
    s.settimeout(20)
    got = 0
    while got < n:
        b = s.recv(min(65536, n - got))
        if not b:
            raise EOFError(f"{got} of {n} bytes")
        got += len(b)


def free_port():
    s = socket.socket()
    s.bind(("127.0.0.1", 0))
    p = s.getsockname()[1]
    s.close()
    return p


def until(fn, seconds=5):
    end = time.time() + seconds
    while time.time() < end:
        v = fn()
        if v:
            return v
        time.sleep(0.05)
    return fn()


def listening(port):
    """Waits until somebody listens on 127.0.0.1."""
    def up():
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", port)) == 0
    assert until(up, 20), f"nothing listens on {port}"


def tmpfs(path):
    """A file system of its own, in a folder that is made for it."""
    os.mkdir(path)
    sh(f"mount -t tmpfs weir-test {path}")
    later(lambda: subprocess.run(["umount", "-l", path], stderr=subprocess.DEVNULL))
    return path


def counters(socket_path):
    """What the agent at this socket counts, by name."""
    return {r["name"]: r["value"] for r in records(weir("ctl", "counters", "--json", "--socket", socket_path).stdout) if r["kind"] == "metric"}


def weir_progs():
    """BPF programs with our names that are loaded now."""
    out = sh("bpftool prog show 2>/dev/null", check=False)
    return re.findall(r"name ((?:own|tcp|tap|icmp|link|tls|drop|call|stage|journey|burst|syscall)_\w+)", out)


def need_root():
    if os.geteuid():
        skip("everything", "needs root")
        done()
