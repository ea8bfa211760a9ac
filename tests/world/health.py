# SPDX-License-Identifier: Apache-2.0
"""TCP health: handshake, accept queue, loss by kind, zero windows, resets, failed connects, each with its twin."""
import re, socket, struct, sys, threading, time
sys.path.insert(0, "tests/lib")
from world import *

need_root()
veth("whc", "whs")
sh("ip netns exec whc sysctl -qw net.ipv4.tcp_syn_retries=1 net.ipv4.tcp_congestion_control=reno", check=False)
sh("ip netns exec whs sysctl -qw net.ipv4.tcp_congestion_control=reno", check=False)


def listen(ns="whs", backlog=16, ip="10.77.0.2"):
    with in_netns(ns):
        s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind((ip, 0))
    s.listen(backlog)
    return s


def client(ns="whc"):
    with in_netns(ns):
        return socket.socket()


w = Weir("conns", "--json", "--standalone")
ports = {}

# waits 300 ms in the accept queue
ls = listen()
c = client()
c.connect(ls.getsockname())
time.sleep(0.3)
s, _ = ls.accept()
ports["accept"] = c.getsockname()[1]
c.close(), s.close()

# the healthy twin
c = client()
t = threading.Thread(target=lambda: ports.setdefault("twin_s", ls.accept()[0]))
t.start()
c.connect(ls.getsockname())
t.join()
ports["twin"] = c.getsockname()[1]
c.sendall(b"x" * 100000)
take(ports["twin_s"], 100000)
c.close(), ports.pop("twin_s").close()

# a path that is narrow in its middle: the router says so
for n in ("wpa", "wpr", "wpb"):
    netns(n)
for end, net in (("wpa", 1), ("wpb", 2)):
    sh(f"ip -n wpr link add {end} type veth peer name e netns {end}")
    sh(f"ip -n wpr addr add 10.78.{net}.1/24 dev {end} && ip -n wpr link set {end} up")
    sh(f"ip -n {end} addr add 10.78.{net}.2/24 dev e && ip -n {end} link set e up && ip -n {end} route add default via 10.78.{net}.1")
sh("ip -n wpr link set wpb mtu 1300 && ip netns exec wpr sysctl -qw net.ipv4.ip_forward=1")
nl = listen("wpb", ip="10.78.2.2")
c = client("wpa")
c.connect(nl.getsockname())
s, _ = nl.accept()
ports["narrow"] = c.getsockname()[1]
c.sendall(b"n" * 200000)
take(s, 200000)
said = sh("ip netns exec wpa ss -tin")
ports["narrow_ss"] = int(re.search(r"pmtu:(\d+)", said)[1])
c.close(), s.close()

# zero window: the server does not read for a second
zl = listen()
zl.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
c = client()
c.connect(zl.getsockname())
s, _ = zl.accept()
ports["zero"] = c.getsockname()[1]
threading.Thread(target=lambda: c.sendall(b"z" * 3000000)).start()
time.sleep(1.3)
take(s, 3000000)
time.sleep(0.3)
c.close(), s.close()

# reset: the server closes with unread data
c = client()
c.connect(ls.getsockname())
s, _ = ls.accept()
ports["reset"] = c.getsockname()[1]
c.sendall(b"never read")
time.sleep(0.2)
s.close()
time.sleep(0.2)
c.close()

# the application aborts (SO_LINGER 0)
c = client()
c.connect(ls.getsockname())
s, _ = ls.accept()
ports["abort"] = c.getsockname()[1]
c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
c.close()
time.sleep(0.2)
s.close()


def fails(name, port, ip="10.77.0.2", timeout=None):
    c = client()
    c.bind(("10.77.0.1", 0))
    ports[name] = c.getsockname()[1]
    c.settimeout(timeout)
    try:
        c.connect((ip, port))
        ports[name + "_err"] = None
    except OSError as e:
        ports[name + "_err"] = e.errno
    c.close()


fails("refused", 9)
for rule in ("add table ip t", "add chain ip t i { type filter hook input priority 0; }", "add rule ip t i tcp dport 81 drop",
             "add rule ip t i tcp dport 82 reject with icmp type admin-prohibited"):
    sh(f"ip netns exec whs nft '{rule}'")
fails("dropped", 81)
fails("rejected", 82)
fails("impatient", 81, timeout=0.3)

# loss: one in twenty data segments is dropped
sh("ip netns exec whs nft add rule ip t i tcp dport 5000-65000 ip length '>' 200 numgen random mod 20 '<' 1 drop")


def counters():
    t = sh("ip netns exec whc nstat -az 2>/dev/null", check=False)
    return {k: int(v) for k, v in re.findall(r"^(\S+)\s+(\d+)", t, re.M)}


before = counters()
c = client()
c.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, b"reno")
c.connect(ls.getsockname())
s, _ = ls.accept()
ports["loss"] = c.getsockname()[1]
threading.Thread(target=lambda: (c.sendall(b"l" * 4000000), c.shutdown(socket.SHUT_WR))).start()
got = 0
while True:
    b = s.recv(65536)
    if not b:
        break
    got += len(b)
time.sleep(0.3)
info = c.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 232)
truth_retrans = struct.unpack_from("I", info, 100)[0]
truth_rtt, truth_var = struct.unpack_from("II", info, 68)
truth_min = struct.unpack_from("I", info, 148)[0]
s.close(), c.close()
after = counters()
time.sleep(1.2)
w.end()
recs = w.records


def last(name):
    r = closes(recs, client__port=ports[name])
    return r[-1] if r else {}


r = last("accept")
ok(290000 <= r.get("accept_wait_us", 0) <= 400000, "300 ms in the accept queue", r)
twin = last("twin")
ok(twin.get("accept_wait_us", 1e9) < 100000 and twin.get("zero_windows") == 0 and twin.get("retransmits") == 0 and
   twin.get("close_reason") == "fin" and twin.get("closed_by") == "client", "the healthy twin has none of it", twin)
ok(0 < twin.get("handshake_us", 0) < 50000 and 0 < twin.get("rtt_min_us", 0) <= twin.get("rtt_us", 0) + 1000,
   "handshake and round trip are measured", twin)
r = last("zero")
ok(r.get("zero_windows", 0) >= 1 and 900 <= r.get("zero_window_ms", 0) <= 1700, "a reader that sleeps closes the window", r)
ok(get(r, "limited_ms.receiver") >= 500, "and the sender was limited by the receiver", r)
r = last("reset")
ok((r.get("close_reason"), r.get("closed_by")) == ("reset", "server"), "unread data: reset by the server", r)
# the reason is in the tracepoint since 6.10
why = re.search(r"\bSK_RST_REASON_TCP_ABORT_ON_CLOSE\b", sh("bpftool btf dump file /sys/kernel/btf/vmlinux", check=False))
ok(r.get("reset_reason") == ("tcp_abort_on_close" if why else None), "with the kernel's reason", r)
r = last("abort")
ok((r.get("close_reason"), r.get("closed_by")) == ("reset", "client"), "abort: reset by the client", r)
ok(r.get("reset_reason") == ("tcp_state" if why else None), "with the kernel's reason", r)
ok("reset_reason" not in twin, "no reason where nobody reset", twin)
r = last("narrow")
ok(r.get("path_mtu") == ports["narrow_ss"] == 1300, "a narrow path: the MTU that ss knows, too", f"{ports['narrow_ss']} {r}")
ok(twin.get("path_mtu") == 1500, "and that of its twin", twin)
r = last("refused")
ok((r.get("close_reason"), r.get("errno")) == ("refused", 111) and ports["refused_err"] == 111, "closed port: refused", r)
r = last("dropped")
ok((r.get("close_reason"), r.get("errno")) == ("timed_out", 110) and get(r, "retransmit_kinds.syn") ==
   r["retransmits"] == r["packets_to_server"] - 1 > 0 and ports["dropped_err"] == 110, "dropped SYN: timed out after its retries", r)
r = last("rejected")
ok(r.get("close_reason") == "unreachable" and r.get("errno") == ports["rejected_err"], "rejected: unreachable with errno", r)
r = last("impatient")
ok((r.get("close_reason"), r.get("closed_by")) == ("aborted", "client"), "given up by the application", r)
r = last("loss")
ok(r.get("bytes_to_server") == 4000000 == got, "with loss each byte counts once", r)
ok(r.get("retransmits_to_server") == truth_retrans > 0, "retransmissions are tcp_info's", f"{truth_retrans} {r}")
k = r.get("retransmit_kinds", {})
d = {x: after.get(x, 0) - before.get(x, 0) for x in ("TcpExtTCPFastRetrans", "TcpExtTCPSlowStartRetrans",
     "TcpExtTCPLossProbes", "TcpRetransSegs")}
ok(k.get("fast", 0) + k.get("timeout", 0) + k.get("tail_probe", 0) == truth_retrans and
   abs(k.get("fast", 0) - d["TcpExtTCPFastRetrans"]) <= 2, "kinds add up and agree with nstat", f"{k} {d} {truth_retrans}")
ok(r.get("out_of_order", 0) > 0, "the receiver saw segments out of order", r)
ok(abs(r.get("rtt_us", 0) - truth_rtt) <= max(2000, truth_rtt) and r.get("rtt_min_us") == truth_min,
   "round trips are tcp_info's", f"{truth_rtt} {truth_min} {r.get('rtt_us')} {r.get('rtt_min_us')}")
ok(set(get(last("twin"), "state_us") or {}) >= {"established", "syn_sent"} or "state_us" in twin, "time in each state", twin)

# ICMP: the errors of the agent's own namespace are joined to the flow
w = Weir("conns", "--json", "--standalone", "-w", "udp")
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
u.connect(("127.0.0.1", 9))
u.send(b"x")
time.sleep(1.5)
w.end()
r = [x for x in w.records if get(x, "client.port") == u.getsockname()[1]]
ok(any(x.get("icmp") == "port_unreachable from 127.0.0.1" for x in r), "the ICMP error is joined to the flow", r)
done()
