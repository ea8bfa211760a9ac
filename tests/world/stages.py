# SPDX-License-Identifier: Apache-2.0
"""Where the time of a request went, and what the network did meanwhile: against what the server and the client measured themselves."""
import select, socket, struct, sys, threading
sys.path.insert(0, "tests/lib")
from world import *

need_root()
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"


def serve(s, plan):
    """One connection: what to wait before reading, to work, and in the middle of the answer; returns what it took, in us."""
    took = []
    for queue, work, pause, size in plan:
        time.sleep(queue)
        s.recv(65536)
        t1 = time.monotonic()
        time.sleep(work)
        t2 = time.monotonic()
        s.sendall(HEAD % size + b"x" * (size // 2))
        time.sleep(pause)
        s.sendall(b"y" * (size - size // 2))
        took.append([t1, (t2 - t1) * 1e6, (time.monotonic() - t2) * 1e6])
    return took


def talk(c, s, plan, slow=0):
    took = []
    t = threading.Thread(target=lambda: took.extend(serve(s, plan)))
    t.start()
    sent = []
    for i, (_, _, _, size) in enumerate(plan):
        sent.append(time.monotonic())
        c.sendall(b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n" % i)
        if slow:
            time.sleep(slow)
        take(c, len(HEAD % size) + size)
    t.join()
    return [((t1 - at) * 1e6, work, answer) for at, (t1, work, answer) in zip(sent, took)]


def pair(ns_c=None, ns_s=None, ip="127.0.0.1"):
    def sock(ns):
        if not ns:
            return socket.socket()
        with in_netns(ns):
            return socket.socket()
    ls, c = sock(ns_s), sock(ns_c)
    ls.bind((ip, 0))
    ls.listen()
    c.connect(ls.getsockname())
    s, _ = ls.accept()
    ls.close()
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else Nagle and a delayed acknowledgement add 40 ms: weir shows it
    return c, s


def of(recs, c):
    return [r for r in recs if r["kind"] == "request" and get(r, "client.port") == c.getsockname()[1]]


veth("wsa", "wsb")
sums = Weir("map", "--json", "--standalone", "--for", "60s", ready=1.5)
w = Weir("requests", "--json", "--standalone", ready=1.5)
PLAN = [(0.1, 0.05, 0.02, 1000), (0.0, 0.0, 0.0, 1000), (0.0, 0.08, 0.0, 1000), (0.06, 0.0, 0.0, 1000)]
runs = []
for where in ((None, None, "127.0.0.1"), ("wsa", "wsb", "10.77.0.2")):
    c, s = pair(*where)
    runs.append((where[0] or "loopback", c, talk(c, s, PLAN), PLAN))
# a reader that sleeps: the window closes during the answer
c, s = pair("wsa", "wsb", "10.77.0.2")
c.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
zero = (c, talk(c, s, [(0, 0, 0, 3000000)], slow=0.7))
# a segment of the answer is lost on its way: nft drops the second one once
c, s = pair("wsa", "wsb", "10.77.0.2")
sh("ip netns exec wsa nft 'add table ip t; add chain ip t i { type filter hook input priority 0; }'")
talk(c, s, [(0, 0, 0, 500)])
sh(f"ip netns exec wsa nft 'add rule ip t i tcp sport {s.getsockname()[1]} meta length > 500 limit rate 1/minute burst 1 packets counter drop'")
lossy = c
talk(c, s, [(0, 0, 0.01, 4000)])
dropped = int(re.search(r"packets (\d+)", sh("ip netns exec wsa nft list ruleset").split("counter", 1)[1]).group(1))
sh("ip netns exec wsa nft flush ruleset")
talk(c, s, [(0, 0, 0, 4000)])
# a question over UDP is dropped twice on its way, then answered; one never arrives
q, d = [], []
for ns, to in (("wsa", q), ("wsb", d)):
    with in_netns(ns):
        to.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
q, d = q[0], d[0]
d.bind(("10.77.0.2", 53)), q.connect(("10.77.0.2", 53)), d.settimeout(1)
ask = lambda i, name: struct.pack("!6H", i, 0x100, 1, 0, 0, 0) + bytes([len(name)]) + name + b"\4test\0\0\1\0\1"
sh("ip netns exec wsb nft 'add table ip t; add chain ip t i { type filter hook input priority 0; }'")
sh("ip netns exec wsb nft 'add rule ip t i udp dport 53 @ih,0,16 7 limit rate 1/minute burst 2 packets counter drop; add rule ip t i udp dport 53 @ih,0,16 8 counter drop'")
for i, name, times in ((6, b"fine", 1), (7, b"late", 3), (8, b"gone", 2)):
    for _ in range(times):
        q.send(ask(i, name))
        time.sleep(0.1)
    if i < 8:
        b, who = d.recvfrom(500)
        d.sendto(b[:2] + b"\x81\x83" + b[4:], who)
        q.recv(500)
asked, mine = q.getsockname()[1], [int(x) for x in re.findall(r"packets (\d+)", sh("ip netns exec wsb nft list ruleset").split("dport 53", 1)[1])]
truth = struct.unpack_from("I", s.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256), 100)[0]  # tcpi_total_retrans
time.sleep(12)  # what nobody answers is told after some seconds
w.end()
for name, c, took, plan in runs:
    r = of(w.records, c)
    ok(len(r) == len(plan) and all(set(x["stages"]) == {"request", "queue", "application", "response"} for x in r),
       f"{name}: every stage of every request", r)
    off = []
    for x, (queue, work, answer) in zip(r, took):
        st = x["stages"]
        if any(abs(st[k] - v) > 3000 for k, v in (("queue", queue), ("application", work), ("response", answer))):
            off.append((st, queue, work, answer))
        if abs(sum(st.values()) - x["duration_us"]) > 3:
            off.append(("sum", st, x["duration_us"]))
    ok(len(r) == len(plan) and not off, f"{name}: as the server measured them, and their sum is the duration", off)
r = of(w.records, zero[0])
ok(len(r) == 1 and 300000 < r[0].get("zero_window_us", 0) < 900000, "a closed window is the request's", r)
ok(all(x.get("zero_window_us") == 0 and x.get("retransmits") == 0 for _, c, _, _ in runs for x in of(w.records, c)), "the others had none, and nothing was sent again",
   [of(w.records, c) for _, c, _, _ in runs][0][:1])
ok(all(x.get("drops") == 0 for _, c, _, _ in runs for x in of(w.records, c)), "... and nothing was dropped")
r = of(w.records, lossy)
ok([x.get("drops") for x in r] == [0, dropped, 0], "what the kernel dropped is told by the request that lost it", [x.get("drops") for x in r])
lost = {}
for x in w.records:
    if x["kind"] == "request" and x["protocol"] == "dns" and get(x, "client.port") == asked:
        lost.setdefault(x["resource"], []).append((x.get("drops"), x.get("status")))
ok(mine[-2:] == [2, 2] and lost.get("fine.test") == [(0, "NXDOMAIN")] and max(n for n, _ in lost.get("late.test", [(0, "")])) == 2 and [n for n, _ in lost.get("gone.test", [])][-1:] == [2],
   "... of datagrams, too, answered or not", (mine, lost))
ok(dropped == 1 and [x.get("retransmits") for x in r] == [0, truth, 0] and truth > 0, "a lost segment is the loss of its request alone", f"{dropped} {truth} {[(x.get('retransmits'), x.get('stages')) for x in r]}")

e = [x for x in sums.end().records if x["kind"] == "edge"]
each = sum(x.get("retransmits", 0) for x in w.records if x["kind"] == "request")
ok(sum(x["retransmits"] for x in e) == each >= truth, "the map's edges sum it up", f"{each} {truth} {e}")

# a server that is not on this host: a peer behind a TUN device, with a TCP of its own; each packet of it takes TRIP ms
import fcntl, heapq
TRIP, WORK = 0.02, 0.05
netns("wst")
with in_netns("wst"):
    tun = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(tun, 0x400454ca, struct.pack("16sH22x", b"far", 0x1001))  # TUNSETIFF: IFF_TUN | IFF_NO_PI
sh("ip -n wst addr add 10.79.0.1/24 dev far && ip -n wst link set far up")


def fold(b):
    t = sum(struct.unpack(f"!{len(b) // 2}H", b))
    while t >> 16:
        t = (t & 0xffff) + (t >> 16)
    return ~t & 0xffff


def far():
    """Answers each request on one connection WORK s after it came; what it says arrives TRIP s later."""
    due, seq, ack, n = [], 1000, 0, 0

    def say(at, flags, data=b""):
        nonlocal seq, n
        tcp = struct.pack("!HHIIBBHHH", 80, port, seq, ack, 0x50, flags, 65000, 0, 0) + data
        ends = socket.inet_aton("10.79.0.2") + socket.inet_aton("10.79.0.1")
        pseudo = ends + struct.pack("!BBH", 0, 6, len(tcp)) + tcp
        tcp = tcp[:16] + struct.pack("!H", fold(pseudo + b"\0" * (len(pseudo) % 2))) + tcp[18:]
        ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(tcp), n, 0, 64, 6, 0) + ends
        seq = seq + len(data) + (1 if flags & 3 else 0)
        n += 1
        heapq.heappush(due, (at + TRIP, n, ip[:10] + struct.pack("!H", fold(ip)) + ip[12:] + tcp))
    while True:
        wait = max(0, due[0][0] - time.monotonic()) if due else 0.2
        if select.select([tun], [], [], wait)[0]:
            p = os.read(tun, 65536)
            if p[0] >> 4 != 4 or p[9] != 6:
                continue
            t, now = p[(p[0] & 15) * 4:], time.monotonic()
            port, his, flags, data = struct.unpack_from("!H", t)[0], struct.unpack_from("!I", t, 4)[0], t[13], t[(t[12] >> 4) * 4:]
            if flags & 2:
                ack = his + 1
                say(now, 0x12)
            elif data:
                ack = his + len(data)
                say(now, 0x10)
                say(now + WORK, 0x18, HEAD % 2 + b"ok")
            elif flags & 1:
                ack = his + 1
                say(now, 0x11)
        while due and due[0][0] <= time.monotonic():
            os.write(tun, heapq.heappop(due)[2])


threading.Thread(target=far, daemon=True).start()
elsewhere = Weir("requests", "--json", "-w", "server.ip = 10.79.0.2", ready=1.8)
with in_netns("wst"):
    c = socket.socket()
c.connect(("10.79.0.2", 80))
time.sleep(1.5)
for i in range(5):
    c.sendall(b"GET /far HTTP/1.1\r\nHost: x\r\n\r\n")
    take(c, len(HEAD % 2) + 2)
time.sleep(1.2)
c.close()
elsewhere.end()
r = [x for x in elsewhere.records if x["kind"] == "request"]
ok(len(r) == 5 and all(18000 <= get(x, "stages.network") <= 30000 and 45000 <= get(x, "stages.server") <= 70000 for x in r),
   "a server elsewhere: what the network took, and what it took itself", [x.get("stages") for x in r])
ok(all("application" not in x["stages"] for x in r) and not any("network" in x.get("stages", {}) for _, c, _, _ in runs for x in of(w.records, c)),
   "each where it is known", [x.get("stages") for x in r])
done()
