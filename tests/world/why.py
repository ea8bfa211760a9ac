# SPDX-License-Identifier: Apache-2.0
"""Diagnosis: each fault is made for real, the right cause must come first; the healthy twins must be called healthy.
Client A, router R, server B, a world for each case; several run at once and must not be taken for each other."""
import concurrent.futures, sys, threading
sys.path.insert(0, "tests/lib")
from world import *

need_root()
lock = threading.Lock()
worlds = []
ONLY = sys.argv[1:]


class World:
    """A -- R -- B, with 10.K.1.0/24 and 10.K.2.0/24."""

    def __init__(self, k):
        self.k, self.procs, self.dir, self.undo = k, [], "", []
        self.A, self.R, self.B = (f"wy{x}{k}" for x in "arb")
        self.a, self.b = f"10.{k}.1.1", f"10.{k}.2.1"
        for ns in (self.A, self.R, self.B):
            sh(f"ip netns del {ns}", check=False)
            sh(f"ip netns add {ns} && ip -n {ns} link set lo up")
        self.link(self.A, "a0", f"10.{k}.1.1/24", self.R, "r0", f"10.{k}.1.254/24")
        self.link(self.B, "b0", f"10.{k}.2.1/24", self.R, "r1", f"10.{k}.2.254/24")
        sh(f"ip -n {self.A} route add default via 10.{k}.1.254; ip -n {self.B} route add default via 10.{k}.2.254")
        self.on("R", "sysctl -qw net.ipv4.ip_forward=1")
        for ns in "ARB":
            self.on(ns, "sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0")

    def link(self, n1, i1, a1, n2, i2, a2):
        sh(f"ip link add {i1} netns {n1} type veth peer name {i2} netns {n2}")
        for n, i, a in ((n1, i1, a1), (n2, i2, a2)):
            sh(f"ip -n {n} addr add {a} dev {i}; ip -n {n} link set {i} up")
            sh(f"ip netns exec {n} sysctl -qw net.ipv4.conf.{i}.rp_filter=0")

    def ns(self, x):
        return {"A": self.A, "R": self.R, "B": self.B}.get(x, x)

    def on(self, where, cmd, check=True):
        return sh(f"ip netns exec {self.ns(where)} sh -c '{self.fill(cmd)}'", check)

    def fill(self, s):
        return s.replace("{a}", self.a).replace("{b}", self.b).replace("{k}", str(self.k)).replace("{dir}", self.dir)

    def nft(self, where, hook, rule, prio=0, family="inet"):
        self.on(where, f'nft "add table {family} t; add chain {family} t {hook} {{ type filter hook {hook} priority {prio}; }}; '
                       f'add rule {family} t {hook} {rule}"')

    def start(self, where, code, *args):
        p = inside(self.ns(where), "python3", "-c", code, *args, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.procs.append(p)
        p.stdout.readline()
        return p

    def serve(self, where="B", ip=None, port=80, body="time.sleep(0)"):
        return self.start(where, f'''
import socket, sys, time
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("{self.b if ip is None else ip}", {port}))
s.listen(64)
print("ready", flush=True)
while True:
    c, _ = s.accept()
    {body}
''')

    def relay(self, seconds=60, delay=0, damage=False):
        """Another way to B: two taps that a process joins, with a delay; after @seconds it is as if B were gone, and
        nothing on this host drops a packet. @damage: what goes to B over TCP arrives with a wrong checksum."""
        self.start("R", f'''
import ctypes, fcntl, os, select, struct, time
fds, queue = [], []
for ns, name in (("{self.R}", b"tr"), ("{self.B}", b"tb")):
    ctypes.CDLL(None).setns(os.open("/run/netns/" + ns, os.O_RDONLY), 0x40000000)
    f = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(f, 0x400454ca, struct.pack("16sH", name, 0x0002 | 0x1000))
    fds.append(f)
print(1, flush=True)
end = time.time() + {seconds}
while True:
    wait = max(0, queue[0][0] - time.time()) if queue else 1
    for f in select.select(fds, [], [], wait)[0]:
        d = os.read(f, 70000)
        if {damage} and f == fds[0] and d[12:14] == b"\\x08\\0" and d[23] == 6:
            d = d[:50] + bytes([d[50] ^ 0x55]) + d[51:]
        queue.append((time.time() + {delay}, fds[1 - fds.index(f)], d))
    while queue and queue[0][0] <= time.time():
        _, f, d = queue.pop(0)
        try:
            if time.time() < end: os.write(f, d)
        except OSError: pass  # not up yet
''')
        self.b = f"10.{self.k}.3.1"
        self.on("R", "ip addr add 10.{k}.3.254/24 dev tr; ip link set tr up")
        self.on("B", "ip addr add 10.{k}.3.1/24 dev tb; ip link set tb up; ip route replace default via 10.{k}.3.254")

    def end(self):
        while self.undo:
            self.undo.pop()()
        for p in self.procs:
            p.kill()
            p.wait()
        for ns in (self.A, self.R, self.B, f"wyd{self.k}"):
            sh(f"ip netns del {ns}", check=False)


PUSH = '''import socket, sys, time
s = socket.create_connection((sys.argv[1], int(sys.argv[2])), 5)
s.settimeout(0.3)
end = time.time() + float(sys.argv[3])
b = b"x" * int(sys.argv[4])
while time.time() < end:
    try: s.sendall(b), time.sleep(float(sys.argv[5]))
    except OSError: time.sleep(0.1)
'''
SINK = "import threading; threading.Thread(target=lambda: [None for _ in iter(lambda: c.recv(65536), b'')], daemon=True).start()"
CASES = []


def case(cause, *args, says=(), limit="3.5s", name=None):
    def add(fn):
        CASES.append((name or fn.__name__.strip("_"), cause, args or ("{b}:80",), says, limit, fn))
        return fn
    return add


def push(seconds=3, size=60000, port=80, pause=0):
    return ("python3", "-c", PUSH, "{b}", str(port), str(seconds), str(size), str(pause))


# firewalls
@case("firewall_drop", says=["tcp dport 80", "inet t", "wyb"])
def input_drop(w): w.nft("B", "input", "tcp dport 80 drop"), w.serve()

@case("firewall_drop", says=["forward", "wyr"])
def forward_drop(w): w.nft("R", "forward", "ip daddr {b} tcp dport 80 drop"), w.serve()

@case("firewall_drop", says=["wya"])
def output_drop(w): w.nft("A", "output", "tcp dport 80 drop"), w.serve()

@case("firewall_drop", says=["answers"])
def answers_dropped(w): w.nft("R", "forward", "ip saddr {b} tcp sport 80 drop"), w.serve()

@case("firewall_drop", "{b}:53/udp", says=["udp dport 53"])
def udp_drop(w): w.nft("B", "input", "udp dport 53 drop")

@case("firewall_drop", says=["ct count"])
def connection_limit(w):
    w.serve()
    w.nft("B", "input", "tcp dport 80 ct state new ct count over 0 drop")

@case("firewall_reject", says=["reject", "not by a closed port"])
def reject_reset(w): w.nft("B", "input", "tcp dport 80 reject with tcp reset"), w.serve()

@case("firewall_reject", says=["reject", "wyr"])
def reject_admin(w): w.nft("R", "forward", "tcp dport 80 reject with icmp type admin-prohibited"), w.serve()

@case("netfilter_refused", says=["NAT"])
def nat_ports(w):
    w.serve()
    w.on("R", 'nft "add table ip n; add chain ip n p { type nat hook postrouting priority 100; }; add rule ip n p ip protocol tcp masquerade to :5000-5001"')
    hold = "import socket,sys,time\nl=[]\nfor i in range(2):\n    l.append(socket.create_connection((sys.argv[1], 80), 2))\nprint(1, flush=True)\ntime.sleep(60)"
    w.procs[-1]
    w.start("A", hold, w.b)

MAX = "/proc/sys/net/netfilter/nf_conntrack_max"  # one for all namespaces, which count apart
TRACKED = open(MAX).read() if os.path.exists(MAX) and os.access(MAX, os.W_OK) else None


def tracked_case(*args, **kw):
    if TRACKED:
        return case(*args, **kw)
    skip("a full table of tracked connections", "nf_conntrack_max cannot be written here")
    return lambda fn: fn


@tracked_case("conntrack_full", says=["nf_conntrack_max", "wyr", "full"])
def conntrack_full(w):
    w.nft("R", "forward", "ct state established accept")
    w.serve(body="k = globals().setdefault('k', []); k.append(c)")
    # connections that are up: others would give their place to a new one
    w.start("A", f'import socket,time\nl=[]\nfor i in range(64):\n    l.append(socket.create_connection(("{w.b}",80),2)); l[-1].sendall(b"x")\nprint(1,flush=True)\ntime.sleep(60)')
    w.undo.append(lambda: open(MAX, "w").write(TRACKED))
    open(MAX, "w").write("64")

# servers
@case("port_closed", says=["nobody listens"])
def closed(w): w.serve(port=81)

@case("port_closed", "{b}:99/udp", says=["udp port 99"])
def closed_udp(w): pass

@case("listen_loopback_only", says=["127.0.0.1", "python3"])
def loopback(w): w.serve(ip="127.0.0.1")

@case("wrong_namespace", "{b}:7777", says=["wyr"])
def other_namespace(w): w.serve("R", ip="0.0.0.0", port=7777)

@case("accept_queue_full", says=["does not accept", "python3"])
def no_accept(w):
    w.start("B", f'import socket,time\ns=socket.socket()\ns.bind(("{w.b}",80))\ns.listen(1)\nprint(1,flush=True)\ntime.sleep(60)')
    w.start("A", f'import socket,time\nl=[]\nfor i in range(6):\n    s=socket.socket();s.setblocking(0)\n    try: s.connect(("{w.b}",80))\n    except OSError: pass\n    l.append(s)\ntime.sleep(0.5)\nprint(1,flush=True)\ntime.sleep(60)')

@case("syn_backlog_full", says=["backlog"])
def syn_backlog(w):
    w.on("B", "sysctl -qw net.ipv4.tcp_syncookies=0 net.ipv4.tcp_max_syn_backlog=8")
    w.start("B", f'import socket,time\ns=socket.socket()\ns.bind(("{w.b}",80))\ns.listen(8)\nprint(1,flush=True)\ntime.sleep(60)')
    w.on("R", 'nft "add table ip d; add chain ip d f { type filter hook forward priority 0; }; add rule ip d f ip saddr {b} ip daddr != {a} drop"')
    sh(f"ip -n {w.A} addr add 10.{w.k}.1.9/24 dev a0")
    w.start("A", f'import socket,time\nl=[]\nfor i in range(40):\n    s=socket.socket();s.bind(("10.{w.k}.1.9",0));s.setblocking(0)\n    try: s.connect(("{w.b}",80))\n    except OSError: pass\n    l.append(s)\ntime.sleep(0.5)\nprint(1,flush=True)\ntime.sleep(60)')

# routes
@case("no_route", says=["wya"])
def no_route(w): w.serve(), sh(f"ip -n {w.A} route del default")

@case("no_route", says=["onward", "wyr"])
def no_route_onward(w): w.serve(), sh(f"ip -n {w.R} route del 10.{w.k}.2.0/24")

@case("no_return_route", says=["wyb"])
def no_return(w): w.serve(), sh(f"ip -n {w.B} route del default")

@case("blackhole_route", says=["wyr"])
def blackhole(w): w.serve(), sh(f"ip -n {w.R} route add blackhole {w.b}")

@case("unreachable_route", says=["wyr"])
def unreachable(w): w.serve(), sh(f"ip -n {w.R} route add unreachable {w.b}")

@case("prohibit_route", says=["wya"])
def prohibit(w): w.serve(), sh(f"ip -n {w.A} rule add to {w.b} prohibit pref 10")

@case("not_forwarding", says=["ip_forward", "wyr"])
def not_forwarding(w): w.serve(), w.on("R", "sysctl -qw net.ipv4.ip_forward=0")

@case("rp_filter", says=["wyb"])
def rp_filter(w):
    w.serve()
    w.link(w.B, "b9", f"10.{w.k}.9.1/24", w.R, "r9", f"10.{w.k}.9.254/24")
    sh(f"ip -n {w.B} route add 10.{w.k}.1.0/24 via 10.{w.k}.9.254")
    w.on("B", "sysctl -qw net.ipv4.conf.all.rp_filter=1 net.ipv4.conf.b0.rp_filter=1")

@case("no_neighbour", "{b}9:80", says=["ARP", "wyr"], limit="4.5s")
def no_host(w): pass

@case("no_neighbour", says=["gateway", "wya"], limit="4.5s")
def wrong_gateway(w): w.serve(), sh(f"ip -n {w.A} route replace default via 10.{w.k}.1.77")

@case("wrong_mac", says=["permanent"])
def wrong_mac(w): w.serve(), sh(f"ip -n {w.R} neigh replace {w.b} lladdr 02:00:00:00:00:77 dev r1 nud permanent")

@case("link_down", says=["r1", "wyr"])
def carrier(w): w.serve(), sh(f"ip -n {w.B} link set b0 down")

@case("ttl_expired", says=["wyr"])
def ttl(w): w.serve(), w.on("A", "sysctl -qw net.ipv4.ip_default_ttl=1")

@case("wrong_source", "curl", "-s", "-m", "3", "--interface", "10.{k}.77.1", "http://{b}/", says=["77.1", "wyr", ".1.1"], limit="5s")
def source_without_way_back(w):
    w.serve()
    sh(f"ip -n {w.A} addr add 10.{w.k}.77.1/32 dev lo")

@case("wrong_source", "python3", "-c", "import socket,sys;s=socket.socket();s.bind((sys.argv[1],0));s.connect((sys.argv[2],80))", "{b}", "{b}", says=["wyb", "EADDRNOTAVAIL"])
def source_of_another(w): w.serve()

@case(None, "curl", "-s", "-m", "3", "--interface", "10.{k}.77.1", "http://{b}/", limit="5s")
def healthy_source(w):
    w.serve(body='c.recv(999); c.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok"); c.close()')
    sh(f"ip -n {w.A} addr add 10.{w.k}.77.1/32 dev lo; ip -n {w.R} route add 10.{w.k}.77.0/24 via {w.a}")

@case("martian", "curl", "-s", "-m", "2", "--interface", "10.{k}.2.1", "http://10.{k}.2.5/", says=["IP_LOCAL_SOURCE", "wyb"], limit="4s")
def address_of_the_server(w):
    w.serve(ip="0.0.0.0")
    sh(f"ip -n {w.B} addr add 10.{w.k}.2.5/24 dev b0; ip -n {w.A} addr add 10.{w.k}.2.1/32 dev lo; ip -n {w.A} route add 10.{w.k}.2.5 via 10.{w.k}.1.254")

# sizes
@case("mtu_black_hole", *push(), says=["r1", "ICMP"], limit="6s")
def black_hole(w):
    w.serve(body=SINK)
    sh(f"ip -n {w.R} link set r1 mtu 1300")
    w.on("A", "sysctl -qw net.ipv4.tcp_mtu_probing=0")
    w.nft("R", "output", "icmp type destination-unreachable drop")

@case("fragments_lost", "python3", "-c", "import socket,sys,time\ns=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)\nfor i in range(4): s.sendto(b'x'*4000,(sys.argv[1],5555)); time.sleep(0.5)", "{b}",
      says=["fragment"], limit="5s")
def fragments(w):
    w.nft("R", "prerouting", "ip frag-off & 0x1fff != 0 drop", prio=-450)
    w.start("B", f'import socket,time\ns=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)\ns.bind(("{w.b}",5555))\nprint(1,flush=True)\ntime.sleep(60)')

@case("small_mss", *push(1), says=["maximum segment size"])
def mss_clamp(w):
    w.serve(body=SINK)
    w.on("R", 'nft "add table ip m; add chain ip m f { type filter hook forward priority 0; }; add rule ip m f tcp flags syn tcp option maxseg size set 100"')

# queues and buffers
@case("queue_drop", *push(2), says=["a0"])
def small_queue(w):
    w.serve(body=SINK)
    w.on("A", "tc qdisc add dev a0 root tbf rate 5mbit burst 10k limit 15k")

BULK = """import socket,time
n=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)
print(1,flush=True)
time.sleep(%s)
for i in range(20000): n.sendto(b"x"*1200,("%s",9)), time.sleep(0.0005)"""

@case("noisy_neighbour", *push(3, 2000, pause=0.02), says=["python3[", "a0", "overflows"], limit="5s")
def noisy(w):
    w.serve(body=SINK)
    w.on("A", "tc qdisc add dev a0 root tbf rate 5mbit burst 10k limit 15k"), w.start("A", BULK % (0, w.b))

@case("noisy_neighbour", *push(4, 2000, pause=0.02), says=["python3[", "r1", "delays"], limit="6s")
def noisy_far(w):
    w.serve(body=SINK)
    w.on("R", "tc qdisc add dev r1 root tbf rate 10mbit burst 20k limit 4m"), w.start("A", BULK % (2.2, w.b))

@case(None, *push(3, 2000, pause=0.02), limit="5s")
def loud_but_harmless(w): w.serve(body=SINK), w.start("A", BULK % (0, w.b))

@case("bufferbloat", *push(4), says=["tbf", "wyr"], limit="6s")
def bufferbloat(w):
    w.serve(body=SINK)
    w.on("A", "sysctl -qw net.ipv4.tcp_congestion_control=reno")
    w.on("R", "tc qdisc add dev r1 root tbf rate 10mbit burst 20k limit 4m")

@case("slow_reader", *push(5, 600000), says=["python3"], limit="7s")
def slow_reader(w): w.serve(body="k = c")

@case("small_receive_buffer", *push(3), says=["window"], limit="5s")
def small_rcvbuf(w):
    w.start("B", '''
import socket
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
s.bind(("0.0.0.0", 80)); s.listen(8); print(1, flush=True)
while True:
    c, _ = s.accept()
    while c.recv(65536): pass
''')
    w.relay(delay=0.02)

@case("udp_receive_buffer", "python3", "-c", "import socket,sys,time\ns=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)\nfor i in range(3000): s.sendto(b'x'*500,(sys.argv[1],5555))\ntime.sleep(1)", "{b}",
      says=["python3"])
def udp_buffer(w):
    w.start("B", f'import socket,time\ns=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)\ns.bind(("{w.b}",5555))\nprint(1,flush=True)\ntime.sleep(60)')

# ends
@case("reset_by_application", "curl", "-s", "-m", "3", "http://{b}/", says=["python3", "unread"])
def unread(w): w.serve(body="time.sleep(0.2); c.close()")

@case("peer_gone", *push(5, 2000, pause=0.01), says=["silent"], limit="7s")  # no faster than the relay, whose queue would overflow
def gone(w): w.serve(ip="0.0.0.0", body=SINK), w.relay(seconds=3.5)

HOLD = """import os, socket, time
s = socket.create_server((%r, 80))
print(1, flush=True)
c, _ = s.accept()
c.settimeout(0.2)
end = time.time() + %s
while time.time() < end:
    try: c.recv(65536)
    except OSError: pass
c.setsockopt(6, 19, 1)  # TCP_REPAIR: the socket goes, and says nothing
c.close()
time.sleep(60)
"""

SLOW = ("python3", "-c", "import socket,sys,time\ns=socket.create_connection((sys.argv[1],80),5)\nfor i in range(6): s.sendall(b'x'*100); time.sleep(0.4)", "{b}")

@case("half_open", *SLOW, says=["no_socket", "keepalive"], limit="6s")
def lost_without_a_word(w): w.start("B", HOLD % (w.b, 1.5))

@case(None, *SLOW, limit="5s")
def healthy_long(w): w.start("B", HOLD % (w.b, 60))

@case("port_exhaustion", says=["no local port"])
def ports(w):
    w.serve(body="k = globals().setdefault('k', []); k.append(c)")
    w.on("A", 'sysctl -qw "net.ipv4.ip_local_port_range=40000 40003"')
    w.start("A", f'import socket,time\nl=[socket.create_connection(("{w.b}",80),2) for i in range(4)]\nprint(1,flush=True)\ntime.sleep(60)')

@case("bind_conflict", "python3", "-c", "import socket;s=socket.socket();s.bind(('0.0.0.0',8181));s.listen()", says=["8181", "python3"])
def bind_conflict(w):
    w.serve("A", ip="0.0.0.0", port=8181)

def tcp_dropper(section, ctx, verdict):
    """An object whose program takes every TCP packet over IPv4."""
    d = tempfile.mkdtemp()
    later(sh, f"rm -rf {d}")
    open(f"{d}/d.c", "w").write(f'''
struct {ctx};
static long (*load)(void *ctx, unsigned off, void *to, unsigned n) = (void *){26 if section == "classifier" else 189};
__attribute__((section("{section}"), used)) int drop(struct {ctx} *c)
{{
	unsigned char p = 0;
	return !load(c, 23, &p, 1) && p == 6 ? {verdict} : {0 if section == "classifier" else 2};
}}
char gpl[] __attribute__((section("license"), used)) = "GPL";
''')
    sh(f"clang -O2 -target bpf -c {d}/d.c -o {d}/d.o")
    return f"{d}/d.o"

@case("bpf_drop", says=["b0", "tc"])
def tc_drop(w):
    w.serve()
    w.on("B", f"tc qdisc add dev b0 clsact; tc filter add dev b0 ingress bpf direct-action obj {tcp_dropper('classifier', '__sk_buff', 2)} sec classifier")

@case("bpf_drop", says=["b0", "XDP"])
def xdp_drop(w):
    w.serve()
    w.on("B", f"ip link set dev b0 xdpgeneric obj {tcp_dropper('xdp', 'xdp_md', 1)} sec xdp")

@case("tunnel", "10.{k}.50.2:80", says=["VNI"], limit="4.5s")
def vxlan(w):
    for ns, vni, me, peer in (("A", 10, 1, w.b), ("B", 11, 2, w.a)):
        dev, own = ("a0", w.a) if ns == "A" else ("b0", w.b)
        w.on(ns, f"ip link add vx type vxlan id {vni} local {own} remote {peer} dstport 4789 dev {dev}; ip addr add 10.{w.k}.50.{me}/24 dev vx; ip link set vx up")

@case("bridge_port", "10.{k}.60.2:80", says=["port"], limit="4.5s")
def bridge(w):
    sh(f"ip link add a6 netns {w.A} type veth peer name p1 netns {w.R}; ip link add b6 netns {w.B} type veth peer name p2 netns {w.R}")
    w.on("R", "ip link add br6 type bridge; ip link set p1 master br6; ip link set p2 master br6; ip link set br6 up; ip link set p1 up; ip link set p2 up")
    w.on("A", "ip addr add 10.{k}.60.1/24 dev a6; ip link set a6 up")
    w.on("B", "ip addr add 10.{k}.60.2/24 dev b6; ip link set b6 up")
    w.on("R", "bridge link set dev p1 state 0")

@case("duplicate_address", "10.{k}.61.2:80", says=["two stations"], limit="4.5s")
def two_of_one(w):
    w.on("R", "ip link add br7 type bridge; ip link set br7 up")
    sh(f"ip netns add wyd{w.k}")
    for ns, dev, port, ip in (("A", "a8", "q1", 1), ("B", "b8", "q2", 2), (f"wyd{w.k}", "d8", "q3", 2)):
        sh(f"ip link add {dev} netns {w.ns(ns)} type veth peer name {port} netns {w.R}")
        w.on("R", f"ip link set {port} master br7; ip link set {port} up")
        w.on(ns, f"ip addr add 10.{w.k}.61.{ip}/24 dev {dev}; ip link set {dev} up")
    w.serve(ip="10.{k}.61.2".replace("{k}", str(w.k)))
    # whoever came last is in the table: the one without the server
    sh(f"ip netns exec {w.A} ip neigh replace 10.{w.k}.61.2 dev a8 nud reachable lladdr $(ip netns exec wyd{w.k} cat /sys/class/net/d8/address)")

@case("asymmetric_nat", "10.{k}.1.254:80", says=["answers itself"])
def asymmetric(w):
    w.serve()
    w.on("R", 'nft "add table ip n; add chain ip n p { type nat hook prerouting priority -100; }; add rule ip n p tcp dport 80 dnat to {b}"')
    w.link(w.A, "a7", f"10.{w.k}.7.1/24", w.B, "b7", f"10.{w.k}.7.2/24")
    sh(f"ip -n {w.B} route add {w.a} via 10.{w.k}.7.1")

def one_network(w):
    """A and B in one network behind R, and 203.0.113.K, which R translates."""
    w.on("R", "ip link add br8 type bridge; ip addr add 10.{k}.62.254/24 dev br8; ip link set br8 up")
    for ns, dev, ip in (("A", "a6", 1), ("B", "b6", 2)):
        sh(f"ip link add {dev} netns {w.ns(ns)} type veth peer name s{ip} netns {w.R}; ip -n {w.R} link set s{ip} master br8; ip -n {w.R} link set s{ip} up")
        w.on(ns, f"ip addr add 10.{w.k}.62.{ip}/24 dev {dev}; ip link set {dev} up; ip route replace default via 10.{w.k}.62.254")
    w.on("R", "sysctl -qw net.ipv4.conf.all.send_redirects=0 net.ipv4.conf.br8.send_redirects=0; sysctl -qw net.bridge.bridge-nf-call-iptables=0 2>/dev/null", False)
    w.serve(ip="0.0.0.0")


def translated(w, to, more=""):
    w.on("R", f'nft "add table ip n; add chain ip n p {{ type nat hook prerouting priority -100; }}; add rule ip n p ip daddr 203.0.113.{w.k} tcp dport 80 dnat to {to}; {more}"')


MASQUERADE = "add chain ip n q { type nat hook postrouting priority 100; }; add rule ip n q ct status dnat masquerade"

@case("hairpin", "203.0.113.{k}:80", says=["62.2", "masquerade"], limit="4.5s")
def hairpin(w): one_network(w), translated(w, f"10.{w.k}.62.2")

@case("hairpin", "203.0.113.{k}:80", says=["itself", "masquerade"], limit="4.5s")
def hairpin_to_itself(w):
    one_network(w), translated(w, f"10.{w.k}.62.1")
    w.serve("A", ip="0.0.0.0")

@case(None, "203.0.113.{k}:80", limit="4.5s")
def healthy_hairpin(w): one_network(w), translated(w, f"10.{w.k}.62.2", MASQUERADE)

@case("checksum", says=["damaged", "tb"])
def damaged(w): w.serve(ip="0.0.0.0"), w.relay(damage=True)

@case("cgroup_policy", says=["control group", "EPERM"])
def forbidden_connect(w):
    """A program at the root of cgroup v2 that lets every connect() pass but those to this server."""
    w.serve()
    d = tempfile.mkdtemp()
    open(f"{d}/d.c", "w").write(f'''
struct bpf_sock_addr {{ unsigned family, ip4; }};
__attribute__((section("cgroup/connect4"), used)) int refuse(struct bpf_sock_addr *c) {{ return c->ip4 != {int.from_bytes(socket.inet_aton(w.b), "little")}u; }}
char gpl[] __attribute__((section("license"), used)) = "GPL";
''')
    root = sh("findmnt -n -o TARGET -t cgroup2 | head -1").strip()
    sh(f"clang -O2 -target bpf -c {d}/d.c -o {d}/d.o; mkdir {d}/b; mount -t bpf none {d}/b; bpftool prog load {d}/d.o {d}/b/p; bpftool cgroup attach {root} connect4 pinned {d}/b/p multi")
    w.undo.append(lambda: sh(f"bpftool cgroup detach {root} connect4 pinned {d}/b/p; umount {d}/b; rm -rf {d}", False))

@case("ipv6_off", "[fd00:{k}::2]:80", says=["IPv6"], limit="4.5s")
def ipv6_off(w):
    w.link(w.A, "a8", f"fd00:{w.k}::1/64", w.B, "b8", f"fd00:{w.k}::2/64")
    sh(f"ip -n {w.A} neigh replace fd00:{w.k}::2 lladdr $(ip -n {w.B} -br link show b8 | awk \"{{print \\$3}}\") dev a8 nud permanent", False)
    w.on("B", "sysctl -qw net.ipv6.conf.b8.disable_ipv6=1")

@case("ipv6_first", "curl", "-s", "-m", "3", "--resolve", "x.test:80:[fd00:{k}::2],{b}", "http://x.test/", says=["IPv6", "IPv4"], limit="5s")
def ipv6_first(w):
    w.serve(body='c.recv(999); c.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok"); c.close()')
    w.link(w.A, "a8", f"fd00:{w.k}::1/64 nodad", w.B, "b8", f"fd00:{w.k}::2/64 nodad")

@case("firewall_drop", "[fd00:{k}::2]:80", says=["ip6", "fd00"])
def ipv6_drop(w):
    w.link(w.A, "a8", f"fd00:{w.k}::1/64 nodad", w.B, "b8", f"fd00:{w.k}::2/64 nodad")
    w.nft("B", "input", "tcp dport 80 drop", family="ip6")

@case("tcp_md5", says=["MD5"])
def md5(w):
    w.start("B", f'''
import socket, struct, time
s = socket.socket()
s.bind(("{w.b}", 80))
key = struct.pack("=HH4s120s", 2, 0, socket.inet_aton("{w.a}"), b"") + struct.pack("=BBHi80s", 0, 0, 6, 0, b"secret")
s.setsockopt(6, 14, key)
s.listen(8); print(1, flush=True); time.sleep(60)
''')

@case("small_send_buffer", *[a.replace("s.settimeout(0.3)", "s.setsockopt(1, 7, 2048); s.settimeout(0.3)") for a in push()], says=["buffer"], limit="5s")
def small_sndbuf(w): w.serve(ip="0.0.0.0", body=SINK), w.relay(delay=0.02)

# what is said
def tls(w, *more, name="right.test", days=None):
    """@days: a certificate that is valid between these two, from today."""
    d = w.dir = tempfile.mkdtemp()
    later(sh, f"rm -rf {d}")
    sh(f"openssl req -newkey rsa:2048 -nodes -keyout {d}/k -out {d}/r -subj /CN={name} 2>/dev/null; echo subjectAltName=DNS:{name},DNS:*.{name} > {d}/x")
    begin, end = (time.strftime("%Y%m%d%H%M%SZ", time.gmtime(time.time() + x * 86400)) for x in days or (-1, 2))
    open(f"{d}/ca", "w").write(f"[ca]\ndefault_ca=d\n[d]\ndatabase={d}/i\nnew_certs_dir={d}\nserial={d}/s\ndefault_md=sha256\npolicy=p\n[p]\ncommonName=supplied\n")
    open(f"{d}/i", "w"), open(f"{d}/s", "w").write("01\n")
    sh(f"openssl ca -batch -config {d}/ca -selfsign -keyfile {d}/k -in {d}/r -out {d}/c -extfile {d}/x -startdate {begin} -enddate {end} -notext 2>/dev/null")
    w.procs.append(inside(w.B, "openssl", "s_server", "-accept", f"{w.b}:443", "-key", f"{d}/k", "-cert", f"{d}/c", "-www", *more,
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
    time.sleep(0.6)

HTTPS = ("curl", "-s", "-m", "3", "--resolve", "right.test:443:{b}", "--resolve", "www.right.test:443:{b}", "https://right.test/")

@case("tls_certificate", *HTTPS, says=["right.test", "signed by itself"], limit="5s")
def tls_unknown_ca(w): tls(w)

@case("tls_certificate", *HTTPS, "--cacert", "{dir}/c", says=["right.test", "expired on", "renew"], limit="5s")
def tls_expired(w): tls(w, days=(-9, -3))

@case("tls_certificate", *HTTPS, "--cacert", "{dir}/c", says=["right.test", "not valid before", "clock"], limit="5s")
def tls_not_yet(w): tls(w, days=(3, 9))

@case("tls_certificate", *HTTPS, "--cacert", "{dir}/c", says=["not for", "right.test", "wrong.test"], limit="5s")
def tls_other_name(w): tls(w, name="wrong.test")

@case("tls_certificate", *HTTPS, "--cacert", "{dir}/c", "--tls-max", "1.2", says=["not for", "wrong.test"], limit="5s")
def tls_other_name_1_2(w): tls(w, name="wrong.test")

@case("tls_failed", "curl", "-s", "-m", "3", "-k", "--tls-max", "1.2", "--resolve", "right.test:443:{b}", "https://right.test/", says=["right.test"], limit="5s")
def tls_version(w): tls(w, "-tls1_3")

# a tenth of a CPU second of work; a control group that gives a tenth of a CPU (v2, or the cpu controller of v1)
BUSY = 'c.recv(999); e = time.process_time() + 0.1; [0 for _ in iter(lambda: time.process_time() < e, False)]; ' \
    'c.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 0\\r\\n\\r\\n"); c.close()'
CPU = next((m for m, t, o in (l.split()[1:4] for l in open("/proc/mounts")) if (t == "cgroup" and "cpu" in o.split(",")) or
            (t == "cgroup2" and os.path.exists(f"{m}/cgroup.controllers") and "cpu" in open(f"{m}/cgroup.controllers").read().split())), None)


def limit_case(*args, **kw):
    """Only where CPU time can be limited; else it says so."""
    if CPU:
        return case(*args, **kw)
    skip("a CPU limit", "no cpu controller here, neither of cgroup v2 nor of v1")
    return lambda fn: fn


def limited(w, p, quota):
    g = f"{CPU}/weir-quota-{w.k}-{quota}"
    if os.path.exists(f"{CPU}/cgroup.subtree_control"):
        open(f"{CPU}/cgroup.subtree_control", "w").write("+cpu")
    os.makedirs(g, exist_ok=True)

    def gone():
        for _ in range(50):
            try:
                return os.rmdir(g)
            except OSError:
                time.sleep(0.1)
    later(gone)
    if os.path.exists(f"{g}/cpu.max"):
        open(f"{g}/cpu.max", "w").write(f"{quota} 100000")
    else:
        open(f"{g}/cpu.cfs_quota_us", "w").write(str(quota))
    for pid in sh(f"pgrep -P {p.pid} || true").split() + [str(p.pid)]:
        open(f"{g}/cgroup.procs", "w").write(pid)


@case("application_slow", "curl", "-s", "-m", "5", "http://{b}/slow", says=["/slow", "python3"])
def app_slow(w): w.serve(body='c.recv(999); time.sleep(1); c.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 0\\r\\n\\r\\n"); c.close()')

@limit_case("cpu_quota", "curl", "-s", "-m", "9", "http://{b}/busy", says=["0.10 CPUs", "python3"], limit="9s")
def cpu_quota(w): limited(w, w.serve(body=BUSY), 10000)

@case("application_error", "curl", "-s", "-m", "5", "http://{b}/bad", says=["503"])
def app_error(w): w.serve(body='c.recv(999); c.sendall(b"HTTP/1.1 503 Busy\\r\\nContent-Length: 0\\r\\n\\r\\n"); c.close()')

@case("dns_unanswered", "dig", "+tries=2", "+time=1", "@{b}", "example.test", says=["resolver"])
def dns_silent(w):
    w.start("B", f'import socket,time\ns=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)\ns.bind(("{w.b}",53))\nprint(1,flush=True)\ntime.sleep(60)')

RESOLVER = """import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind((sys.argv[1], 53))
print(1, flush=True)
while True:
    q, a = s.recvfrom(600)
    time.sleep(float(sys.argv[2]))
    end = q.index(b"\\0", 12) + 5
    s.sendto(q[:2] + b"\\x81\\x80\\0\\1\\0\\1\\0\\0\\0\\0" + q[12:end] + b"\\xc0\\x0c\\0\\1\\0\\1\\0\\0\\0\\x3c\\0\\4\\xc0\\0\\2\\1", a)
"""

@case("dns_slow", "dig", "+tries=1", "+time=4", "@{b}", "slow.test", says=["slow.test", "resolver"], limit="5s")
def dns_late(w): w.start("B", RESOLVER, w.b, "0.8")

@case(None, "dig", "+tries=1", "+time=4", "@{b}", "quick.test", limit="5s")
def healthy_dns_own(w): w.start("B", RESOLVER, w.b, "0")

CUT = """import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind((sys.argv[1], 53))
if len(sys.argv) > 2:
    t = socket.create_server((sys.argv[1], 53))
print(1, flush=True)
def answer(q, flags, a):
    end = q.index(b"\\0", 12) + 5
    return q[:2] + flags + b"\\0\\1\\0" + (b"\\1" if a else b"\\0") + b"\\0\\0\\0\\0" + q[12:end] + (b"\\xc0\\x0c\\0\\1\\0\\1\\0\\0\\0\\x3c\\0\\4\\xc0\\0\\2\\1" if a else b"")
while True:
    q, a = s.recvfrom(600)
    s.sendto(answer(q, b"\\x83\\x80", False), a)
    if len(sys.argv) > 2:
        c, _ = t.accept()
        b = answer(c.recv(600)[2:], b"\\x81\\x80", True)
        c.sendall(len(b).to_bytes(2, "big") + b)
        c.close()
"""

@case("dns_truncated", "dig", "+tries=1", "+time=1", "@{b}", "long.test", says=["long.test", "TCP"])
def dns_cut(w): w.start("B", CUT, w.b)

@case(None, "dig", "+tries=1", "+time=2", "@{b}", "long.test", limit="5s")
def healthy_dns_tcp(w): w.start("B", CUT, w.b, "tcp")

@case("dns_failed", "dig", "+tries=1", "+time=1", "@{b}", "nothing.test", says=["nothing.test", "NXDOMAIN"])
def dns_nx(w):
    p = inside(w.B, "dnsmasq", "-k", "-C", "/dev/null", "--no-resolv", "--local=/test/", "-p", "53", "--listen-address", w.b, "--bind-interfaces",
               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    w.procs.append(p)
    time.sleep(0.5)

@case("upstream_silent", "203.0.113.7:80", says=["leave this host"])
def upstream(w):
    w.on("R", "ip tuntap add tap9 mode tap; ip addr add 198.51.100.1/24 dev tap9; ip link set tap9 up; ip route add 203.0.113.0/24 via 198.51.100.2; "
              "ip neigh add 198.51.100.2 lladdr 02:00:00:00:00:02 dev tap9 nud permanent")
    w.start("R", '''
import fcntl, os, struct
f = os.open("/dev/net/tun", os.O_RDWR)
fcntl.ioctl(f, 0x400454ca, struct.pack("16sH", b"tap9", 0x0002 | 0x1000))
print(1, flush=True)
while True: os.read(f, 2000)
''')

# a proxy in between: nginx at B, what it asks stands at R
OK = 'c.recv(999); c.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok"); c.close()'
PROXY = ("curl", "-s", "-m", "5", "http://{b}/buy")
BEHIND = '"summary": "behind nginx'

def proxy(w, to="10.{k}.2.254:8000", more="", where="B", port=80):
    d = tempfile.mkdtemp()
    w.undo.append(lambda: sh(f"rm -r {d}"))
    open(f"{d}/n", "w").write(w.fill(f"""daemon off; pid {d}/pid; error_log /dev/null; events {{ }}
http {{ access_log off; client_body_temp_path {d}; proxy_temp_path {d}; fastcgi_temp_path {d}; uwsgi_temp_path {d}; scgi_temp_path {d}; {more}
server {{ listen {port}; location / {{ proxy_connect_timeout 2s; proxy_pass http://{to}; }} }} }}"""))
    p = inside(w.ns(where), "nginx", "-c", f"{d}/n", "-e", "/dev/null", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    w.undo.append(lambda: (p.terminate(), p.wait()))
    until(lambda: w.on(where, f"ss -Hltn sport = :{port}", False), 3)

@case("port_closed", *PROXY, says=[BEHIND, "port 8009", '"layer": "application"'])
def proxy_to_nobody(w): proxy(w, "10.{k}.2.254:8009")

@case("port_closed", *PROXY, says=[BEHIND, "port 8001", ".2.254:8000, calls"])
def proxy_to_proxy(w): proxy(w), proxy(w, "127.0.0.1:8001", where="R", port=8000)

@case("firewall_drop", *PROXY, says=[BEHIND, "tcp dport 8000", '"layer": "policy"'])
def proxy_filtered(w): w.serve("R", ip="0.0.0.0", port=8000, body=OK), w.nft("R", "input", "tcp dport 8000 drop"), proxy(w)

@case("no_neighbour", *PROXY, says=[BEHIND, '"layer": "network"'], limit="4.5s")
def proxy_to_no_host(w): w.on("R", "ip addr del 10.{k}.2.254/24 dev r1; ip addr add 10.{k}.2.253/24 dev r1"), w.on("B", "ip route replace default via 10.{k}.2.253"), proxy(w)

@case("application_slow", *PROXY, says=[BEHIND, "python3 works for", '"layer": "application"'])
def proxy_to_slow(w): w.serve("R", ip="0.0.0.0", port=8000, body=OK.replace(";", "; time.sleep(1);", 1)), proxy(w)

@case("application_error", *PROXY, says=[BEHIND, "python3 answers", "503", '"layer": "application"'])
def proxy_to_error(w): w.serve("R", ip="0.0.0.0", port=8000, body=OK.replace("200 OK", "503 Busy")), proxy(w)

@case("application_slow", *PROXY, says=["python3 works for", "it asked 10.", '"layer": "proxy"'])
def slow_proxy(w):
    w.serve("R", ip="0.0.0.0", port=8000, body=OK)
    w.serve(body=w.fill("""d = c.recv(999); u = socket.create_connection(("10.{k}.2.254", 8000)); u.sendall(d); a = u.recv(999); u.close(); time.sleep(1)
    c.sendall(a); c.close()"""))

@case(None, *PROXY)
def healthy_proxy(w): w.serve("R", ip="0.0.0.0", port=8000, body=OK), proxy(w)

@case(None, *PROXY)
def healthy_beside_trouble(w):
    """What the server asks fails, but nobody suffers from it."""
    w.serve("R", ip="0.0.0.0", port=8000, body=OK)
    proxy(w, "u", "upstream u { server 10.{k}.2.254:8001; server 10.{k}.2.254:8000; }")

# healthy twins: nothing may be accused
@case(None)
def healthy_connect(w): w.serve()

@limit_case(None, "curl", "-s", "-m", "5", "http://{b}/busy")
def healthy_quota(w): limited(w, w.serve(body=BUSY), 150000)

@case(None, "curl", "-s", "-m", "5", "http://{b}/")
def healthy_http(w): w.serve(body='c.recv(999); c.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok"); c.close()')

@case(None, *push(2), name="healthy_bulk")
def healthy_bulk(w): w.serve(body=SINK)

@case(None, *push(2), name="healthy_pmtu", limit="5s")
def healthy_pmtu(w):
    w.serve(body=SINK)
    sh(f"ip -n {w.R} link set r1 mtu 1300")

@case(None, "python3", "-c", "import socket,sys\nfor i in range(40):\n    s=socket.create_connection((sys.argv[1],80),3); s.sendall(b'hi'); s.recv(10); s.close()", "{b}")
def healthy_many(w): w.serve(body='c.recv(9); c.sendall(b"ok"); c.close()')

@case(None)
def healthy_rules(w):
    w.nft("B", "input", "tcp dport 81 drop")
    w.nft("R", "forward", "ct state established accept")
    w.serve()

@case(None, "curl", "-s", "-m", "3", "-k", "--resolve", "right.test:443:{b}", "https://right.test/", limit="5s")
def healthy_tls(w): tls(w)

@case(None, *HTTPS[:-1], "https://www.right.test/", "--cacert", "{dir}/c", limit="5s")
def healthy_wildcard(w): tls(w)

@case(None, "dig", "+tries=1", "+time=1", "+short", "@{b}", "a.test")
def healthy_dns(w):
    p = inside(w.B, "dnsmasq", "-k", "-C", "/dev/null", "--no-resolv", "--address=/a.test/1.2.3.4", "-p", "53", "--listen-address", w.b, "--bind-interfaces",
               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    w.procs.append(p)
    time.sleep(0.5)


def one(i):
    name, cause, args, says, limit, fn = CASES[i]
    w = World(100 + i)
    with lock:
        worlds.append(w)
    try:
        fn(w)
        time.sleep(0.3)
        r = subprocess.run([WEIR, "why", "--json", "--for", limit, "--netns", w.A, *map(w.fill, args)], capture_output=True,
                           text=True, timeout=60)
        return name, cause, says, r.returncode, records(r.stdout), r.stderr
    except NotImplementedError as e:
        return name, cause, says, None, [], str(e)
    except Exception as e:
        return name, cause, says, -1, [], f"{type(e).__name__} {e}"
    finally:
        w.end()


later(lambda: [w.end() for w in worlds])
right = accused = faults = 0
with concurrent.futures.ThreadPoolExecutor(4) as pool:
    todo = [i for i, c in enumerate(CASES) if not ONLY or any(o in c[0] for o in ONLY)]
    for name, cause, says, rc, got, err in pool.map(one, todo):
        first = got[0] if got else {}
        text = json.dumps(got[:1])
        if rc is None:
            skip(name, err)
        elif cause:
            faults += 1
            good = rc == 1 and first.get("cause") == cause
            right += good
            ok(good and first.get("verdict") == "fault" and first.get("fix") and first.get("evidence"), f"{name}: {cause}",
               lambda: (rc, [(x.get("cause"), x.get("confidence"), x.get("summary")) for x in got], err[-300:]))
            ok(all(s in text for s in says), f"{name}: says {', '.join(says)}", text)
        else:
            accused += rc != 0
            ok(rc == 0 and first.get("verdict") == "healthy", f"{name}: nothing wrong",
               lambda: (rc, [(x.get("cause"), x.get("confidence"), x.get("summary"), x.get("evidence")) for x in got], err[-300:]))
print(f"# {right} of {faults} causes first, {accused} false accusations")
if not ONLY:
    ok(right >= 0.9 * faults and not accused, "nine of ten causes come first, nobody is accused falsely", (right, faults, accused))
    # killed while it tries: the command ends, the next one sweeps
    w = Weir("why", "sleep", "30", ready=1.5)
    w.p.kill(), w.p.wait()
    ok(until(lambda: not sh("pgrep -fx 'sleep 30'", False), 3), "kill -9: the command ends, too")
    weir("why", "127.0.0.1:9")
    w = Weir("why", "--json", "sleep", "30", ready=1.5).end()
    ok(w.rc == 4 and w.records[0]["verdict"] == "unknown", "Ctrl-C ends it, and it says what it saw", (w.rc, w.out, w.err))
    ok(not [d for d in os.listdir(sh("findmnt -n -o TARGET -t cgroup2 | head -1").strip()) if d.startswith("weir-why")],
       "no control group is left")
done()
