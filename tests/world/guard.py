# SPDX-License-Identifier: Apache-2.0
"""The guard: what it drops does not arrive, everything else does, however a packet is wrapped; limits keep their rate
and harm nobody quiet; rules end by themselves; nothing stays when weir goes. The receiver's sockets are the truth."""
import concurrent.futures, select, socket, struct, sys, threading
sys.path.insert(0, "tests/lib")
from world import *

need_root()
veth("wga", "wgb")
sh("ip -n wga addr add 10.77.0.3/24 dev vwga; ip -n wga addr add fd77::1/64 dev vwga nodad; ip -n wgb addr add fd77::2/64 dev vwgb nodad")
SOCK = tempfile.mktemp(prefix="/tmp/weir-guard", suffix=".sock")


def udp(ns, ip="", port=0, family=socket.AF_INET):
    with in_netns(ns):
        s = socket.socket(family, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, 33, 1 << 23)
    s.bind((ip, port))
    s.setblocking(False)
    return s


def arrived(s):
    n = 0
    time.sleep(0.15)
    try:
        while s.recv(2048):
            n += 1
    except BlockingIOError:
        return n


def guard(*args, mode="native", ready=1.2):
    w = Weir("guard", *args, "--mode", mode, "--netns", "wgb", "--json", ready=ready)
    return w


# rules for some hours: one that ends at the next minute, one that begins then; looked at again at the end
veth("wgc", "wgd")
hour = lambda t: time.strftime("%H:%M", time.localtime(t))
turn = (int(time.time()) // 60 + (1 if time.time() % 60 < 50 else 2)) * 60
HOURS = tempfile.mktemp(prefix="/tmp/weir-guard", suffix=".hours")
later(lambda: os.path.exists(HOURS) and os.unlink(HOURS))
with open(HOURS, "w") as f:
    f.write(f"drop when {hour(turn - 120)}-{hour(turn)} ttl 0 udp and dst.port = 7001\ndrop ttl 0 when {hour(turn)}-{hour(turn + 3600)} udp and dst.port = 7002\n")
hours = Weir("guard", "load", HOURS, "--netns", "wgd", "--json", ready=1)
to_d, d1, d2 = udp("wgc"), udp("wgd", "10.77.0.2", 7001), udp("wgd", "10.77.0.2", 7002)


def both_ports():
    to_d.sendto(b"x", ("10.77.0.2", 7001)), to_d.sendto(b"x", ("10.77.0.2", 7002))
    return arrived(d1), arrived(d2)


before_turn = time.time() < turn and both_ports()
elsewhere = [x["id"] for x in records(weir("bpf", "list", "--json", "--for", "50ms").stdout) if x["name"].startswith("guard_")]
a, a3 = udp("wga", "10.77.0.1"), udp("wga", "10.77.0.3")
bad, good = udp("wgb", "10.77.0.2", 7007), udp("wgb", "10.77.0.2", 7008)

for mode in ("native", "generic", "tc"):
    w = guard("drop", "udp and dst.port = 7007 and src 10.77.0.0/24", mode=mode)
    for i in range(500):
        a.sendto(b"x" * 100, ("10.77.0.2", 7007)), a.sendto(b"y" * 100, ("10.77.0.2", 7008))
    got = arrived(bad), arrived(good)
    w.end()
    r = [x for x in w.records if not x.get("automatic")]
    ok(got == (0, 500) and w.rc == 0 and len(r) == 1 and r[0]["hits"] == 500 and r[0]["bytes"] == 500 * 142
       and mode in r[0]["interfaces"] and "udp 10.77.0.1 port" in r[0]["example"] and "to 10.77.0.2 port 7007, 142 bytes, on vwgb" in r[0]["example"], f"{mode}: what the rule names does not arrive, all else does, each counted", lambda: (got, w.out, w.err))
a.sendto(b"x", ("10.77.0.2", 7007))
ok(arrived(bad) == 1, "after it everything arrives again")

# however it is wrapped: a frame that comes through is seen by a packet socket of the receiver
with in_netns("wga"):
    tx = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
tx.bind(("vwga", 0))
with in_netns("wgb"):
    rx = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
rx.bind(("vwgb", 0)), rx.setblocking(False)
mac = lambda ns, dev: bytes.fromhex(sh(f"ip -n {ns} -o link show {dev}").split("link/ether ")[1][:17].replace(":", ""))
ETH = mac("wgb", "vwgb") + mac("wga", "vwga")


def udp_of(port, n=40):
    return struct.pack(">HHHH", 9999, port, 8 + n, 0) + b"MARK" + b"." * (n - 4)


def ip4(body, proto=17, options=b"", frag=0, ident=77):
    n = 20 + len(options) + len(body)
    h = struct.pack(">BBHHHBBH4s4s", 0x45 + len(options) // 4, 0, n, ident, frag, 64, proto, 0, bytes([10, 77, 0, 1]), bytes([10, 77, 0, 2])) + options
    s = sum(struct.unpack(f">{len(h) // 2}H", h))
    s = (s & 0xffff) + (s >> 16)
    s = ~((s & 0xffff) + (s >> 16)) & 0xffff
    return h[:10] + struct.pack(">H", s) + h[12:] + body


A6, B6 = socket.inet_pton(socket.AF_INET6, "fd77::1"), socket.inet_pton(socket.AF_INET6, "fd77::2")


def ip6(body, nxt=17):
    return struct.pack(">IHBB", 6 << 28, len(body), nxt, 64) + A6 + B6 + body


def ext(kind, nxt, body):  # 8 bytes: options (PadN), fragment, routing
    if kind == 44:
        return struct.pack(">BBHI", nxt, 0, 1, 4242) + body
    return struct.pack(">BB", nxt, 0) + (b"\x01\x04\0\0\0\0" if kind in (0, 60) else b"\0" * 6) + body


E4, E6 = ETH + b"\x08\0", ETH + b"\x86\xdd"
vlan = lambda f, tpid=b"\x81\0": f[:12] + tpid + b"\0\7" + f[12:]
chain = lambda p, *kinds: __import__("functools").reduce(lambda b, i: ext(kinds[i], kinds[i + 1] if i + 1 < len(kinds) else 17, b), range(len(kinds) - 1, -1, -1), udp_of(p))
gre = lambda p: struct.pack(">HH", 0, 0x0800) + ip4(udp_of(p))
vx = lambda p: struct.pack(">HHHH", 5000, 4789, 0, 0) + b"\x08\0\0\0\0\0\7\0" + E4 + ip4(udp_of(p))
shapes = {
    "plain": lambda p: E4 + ip4(udp_of(p)),
    "IPv6": lambda p: E6 + ip6(udp_of(p)),
    "a VLAN tag": lambda p: vlan(E4 + ip4(udp_of(p))),
    "two tags (802.1ad)": lambda p: vlan(vlan(E4 + ip4(udp_of(p))), b"\x88\xa8"),
    "IPv4 options": lambda p: E4 + ip4(udp_of(p), options=b"\x01\x01\x01\x01\x07\x07\x04\0\0\0\0\0"),
    "the first fragment": lambda p: E4 + ip4(udp_of(p), frag=0x2000),
    "hop-by-hop options": lambda p: E6 + ip6(chain(p, 0), 0),
    "three destination options": lambda p: E6 + ip6(chain(p, 60, 60, 60), 60),
    "eight extension headers": lambda p: E6 + ip6(chain(p, 0, 60, 43, 60, 60, 60, 60, 60), 0),
    "an IPv6 fragment header": lambda p: E6 + ip6(chain(p, 44), 44),
    "IPv4 in IPv4": lambda p: E4 + ip4(ip4(udp_of(p)), proto=4),
    "IPv6 in IPv4": lambda p: E4 + ip4(ip6(udp_of(p)), proto=41),
    "GRE": lambda p: E4 + ip4(gre(p), proto=47),
    "VXLAN": lambda p: E4 + ip4(vx(p)),
    "two tunnels": lambda p: E4 + ip4(ip4(gre(p), proto=47), proto=4),
}


def through(frame):
    """Does this frame reach the receiver?"""
    while select.select([rx], [], [], 0)[0]:
        rx.recv(4096)
    tx.send(frame)
    end = time.time() + 0.25
    while time.time() < end:
        if not select.select([rx], [], [], 0.05)[0]:
            continue
        p, at = rx.recvfrom(4096)
        if b"MARK" in p and at[2] != socket.PACKET_OUTGOING:  # not an ICMP error that quotes an earlier one
            return True
    return False


w = guard("drop", "udp and dst.port = 7007")
wrong = [n for n, f in shapes.items() if through(f(7007))]
ok(not wrong, f"a packet is dropped in all of {len(shapes)} wrappings", wrong)
wrong = [n for n, f in shapes.items() if not through(f(7008))]
ok(not wrong, "... and its twin on another port passes in all of them", wrong)
# fragments: the verdict of the first holds for the rest, and only for them
body = udp_of(7007, 1000)
later_one = lambda i: E4 + ip4(b"MARK" + b"\x1b\x5f" * 100, frag=100, ident=i)
ok(not through(E4 + ip4(body[:800], frag=0x2000, ident=500)) and not through(later_one(500)) and through(later_one(501)),
   "later fragments share the verdict of their first one")
# what is cut off, or wrapped deeper than is followed, passes as configured, and has its counter
deep = E4 + ip4(ip4(ip4(ip4(udp_of(7007), proto=4), proto=4), proto=4), proto=4)
cut = E4 + ip4(b"\x23\x28\x1b", proto=17) + b"MARK"
ok(through(deep) and through(ETH + b"\x08\0" + b"\x45\0MARK" + b"\0" * 40), "what cannot be parsed passes as it is set")
w.end()
w = guard("drop", "udp and dst.port = 7007", "--unparsed", "drop")
ok(not through(deep) and through(shapes["plain"](7008)), "... or is dropped")
w.end()

# bytes of the payload, behind whatever stands before it
w = guard("drop", 'udp and payload[0:4] = "MARK" and payload[36:2] = 0x2e2e and payload[4] = 0x0e/0x0f and not payload[40]')
wrong = [n for n, f in shapes.items() if through(f(7008)) and n != "the first fragment"]
ok(not wrong, "bytes of the payload are found in all wrappings", wrong)
padded = E4 + ip4(udp_of(7008, 40)) + b"\1" * 20
ok(not through(padded), "... what pads the frame is none of it")
ok(through(E4 + ip4(udp_of(7008, 41))) and through(E4 + ip4(udp_of(7008, 36))), "... a longer and a shorter one pass")
w.end()
for mode in ("native", "generic", "tc"):
    arrived(good)
    w = guard("drop", 'payload[900:2] = 0x2121 or (tcp and payload[0:4] = "EVIL")', mode=mode)
    for i in range(100):
        a.sendto(b"x" * 900 + b"!!", ("10.77.0.2", 7008)), a.sendto(b"x" * 901 + b"!", ("10.77.0.2", 7008))
    got = arrived(good)
    with in_netns("wgb"):
        ls = socket.create_server(("10.77.0.2", 0))
    with in_netns("wga"):
        c = socket.create_connection(ls.getsockname())
    s, _ = ls.accept()
    s.settimeout(0.4)
    c.sendall(b"GOOD and the rest" * 80)
    first = s.recv(4)
    while len(s.recv(4096)) == 4096:
        pass
    c.sendall(b"EVIL")
    try:
        second = s.recv(4)
    except TimeoutError:
        second = None
    w.end()
    r = [x for x in w.records if not x.get("automatic")]
    ok(got == 100 and first == b"GOOD" and second is None and len(r) == 1 and r[0]["hits"] >= 101, f"{mode}: bytes far behind in a packet, and of TCP behind its options", lambda: (got, first, second, r, w.err))
    c.close(), s.close(), ls.close()
for expr, words in (("payload[3000] = 1", "2,008 bytes"), ("payload.data ~ x", "all of the payload"), (" or ".join(f"payload[{i}:1] = {i}" for i in range(17)), "16 different"), ("payload[0] = 256", "0xVALUE/0xMASK")):
    r = weir("guard", "drop", expr, "--netns", "wgb")
    ok(r.returncode == 2 and words in r.stderr, f"guard drop '{expr[:20]}': {words}", r)

# limits
w = guard("limit", "udp and dst.port = 7007", "--rate", "500/s", "--per", "src")
begin = time.time()
while time.time() - begin < 2:
    for i in range(20):
        a.sendto(b"loud", ("10.77.0.2", 7007))
    a3.sendto(b"quiet", ("10.77.0.2", 7007))
    time.sleep(0.01)
took, quiet, loud = time.time() - begin, 0, 0
time.sleep(0.2)
try:
    while True:
        if bad.recv(100) == b"quiet":
            quiet += 1
        else:
            loud += 1
except BlockingIOError:
    pass
w.end()
r = next(x for x in w.records if not x.get("automatic"))
ok(0.9 * 500 * took <= loud <= 1.1 * (500 * took + 50), "a limit lets its rate through", (loud, took))
ok(quiet >= 100 and r["matched"] == r["hits"] + loud + quiet, "... and harms no quiet source; passed and dropped add up", (quiet, r))
w = guard("limit", "udp and dst.port = 7008", "--rate", "2/s", "--per", "src")
arrived(good)  # what came before
for i in range(30):
    a.sendto(b"slow", ("10.77.0.2", 7008))
got = arrived(good)
w.end()
ok(1 <= got <= 3, "a rate below one packet of the burst lets some through", got)
w = guard("limit", "udp", "--rate", "800kbit", "--burst", "10kB")
begin, n = time.time(), 0
while time.time() - begin < 1.5:
    a.sendto(b"x" * 958, ("10.77.0.2", 7008))
    n += 1
    time.sleep(0.002)
took = time.time() - begin
got = arrived(good)
w.end()
ok(0.85 * 100 * took < got < 1.15 * (100 * took + 10), "a limit of bits a second counts bits", (got, took, n))

# a list of a million
LIST = tempfile.mktemp(prefix="/tmp/weir-guard", suffix=".txt")
later(lambda: os.path.exists(LIST) and os.unlink(LIST))
with open(LIST, "w") as f:
    f.write("# threats\n10.77.0.3 ; the second address\n")
    f.write("".join(f"{20 + (i >> 16)}.{i >> 8 & 255}.{i & 255}.9\n" for i in range(1000000)))
w = guard("drop", "--list", LIST, ready=4)
for i in range(200):
    a.sendto(b"x", ("10.77.0.2", 7008)), a3.sendto(b"y", ("10.77.0.2", 7008))
got = arrived(good)
inner = through(E4 + ip4(ip4(udp_of(9))[:12] + bytes([21, 2, 3, 9]) + ip4(udp_of(9))[16:], proto=4))
w.end()
r = [x for x in w.records if not x.get("automatic")]
ok(got == 200 and not inner and r and r[0]["hits"] == 201 and "1000001 networks" in r[0]["text"], "a list of 1,000,001 addresses drops its own and nothing else, in tunnels too",
   lambda: (got, inner, r, w.err))
with open(LIST, "w") as f:
    f.write("fd77::3\n10.77.0.3\n" + "".join(f"2001:db8:{i >> 16:x}:{i & 65535:x}::/{56 + i % 9}\n" for i in range(100000)))
sh("ip -n wga addr add fd77::3/64 dev vwga nodad")
a6, b6, good6 = udp("wga", "fd77::1", family=socket.AF_INET6), udp("wga", "fd77::3", family=socket.AF_INET6), udp("wgb", "fd77::2", 7008, family=socket.AF_INET6)
a6.sendto(b"x", ("fd77::2", 7008)), b6.sendto(b"x", ("fd77::2", 7008))
both = arrived(good6)
w = guard("drop", "--list", LIST)
for i in range(200):
    a6.sendto(b"x", ("fd77::2", 7008)), b6.sendto(b"y", ("fd77::2", 7008)), a3.sendto(b"z", ("10.77.0.2", 7008))
got = arrived(good6), arrived(good)
inside = lambda src: through(E4 + ip4(ip6(udp_of(9)).replace(A6, socket.inet_pton(socket.AF_INET6, src)), proto=41))
got += (inside("2001:db8:1:869f::77"), inside("2001:db8:1:8700::77"))
w.end()
r = [x for x in w.records if not x.get("automatic")]
ok(both == 2 and got == (200, 0, False, True) and r and r[0]["hits"] >= 401 and "100002 networks" in r[0]["text"], "IPv6 sources of a list, too, in tunnels too, beside IPv4 ones",
   lambda: (both, got, r, w.err))
with open(LIST, "w") as f:
    f.write("1.2.3.4\n2001:db8::/132\n")
r = weir("guard", "drop", "--list", LIST, "--netns", "wgb")
ok(r.returncode == 2 and ":2:" in r.stderr and "IPv6" in r.stderr, "a wrong list is told with its line", r)

# the operator's own session stays
with in_netns("wgb"):
    ls = socket.create_server(("10.77.0.2", 2222))
with in_netns("wga"):
    c = socket.create_connection(("10.77.0.2", 2222))
s, _ = ls.accept()
env = {"SSH_CONNECTION": f"10.77.0.1 {c.getsockname()[1]} 10.77.0.2 2222"}
w = Weir("guard", "drop", "tcp", "--netns", "wgb", "--json", env=env, ready=1.2)
c.sendall(b"still here")
s.settimeout(2)
try:
    got = s.recv(100)
except OSError as e:
    got = e
with in_netns("wga"):
    c2 = socket.socket()
c2.settimeout(1)
ok(got == b"still here" and c2.connect_ex(("10.77.0.2", 2222)) != 0, "a rule that names the operator's own session does not cut it", got)
w.end()
ok(any(x.get("automatic") and x["hits"] for x in w.records), "... and the list says why", w.out)
c2.close()

# kept by the agent
with open(SOCK + ".rules", "w") as f:
    f.write("# a set\n\ndrop ttl 1h udp and dst.port = 7007\nlimit rate 1000/s per src/24 ttl 0 icmp\n")
agent = spawn(["nsenter", "--net=/run/netns/wgb", WEIR, "run", "--agent.socket", SOCK, "--store.path", "", "--api.listen", "", "--api.socket", "", "--audit.path", ""],
              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
for i in range(100):
    if os.path.exists(SOCK) and weir("ctl", "counters", "--socket", SOCK).returncode == 0:
        break
    time.sleep(0.1)
else:
    ok(False, "an agent in the namespace", agent.poll())
    done()  # without one the rules would hold on this host
G = lambda *x: weir("guard", *x, "--socket", SOCK)
rules = lambda: [x for x in records(G("list", "--json").stdout) if not x.get("automatic")]
attached = lambda: [x for x in records(weir("bpf", "list", "--json", "--for", "50ms").stdout) if x["name"].startswith("guard_") and x.get("hook") and x["id"] not in elsewhere]
ok(rules() == [] and not attached(), "without a rule nothing is attached")
r = G("drop", "udp", "and", "dst.port = 7007", "--ttl", "3s", "--json")
one = records(r.stdout)
ok(r.returncode == 0 and len(one) == 1 and one[0]["text"] == "udp and dst.port = 7007" and one[0]["expires"] > one[0]["since"], "the agent takes a rule and the command ends", r)
a.sendto(b"x", ("10.77.0.2", 7007))
ok(arrived(bad) == 0 and rules()[0]["hits"] == 1, "... which is in force")
again = records(G("drop", "udp", "and", "dst.port = 7007", "--ttl", "4s", "--json").stdout)
ok(again[0]["id"] == one[0]["id"] and again[0]["hits"] == 1, "said again it lives longer, with its number and hits", again)
# an agent that is stopped cannot take it away: the kernel does
agent.send_signal(signal.SIGSTOP)
time.sleep(4.5)
a.sendto(b"x", ("10.77.0.2", 7007))
got = arrived(bad)
agent.send_signal(signal.SIGCONT)
time.sleep(1.5)
ok(got == 1 and rules() == [] and not attached(), "a rule ends at its time, even when nobody runs to take it away", (got, rules()))
# an interface that comes later is guarded too; one that is named is the only one
G("drop", "udp", "and", "dst.port = 7999", "--ttl", "1m")
sh("ip -n wgb link add late type veth peer name late2 && ip -n wgb link set late up && ip -n wgb link set late2 up")
time.sleep(2.5)
where = rules()[0]["interfaces"]
sh("ip -n wgb link del late")
sh("ip -n wgb link add late type veth peer name late2 && ip -n wgb link set late up && ip -n wgb link set late2 up")
time.sleep(2.5)
again = len(attached())
G("clear")
G("drop", "udp", "and", "dst.port = 7999", "--interface", "late2")
only = rules()[0]["interfaces"]
G("clear"), sh("ip -n wgb link del late")
ok("late tc" in where and "late2 tc" in where and "vwgb tc" in where and again >= 1 and only == "late2 tc" and rules() == [], "interfaces that come later, or are named", (where, again, only))
r = G("load", SOCK + ".rules")
first = rules()
a.sendto(b"x", ("10.77.0.2", 7007))
ok(r.returncode == 0 and "2 rules in force" in r.stderr and len(first) == 2 and arrived(bad) == 0, "a set comes from a file", (r, first))
with open(SOCK + ".rules", "a") as f:
    f.write("drop udp and dst.prot = 3\n")
r = G("load", SOCK + ".rules")
ok(r.returncode == 2 and ".rules:5:" in r.stderr and "dst.prot" in r.stderr and [x["id"] for x in rules()] == [x["id"] for x in first],
   "a wrong file is told with its line, the set in force stays", r)
# a list is read again when it is said again; a file that is broken meanwhile leaves the one in force
with open(LIST, "w") as f:
    f.write("10.77.0.3\n")
listed = lambda: [x["text"] for x in rules() if "networks" in x["text"]]
try_from = lambda s: (s.sendto(b"x", ("10.77.0.2", 7008)), arrived(good))[1]
G("drop", "--list", LIST)
one_in = try_from(a3), try_from(a)
with open(LIST, "w") as f:
    f.write("10.77.0.1\n10.77.0.200\n")
G("drop", "--list", LIST)
other = try_from(a3), try_from(a)
with open(LIST, "w") as f:
    f.write("nonsense\n")
r = G("drop", "--list", LIST)
r2 = G("drop", "udp", "and", "dst.port = 9", "--ttl", "1m")
ok((one_in, other, try_from(a)) == ((0, 1), (1, 0), 0) and r.returncode == 2 and ":1:" in r.stderr and r2.returncode == 0 and len(listed()) == 1 and "2 networks" in listed()[0],
   "a list is read again when it is said again, a broken one leaves the one in force", lambda: (one_in, other, r, r2, listed()))
r = G("drop", "--list", SOCK + ".rules")
ok(r.returncode == 2, "a second list beside it is refused", r)
G("clear", *[str(x["id"]) for x in rules() if "networks" in x["text"] or x["text"].endswith("= 9")])
with open(SOCK + ".rules", "w") as f:
    f.write("drop ttl 1h udp and dst.port = 7007\n")
    for i in range(900):
        f.write(f"drop ttl 0 src 203.0.{i // 200}.{i % 200} and tcp\n")
stop, sent, lost = threading.Event(), [0], [0]


def traffic():
    while not stop.is_set():
        a.sendto(b"x", ("10.77.0.2", 7008))
        sent[0] += 1
        time.sleep(0.001)


t = threading.Thread(target=traffic)
t.start()
begin = time.time()
r = G("load", SOCK + ".rules")
took = time.time() - begin
time.sleep(0.3)
stop.set(), t.join()
now = rules()
got = arrived(good)
ok(r.returncode == 0 and len(now) == 901 and now[0]["id"] == first[0]["id"] and now[0]["hits"] == 1 and took < 5,
   "901 rules in one step; the one that was there keeps its number and hits", lambda: (r, took, now[:1]))
ok(got == sent[0], "... while traffic passes without a gap", (got, sent[0]))
r = G("clear", "99999")
ok(r.returncode == 2 and "no rule 99999" in r.stderr, "clearing what is not there is told", r)
r = G("clear", str(now[5]["id"]), str(now[6]["id"]))
ok(r.returncode == 0 and len(rules()) == 899, "rules are cleared by number", r)
m = {x["name"]: x["value"] for x in records(weir("ctl", "counters", "--json", "--socket", SOCK).stdout) if x["kind"] == "metric"}
ok(m["guard.dropped"] >= 2 and m["guard.passed"] > got, "the ledger has the guard", m)
seen = [x["hook"] for x in records(sh(f"nsenter --net=/run/netns/wgb {WEIR} bpf list --json --for 50ms")) if x["name"] == "guard_tc"]
ok(len(attached()) == 1 and "another netns" in attached()[0]["hook"] and "tcx ingress vwgb" in seen, "weir bpf list shows it, and where", lambda: (attached(), seen))
# what it drops is told with its rule, each packet
G("clear")
G("drop", "udp and dst.port = 7007"), G("limit", "udp and dst.port = 7008", "--rate", "10/s", "--burst", "1")
ids = {p: next(x["id"] for x in rules() if str(p) in x["text"]) for p in (7007, 7008)}
arrived(good)
d = Weir("drops", "--json", "--socket", SOCK, ready=2)
for i in range(300):
    a.sendto(b"x" * 20, ("10.77.0.2", 7007)), a.sendto(b"x" * 30, ("10.77.0.2", 7008))
passed = arrived(good)
time.sleep(1)
d.end()
told = {}
for x in d.records:
    if get(x, "rule.family") == "weir":
        told.setdefault((x["rule"]["handle"], x["rule"].get("text")), []).append((x["count"], x["bytes"], x["transport"], x["server"]["port"], x["client"]["ip"]))
hits = {x["id"]: x["hits"] for x in rules()}
ok({k: sum(y[0] for y in v) for k, v in told.items()} == {(ids[7007], "udp and dst.port = 7007"): 300, (ids[7008], "udp and dst.port = 7008"): 300 - passed} and 0 < passed < 20
   and hits[ids[7007]] == 300 and hits[ids[7008]] == 300 - passed and {y[2:] for y in told[ids[7007], "udp and dst.port = 7007"]} == {("udp", 7007, "10.77.0.1")},
   "weir drops tells each packet's rule", lambda: (told, hits, passed, d.err))
# what it stops is told by weir why, and nothing else is put on it
G("clear")
with in_netns("wgb"):
    servers = [socket.create_server(("10.77.0.2", p)) for p in (2233, 2234, 2235, 2237)]
G("drop", "tcp and dst.port = 2233"), G("reject", "tcp and dst.port = 2234"), G("drop", "tcp.flags = S and dst.port = 2237 and src 10.77.0.0/24")
ids = {p: next(x["id"] for x in rules() if str(p) in x["text"]) for p in (2233, 2234, 2237)}
G("drop", "udp and dst.port = 7007")


def why(port):
    r = weir("why", "--netns", "wga", "--socket", SOCK, "--json", f"10.77.0.2:{port}", timeout=60)
    return next(iter(records(r.stdout)), {"cause": None, "stderr": r.stderr})


stop = threading.Event()
t = threading.Thread(target=lambda: [a.sendto(b"x", ("10.77.0.2", 7007)) for _ in iter(lambda: stop.wait(0.05), True)])
t.start()
with concurrent.futures.ThreadPoolExecutor(3) as pool:
    said = dict(zip((2233, 2234, 2237, 2235, 2239), pool.map(why, (2233, 2234, 2237, 2235, 2239))))
stop.set(), t.join()
for port, sure in ((2233, 0.98), (2234, 0.97), (2237, 0.98)):
    d = said[port]
    ok(d["cause"] == "guard_rule" and f"rule {ids[port]}," in d["summary"] and d["confidence"] >= sure and f"weir guard clear {ids[port]}" in d["fix"] and str(port) in d["rule"],
       f"weir why names the rule of the guard for port {port}", d)
ok(said[2235].get("verdict") == "healthy", "... a port that no rule names is well", said[2235])
ok(said[2239]["cause"] == "port_closed", "... a rule that acts on other packets meanwhile is not taken for the cause", said[2239])
G("clear")
with open(LIST, "w") as f:
    f.write("10.77.0.1\n")
G("drop", "--list", LIST)
d = why(2235)
ok(d["cause"] == "guard_rule" and LIST in d["summary"], "... a list is named, too", d)
G("clear")
w = guard("drop", "tcp and dst.port = 2235", mode="tc")
d = why(2235)
w.end()
ok(d["cause"] == "guard_rule" and d["confidence"] == 0.98 and "weir bpf list" in d["fix"], "... and one that no agent keeps", d)
G("clear")
agent.kill(), agent.wait()
time.sleep(0.3)
a.sendto(b"x", ("10.77.0.2", 7007))
ok(arrived(bad) == 1 and not attached(), "kill -9 leaves nothing behind")
for f in (SOCK, SOCK + ".rules"):
    if os.path.exists(f):
        os.unlink(f)

# a flood of SYNs from everywhere, and a good client
with in_netns("wga"):
    raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)


def syn(i):
    src = bytes([198, 51, 100, i & 255])
    t = struct.pack(">HHIIBBHHH", 1024 + i % 60000, 2222, i, 0, 0x50, 2, 1000, 0, 0)
    p = src + bytes([10, 77, 0, 2]) + struct.pack(">BBH", 0, 6, 20) + t
    x = sum(struct.unpack(">16H", p))
    x = (x & 0xffff) + (x >> 16)
    x = ~((x & 0xffff) + (x >> 16)) & 0xffff
    return struct.pack(">BBHHHBBH4s4s", 0x45, 0, 40, i & 0xffff, 0, 64, 6, 0, src, bytes([10, 77, 0, 2])) + t[:16] + struct.pack(">H", x) + t[18:]


frames = [syn(i) for i in range(2000)]
flood = lambda: [raw.sendto(f, ("10.77.0.2", 0)) for f in frames]
stop = threading.Event()


def flooding():
    while not stop.is_set():
        flood()


def connects(n=20):
    done, ls2 = 0, time.time()
    for i in range(n):
        with in_netns("wga"):
            c = socket.socket()
        c.settimeout(0.5)
        if c.connect_ex(("10.77.0.2", 2223)) == 0:
            done += 1
        c.close()
    return done


with in_netns("wgb"):
    ls2 = socket.create_server(("10.77.0.2", 2223), backlog=64)
accepting = threading.Thread(target=lambda: [ls2.accept() for i in range(10**6)], daemon=True)
accepting.start()
w = guard("limit", "tcp.flags = S", "--rate", "500/s", "--per", "src/24")
t = threading.Thread(target=flooding)
t.start()
time.sleep(0.3)
got = connects()
stop.set(), t.join()
w.end()
r = next(x for x in w.records if not x.get("automatic"))
ok(got == 20 and r["hits"] > 1000, "SYNs of one prefix are held to a rate, a good client of another connects each time", (got, r))

# what people do wrong
r = weir("guard", "drop", "src 10.0.0.0/8 and prot udp")
ok(r.returncode == 2 and "^" in r.stderr and "prot" in r.stderr, "a wrong expression is shown with a caret", r)
r = weir("guard", "drop", "tcp and tcp.seq = 4")
ok(r.returncode == 2 and "cannot test 'tcp.seq'" in r.stderr and "src.ip" in r.stderr, "what headers cannot tell is refused with what they can", r)
r = weir("guard", "limit", "udp")
ok(r.returncode == 2 and "rate" in r.stderr, "a limit without a rate", r)
while time.time() < turn + 1.5:
    time.sleep(0.2)
after_turn = both_ports()
hours.end()
ok(before_turn == (0, 1) and after_turn == (1, 0) and [(x["idle"], "when" in x) for x in hours.records[-2:]] == [(True, True), (False, True)], "rules hold in their hours, and say so",
   lambda: (before_turn, after_turn, hours.records, hours.err))
for bad in ("25:00-26:00", "mon-", "8-9"):
    r = weir("guard", "drop", "udp", "--when", bad, "--netns", "wgb")
    ok(r.returncode == 2 and "no time of day" in r.stderr, f"--when {bad} is refused", r)
r = weir("guard", "list", "--socket", "/nonexistent/x")
ok(r.returncode == 3 and "no agent" in r.stderr, "without an agent there is no list", r)
r = weir("guard", "drop", "udp", "--netns", "wgb", "--interface", "nope0")
ok(r.returncode == 2 and "nope0" in r.stderr, "an interface that is not there", r)
r = subprocess.run(["setpriv", "--reuid", "65534", "--clear-groups", WEIR, "guard", "drop", "udp", "--standalone"], capture_output=True, text=True)
ok(r.returncode == 3 and "root" in r.stderr, "without root it says what it needs", r)
done()
