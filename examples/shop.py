#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A small shop to try weir on: `weir demo` runs it, `make demo` installs what it uses.

Five namespaces on a bridge: clients, nginx, an API, PostgreSQL, Redis. First an ordinary day, then one fault and one attack
after the other; weir watches, and what it says stands in the terminal. All of it is removed at the end, whatever happens.
Usage: shop.py WEIR [--seconds N] [--page ADDR:PORT]
"""
import argparse, atexit, glob, http.server, json, os, random, shutil, signal, socket, struct, subprocess, sys, tempfile, threading, time, urllib.request

arg = argparse.ArgumentParser(prog="weir demo")
arg.add_argument("weir")
arg.add_argument("--seconds", type=float, default=12, help="length of each scene")
arg.add_argument("--page", default="127.0.0.1:8429", help="where the page listens; '' = nowhere")
arg.add_argument("--role", help=argparse.SUPPRESS)
o = arg.parse_args()
NET, BRIDGE = "10.213.77", "wdbr0"
HOSTS = {"client": 10, "web": 20, "api": 30, "db": 40, "cache": 50}


def ip(name):
    return f"{NET}.{HOSTS[name]}"


# ------------------------------------------------------------------------------------------- the shop itself
class Postgres:
    """The simple query protocol, as far as it is needed."""

    def __init__(self):
        self.s = socket.create_connection((ip("db"), 5432), 5)
        body = struct.pack(">I", 196608) + b"user\0postgres\0database\0postgres\0\0"
        self.s.sendall(struct.pack(">I", len(body) + 4) + body)
        self.answer()

    def answer(self):
        buf = b""
        while True:
            while len(buf) >= 5 and len(buf) >= 1 + struct.unpack(">I", buf[1:5])[0]:
                n = 1 + struct.unpack(">I", buf[1:5])[0]
                if buf[:1] == b"Z":
                    return
                buf = buf[n:]
            more = self.s.recv(65536)
            if not more:
                raise OSError("the database closed")
            buf += more

    def query(self, sql):
        body = sql.encode() + b"\0"
        self.s.sendall(b"Q" + struct.pack(">I", len(body) + 4) + body)
        self.answer()


def redis(s, *words):
    s.sendall(f"*{len(words)}\r\n".encode() + b"".join(f"${len(w)}\r\n{w}\r\n".encode() for w in words))
    if not s.recv(65536):
        raise OSError("the cache closed")


def serve_api():
    mine = threading.local()

    class Api(http.server.BaseHTTPRequestHandler):
        protocol_version, disable_nagle_algorithm = "HTTP/1.1", True

        def do_GET(self):
            status = 200
            try:
                if not hasattr(mine, "db"):
                    mine.db, mine.cache = Postgres(), socket.create_connection((ip("cache"), 6379), 1)
                    mine.cache.settimeout(1)
                redis(mine.cache, "GET", f"cart:{random.randrange(50)}")
                slow = os.path.exists(self.server.slow)
                mine.db.query("SELECT pg_sleep(0.15), count(*) FROM items" if slow else f"SELECT name, price FROM items WHERE id = {random.randrange(1000)}")
            except OSError:
                status = 503
                mine.__dict__.clear()
            body = b"{}"
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *a):
            pass
    s = http.server.ThreadingHTTPServer((ip("api"), 8000), Api)
    s.slow = os.environ["SHOP_DIR"] + "/slow"
    s.serve_forever()


def serve_proxy():
    """In place of an nginx that is not installed."""
    class Proxy(http.server.BaseHTTPRequestHandler):
        protocol_version, disable_nagle_algorithm = "HTTP/1.1", True

        def do_GET(self):
            try:
                with urllib.request.urlopen(f"http://{ip('api')}:8000{self.path}", timeout=5) as r:
                    status, body = r.status, r.read()
            except urllib.error.HTTPError as e:
                status, body = e.code, b""
            except OSError:
                status, body = 502, b""
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *a):
            pass
    http.server.ThreadingHTTPServer((ip("web"), 80), Proxy).serve_forever()


def visit():
    def one():
        while True:
            try:
                s = socket.create_connection((ip("web"), 80), 5)
                for _ in range(random.randrange(5, 30)):
                    s.sendall(f"GET /{random.choice(['items', 'cart', 'search', 'pay'])} HTTP/1.1\r\nHost: shop\r\n\r\n".encode())
                    s.settimeout(5)
                    if not s.recv(65536):
                        break
                    time.sleep(random.uniform(0.01, 0.05))
                s.close()
            except OSError:
                time.sleep(0.2)
    for _ in range(8):
        threading.Thread(target=one, daemon=True).start()
    time.sleep(3600)


def flood():
    """SYNs from forged addresses to a port where nobody listens."""
    s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    end = time.time() + o.seconds * 0.6
    while time.time() < end:
        for _ in range(30):
            src, dst = socket.inet_aton(f"{NET}.{random.randrange(100, 250)}"), socket.inet_aton(ip("web"))
            tcp = struct.pack(">HHIIBBHHH", random.randrange(1024, 65535), 8443, random.randrange(1 << 32), 0, 0x50, 2, 65535, 0, 0)
            total = sum(struct.unpack(">10H", tcp)) + sum(struct.unpack(">4H", src + dst)) + 6 + len(tcp)
            total = (total & 0xffff) + (total >> 16)
            total = ~((total & 0xffff) + (total >> 16)) & 0xffff
            tcp = tcp[:16] + struct.pack(">H", total) + tcp[18:]
            s.sendto(struct.pack(">BBHHHBBH4s4s", 0x45, 0, 40, 1, 0, 64, 6, 0, src, dst) + tcp, (ip("web"), 0))
        time.sleep(0.02)


def scan():
    for port in range(1, 200):
        s = socket.socket()
        s.settimeout(0.05)
        s.connect_ex((ip("web"), port))
        s.close()


if o.role:
    {"api": serve_api, "proxy": serve_proxy, "visit": visit, "flood": flood, "scan": scan}[o.role]()
    sys.exit(0)

# ------------------------------------------------------------------------------------------- the stage
if os.geteuid():
    sys.exit("weir demo: making network namespaces needs root")
tmp = tempfile.mkdtemp(prefix="weir-demo-")
os.chmod(tmp, 0o755)
SOCK = f"{tmp}/weir.sock"
running = []
color = sys.stdout.isatty()


def sh(cmd, check=True):
    r = subprocess.run(cmd, shell=True, capture_output=True, text=True)
    if check and r.returncode:
        sys.exit(f"weir demo: {cmd}: {r.stderr.strip() or r.returncode}")
    return r.stdout


@atexit.register
def clean():
    for p in reversed(running):
        if p.poll() is None:
            p.terminate()
    for p in reversed(running):
        try:
            p.wait(5)
        except subprocess.TimeoutExpired:
            p.kill()
            p.wait()
    for name in HOSTS:
        sh(f"ip netns del wd-{name}", False)
    sh(f"ip link del {BRIDGE}", False)
    shutil.rmtree(tmp, True)


for s in (signal.SIGTERM, signal.SIGHUP):
    signal.signal(s, lambda *a: sys.exit(1))
signal.signal(signal.SIGINT, lambda *a: sys.exit(0))


def start(*args, ns=None, user=None, **kw):
    args = (["ip", "netns", "exec", f"wd-{ns}"] if ns else []) + (["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups"] if user else []) + list(args)
    running.append(subprocess.Popen(args, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, **kw))
    return running[-1]


def role(name, ns):
    return start(sys.executable, SELF, o.weir, "--seconds", str(o.seconds), "--role", name, ns=ns, env=dict(os.environ, SHOP_DIR=tmp))


def wait_port(ns, address, port, seconds=15):
    end = time.time() + seconds
    code = f"import socket; socket.create_connection(({address!r}, {port}), 1)"
    while time.time() < end:
        if not subprocess.run(["ip", "netns", "exec", f"wd-{ns}", sys.executable, "-c", code], stderr=subprocess.DEVNULL).returncode:
            return True
        time.sleep(0.2)
    return False


def say(text, kind=""):
    on = {"title": "\033[1m", "weir": "\033[36m"}.get(kind, "") if color else ""
    print(f"{on}{text}{chr(27) + '[0m' if on else ''}", flush=True)


def weir(*args, ns=None):
    r = subprocess.run((["ip", "netns", "exec", f"wd-{ns}"] if ns else []) + [o.weir, *args], capture_output=True, text=True, timeout=60)
    return r.stdout.strip() or r.stderr.strip()


def show(command, text, lines=12):
    say(f"$ {command}", "title")
    for line in text.splitlines()[:lines]:
        say("  " + line[:shutil.get_terminal_size((120, 40)).columns - 3], "weir")


# this file may have come through a pipe
SELF = f"{tmp}/shop.py"
open(SELF, "w").write(open(__file__).read() if os.path.exists(globals().get("__file__", "")) else os.environ.get("SHOP_SOURCE", ""))

say("Building a shop: clients > nginx > API > PostgreSQL, Redis; each in a namespace of its own.", "title")
for name in HOSTS:
    sh(f"ip netns del wd-{name}", False)
sh(f"ip link del {BRIDGE}", False)
sh(f"ip link add {BRIDGE} type bridge && ip link set {BRIDGE} up")
for name in HOSTS:
    sh(f"ip netns add wd-{name} && ip link add wd{name} type veth peer name eth0 netns wd-{name} && ip link set wd{name} master {BRIDGE} up && "
       f"ip -n wd-{name} addr add {ip(name)}/24 dev eth0 && ip -n wd-{name} link set eth0 up && ip -n wd-{name} link set lo up")

bins = sorted(glob.glob("/usr/lib/postgresql/*/bin"))
missing = [n for n, there in (("postgresql", bins), ("redis-server", shutil.which("redis-server"))) if not there]
if missing:
    sys.exit(f"weir demo: not installed: {', '.join(missing)} (`make demo` installs what it uses)")
if shutil.which("nginx"):
    open(f"{tmp}/nginx.conf", "w").write(f"daemon off; pid {tmp}/nginx.pid; error_log /dev/null; worker_processes 1; events {{}}\n"
        f"http {{ access_log off; upstream api {{ server {ip('api')}:8000; keepalive 8; }}\n"
        f"  server {{ listen {ip('web')}:80; location / {{ proxy_pass http://api; proxy_http_version 1.1; proxy_set_header Connection ''; }} }} }}\n")
    start("nginx", "-c", f"{tmp}/nginx.conf", ns="web")
else:
    role("proxy", "web")
start("redis-server", "--bind", ip("cache"), "--protected-mode", "no", "--save", "", ns="cache", cwd=tmp)
os.mkdir(f"{tmp}/pg")
shutil.chown(f"{tmp}/pg", "postgres", "postgres")
sh(f"setpriv --reuid=postgres --regid=postgres --init-groups {bins[-1]}/initdb -D {tmp}/pg -A trust --no-sync > /dev/null")
open(f"{tmp}/pg/pg_hba.conf", "a").write(f"host all all {NET}.0/24 trust\n")
start(f"{bins[-1]}/postgres", "-D", f"{tmp}/pg", "-c", f"listen_addresses={ip('db')}", "-c", "fsync=off", "-c", f"unix_socket_directories={tmp}/pg", ns="db", user="postgres")
wait_port("db", ip("db"), 5432) or sys.exit("weir demo: PostgreSQL did not start")
sh(f"setpriv --reuid=postgres --regid=postgres --init-groups {bins[-1]}/psql -q -h {tmp}/pg -c 'CREATE TABLE items AS SELECT id, md5(id::text) AS name, id * 10 AS price "
   "FROM generate_series(0, 999) id; CREATE INDEX ON items (id)' postgres")
wait_port("cache", ip("cache"), 6379) or sys.exit("weir demo: Redis did not start")
role("api", "api")
wait_port("api", ip("api"), 8000) or sys.exit("weir demo: the API did not start")
wait_port("web", ip("web"), 80) or sys.exit("weir demo: the web server did not start")

agent = subprocess.Popen([o.weir, "run", "--agent.socket", SOCK, "--store.path", f"{tmp}/store", "--api.listen", o.page, "--api.socket", f"{tmp}/api.sock",
                          "--api.tokens", f"{tmp}/tokens", "--audit.path", f"{tmp}/audit"], stdout=open(f"{tmp}/agent.out", "w"), stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
running.append(agent)
for _ in range(100):
    if os.path.exists(SOCK) or agent.poll() is not None:
        break
    time.sleep(0.1)
if agent.poll() is not None:
    sys.exit(f"weir demo: the agent ended: {open(f'{tmp}/agent.out').read().strip()}")
time.sleep(1)
page = next((w for line in open(f"{tmp}/agent.out") for w in line.split() if w.startswith("http://")), "")
if page:
    say(f"The page: {page}")
watch = subprocess.Popen([o.weir, "alerts", "--json", "--socket", SOCK], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
running.append(watch)
found = {}


def listen():
    for line in watch.stdout:
        r = json.loads(line)
        if r.get("kind") == "alert":
            first = r["id"] not in found
            found[r["id"]] = r
            if first:
                say(f"  ! {r['severity']}: {r['detector']}: {r['summary']}", "weir")


threading.Thread(target=listen, daemon=True).start()
role("visit", "client")


def scene(title, hint):
    say(f"\n{title}", "title")
    say(hint)


scene("1. An ordinary day", "Eight clients shop. Who asks whom, how often, how long does it take?")
time.sleep(max(o.seconds, 26 * o.seconds / 12))
show("weir requests --by server.service,protocol --for 3s", weir("requests", "--by", "server.service,protocol", "--for", "3s", "--socket", SOCK))

scene("2. A slow query", "The API asks the database for something that takes 150 ms. nginx, the API and the database are slow: which one is it?")
open(f"{tmp}/slow", "w").close()
time.sleep(o.seconds)
show("weir requests --by server.service,operation --for 3s", weir("requests", "--by", "server.service,operation", "--for", "3s", "--socket", SOCK))
os.unlink(f"{tmp}/slow")

scene("3. A mistake in the firewall", "Somebody drops port 6379 at the cache. The shop fails; `weir why` tries it from where the API is.")
sh("ip netns exec wd-cache nft 'add table inet shop; add chain inet shop in { type filter hook input priority 0; }; add rule inet shop in tcp dport 6379 counter drop'")
show(f"weir why {ip('cache')}:6379   # in the API's namespace", weir("why", f"{ip('cache')}:6379", ns="api"))
sh("ip netns exec wd-cache nft delete table inet shop")
time.sleep(o.seconds / 2)

scene("4. A lossy link", "One of twenty packets to the clients is lost.")
sh("ip netns exec wd-client nft 'add table inet shop; add chain inet shop in { type filter hook prerouting priority -300; }; add rule inet shop in numgen random mod 20 < 1 drop'")
show("weir flows --by server.service --for 5s -w 'server.port = 80'", weir("flows", "--by", "server.service", "--for", f"{max(3, int(o.seconds / 2))}s", "-w", "server.port = 80", "--socket", SOCK))
show("weir drops --for 3s -w 'reason = NETFILTER_DROP'", weir("drops", "--for", "3s", "-w", "reason = NETFILTER_DROP", "--socket", SOCK), 6)
sh("ip netns exec wd-client nft delete table inet shop")

scene("5. A port scan", "A client tries 199 ports of the web server.")
role("scan", "client").wait(60)
time.sleep(o.seconds)

scene("6. A SYN flood", "Forged addresses knock at a port where nobody listens.")
role("flood", "client").wait(60)
time.sleep(o.seconds)

say("\nWhat weir found", "title")
for r in sorted(found.values(), key=lambda r: r["first"]):
    say(f"  {r['first'][11:19]} {r['severity']:6} {r['detector']:14} {r['summary']}", "weir")
say("Everything is removed now. `weir run` watches this host in the same way; `weir --help` lists the commands.")
