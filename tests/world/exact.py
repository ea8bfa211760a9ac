# SPDX-License-Identifier: Apache-2.0
"""Every byte counted once: random transfers against what the applications and tcp_info counted."""
import random, socket, struct, sys, threading, time
sys.path.insert(0, "tests/lib")
from world import *

need_root()
random.seed(7)
veth("wxa", "wxb")


def tcp_info(s):
    """bytes_acked, bytes_received, segs_out, segs_in of struct tcp_info (include/uapi/linux/tcp.h)"""
    b = s.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 232)
    return struct.unpack_from("QQII", b, 120)


def transfer(family, addr, up, down, ns=(None, None), dual=False):
    """A connection that carries `up` and `down` bytes; returns its client port and what tcp_info says."""
    def make(n):
        if n:
            with in_netns(n):
                return socket.socket(family)
        return socket.socket(family)
    ls = make(ns[1])
    if dual:
        ls.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    ls.bind(addr)
    ls.listen(1)
    port = ls.getsockname()[1]
    res = {}

    def serve():
        c, _ = ls.accept()
        take(c, up)
        c.sendall(b"d" * down)
        c.shutdown(socket.SHUT_WR)
        c.recv(1)
        res["server"] = tcp_info(c)
        c.close()
    t = threading.Thread(target=serve)
    t.start()
    if dual:
        c = socket.socket(socket.AF_INET)
        c.connect(("127.0.0.1", port))
    else:
        c = make(ns[0])
        c.connect((addr[0], port) + addr[2:])
    me = c.getsockname()[1]
    sent = 0
    while sent < up:
        n = random.choice([1, 10, 1448, 65536, 300000])
        sent += c.send(b"u" * min(n, up - sent))
    got = 0
    while True:
        b = c.recv(65536)
        if not b:
            break
        got += len(b)
    res["client"] = tcp_info(c)
    c.close()
    t.join()
    ls.close()
    assert got == down
    return me, port, res


w = Weir("conns", "--json", "--standalone")
want = []
for i in range(40):
    up, down = random.choice([0, 1, 1000, random.randrange(3000000)]), random.choice([0, 1, random.randrange(3000000)])
    kind = i % 4
    if kind == 0:
        r = transfer(socket.AF_INET, ("127.0.0.1", 0), up, down)
    elif kind == 1:
        r = transfer(socket.AF_INET6, ("::1", 0, 0, 0), up, down)
    elif kind == 2:
        r = transfer(socket.AF_INET6, ("::", 0, 0, 0), up, down, dual=True)
    else:
        r = transfer(socket.AF_INET, ("10.77.0.2", 0), up, down, ns=("wxa", "wxb"))
    want.append((r, up, down, kind))
time.sleep(0.5)
w.end()
recs = w.records
wrong, unpaired, info = [], 0, []
for (port, sport, res), up, down, kind in want:
    m = [r for r in closes(recs, client__port=port) if get(r, "server.port") == sport]
    if len(m) != 1:
        wrong.append(f"port {port}: {len(m)} records")
        continue
    r = m[0]
    if (r["bytes_to_server"], r["bytes_to_client"]) != (up, down):
        wrong.append(f"kind {kind}: {r['bytes_to_server']} {r['bytes_to_client']} want {up} {down}")
    if not (get(r, "client.pid") == os.getpid() == get(r, "server.pid")):
        unpaired += 1
    acked, received, _, _ = res["client"]
    # tcp_info counts SYN as an acknowledged byte of the opener and FIN as a received one
    if not (r["bytes_to_server"] <= acked <= r["bytes_to_server"] + 1 and
            r["bytes_to_client"] <= received <= r["bytes_to_client"] + 1):
        info.append(f"{acked} {received} vs {r['bytes_to_server']} {r['bytes_to_client']}")
ok(not wrong, "40 transfers (v4, v6, v4-mapped, veth): payload to the byte, one record each", "\n".join(wrong))
ok(not unpaired, "both ends of each are one record, across namespaces too", unpaired)
ok(not info, "the sums are tcp_info's bytes_acked and bytes_received", "\n".join(info))
mapped = [r for r in closes(recs) for q in want if q[3] == 2 and q[0][:2] == (get(r, "client.port"), get(r, "server.port"))]
ok(mapped and all(get(r, "server.ip") == "127.0.0.1" for r in mapped), "v4-mapped shows as IPv4")

# packets against tcpdump on the wire, and UDP
w = Weir("conns", "--json", "--standalone")
d = inside("wxb", "tcpdump", "-i", "vwxb", "-w", "/tmp/weir-exact.pcap", "-U", stderr=subprocess.DEVNULL)
later(lambda: os.path.exists("/tmp/weir-exact.pcap") and os.unlink("/tmp/weir-exact.pcap"))
time.sleep(1)
port, sport, _ = transfer(socket.AF_INET, ("10.77.0.2", 0), 200000, 100000, ns=("wxa", "wxb"))
with in_netns("wxa"):
    u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
with in_netns("wxb"):
    v = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
v.bind(("10.77.0.2", 0))
u.connect(v.getsockname())
for i in range(50):
    u.send(b"x" * (i * 20))
    v.sendto(b"y", u.getsockname())
time.sleep(1.2)
d.terminate()
d.wait()
w.end()
tcp = closes(w.records, client__port=port)
udp = [r for r in w.records if r.get("transport") == "udp" and get(r, "client.port") == u.getsockname()[1]]
ok(udp and udp[-1]["bytes_to_server"] == sum(i * 20 for i in range(50)) and udp[-1]["bytes_to_client"] == 50 and
   udp[-1]["packets_to_server"] == 50 and udp[-1]["packets_to_client"] == 50, "UDP: bytes and packets exact", udp[-1:])
ok(udp and get(udp[-1], "client.pid") == os.getpid(), "UDP has its owner", udp[-1:])
n = [int(sh(f"tshark -r /tmp/weir-exact.pcap -Y 'tcp.srcport=={p}' -T fields -e tcp.len 2>/dev/null | wc -l"))
     for p in (port, sport)]
lens = [sh(f"tshark -r /tmp/weir-exact.pcap -Y 'tcp.srcport=={p}' -T fields -e tcp.len 2>/dev/null").split()
        for p in (port, sport)]
# a segment that crosses veth unsplit (GSO) is several packets to weir: count by the segment size
mss = tcp[0]["mss"] if tcp else 1448
seg = [sum(max(1, -(-int(x) // mss)) for x in l) for l in lens]
got = [tcp[0]["packets_to_server"], tcp[0]["packets_to_client"]] if tcp else [0, 0]
# the last packets of a close belong to TIME_WAIT, which is no socket any more
ok(tcp and all(0 <= s - g <= 2 for s, g in zip(seg, got)), "TCP packets are those on the wire, but for TIME-WAIT's",
   f"wire {n} as segments {seg}, weir {got}")
ok(tcp and tcp[0]["retransmits"] == 0 and tcp[0]["handshake_us"] > 0 and tcp[0]["close_reason"] == "fin",
   "the healthy twin has no retransmission and ends with FIN", tcp)
done()
