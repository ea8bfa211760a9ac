# SPDX-License-Identifier: Apache-2.0
"""weir capture: what it writes is what went by, with owner; filter, rotation, full disk, closed pipe."""
import os, shutil, socket, subprocess, sys, time
sys.path.insert(0, "tests/lib")
from world import *

need_root()
tmp = tempfile.mkdtemp(prefix="weir-cap-")
later(shutil.rmtree, tmp, True)
ls = socket.create_server(("127.0.0.1", 0))
port = ls.getsockname()[1]


def talk(n=1, size=5000):
    for _ in range(n):
        c = socket.create_connection(("127.0.0.1", port))
        s, _ = ls.accept()
        c.sendall(b"c" * size)
        take(s, size)
        s.sendall(b"s" * size)
        take(c, size)
        c.close(), s.close()


def fields(path, what, flt="tcp"):
    return sh(f"tshark -r {path} -Y '{flt}' -T fields {' '.join('-e ' + w for w in what)} 2>/dev/null").splitlines()


d = spawn(["tcpdump", "-i", "lo", "-w", f"{tmp}/t.pcap", "-U", f"tcp port {port}"], stderr=subprocess.DEVNULL)
w = Weir("capture", "-w", f"port {port}", f"{tmp}/a.pcapng")
talk(10)
time.sleep(0.5)
d.terminate(), d.wait()
w.end()
ok(w.rc == 0 and " 0 lost" in w.err, "a capture ends with its account", w.err)
# at the sockets each packet is seen twice on loopback: where it leaves and where it arrives
out = fields(f"{tmp}/a.pcapng", ["tcp.seq_raw", "tcp.ack_raw", "tcp.flags", "tcp.len"], 'frame.comment matches "^out"')
truth = fields(f"{tmp}/t.pcap", ["tcp.seq_raw", "tcp.ack_raw", "tcp.flags", "tcp.len"])
missing = set(truth) - set(out)
ok(len(truth) > 50 and len(missing) <= 10 * 2, "the packets are those that tcpdump saw on the wire, but for TIME-WAIT's last",
   f"{len(truth)} {len(out)} {list(missing)[:5]}")
ok(not set(out) - set(truth), "and no others", list(set(out) - set(truth))[:5])
com = fields(f"{tmp}/a.pcapng", ["frame.comment"])
ok(com and all(f"[{os.getpid()}] user=root" in c for c in com), "every packet carries its owner", com[:3])
ok(sum("conn=" in c for c in com) > 0.9 * len(com), "and its connection", com[:3])
r = [x for x in records(weir("read", "--json", f"{tmp}/a.pcapng").stdout) if x["kind"] == "conn"]
ok(len(r) == 10 and all(x["bytes_to_server"] == 5000 == x["bytes_to_client"] for x in r), "weir reads its own file", r[:1])

# the filter: by process, in the kernel
w = Weir("capture", "-w", "process = curl", f"{tmp}/b.pcapng")
talk(3)
web = socket.create_server(("127.0.0.1", 0))
sh(f"curl -s -m 1 http://127.0.0.1:{web.getsockname()[1]}/ || true")
w.end()
com = fields(f"{tmp}/b.pcapng", ["frame.comment"])
ok(com and all("curl[" in c for c in com), "a filter by process takes only its packets", com[:3])
ok(int(re.search(r"(\d+) refused by the filter in the kernel", w.err).group(1)) > 20, "the kernel refused the others before the copy", w.err)

# a pipe, and one that closes
p = spawn(f"{WEIR} capture -w 'port {port}' --for 3s - | tshark -r - -c 5 -T fields -e tcp.port 2>/dev/null", shell=True,
          stdout=subprocess.PIPE, text=True)
time.sleep(1)
talk(3)
o, _ = p.communicate(timeout=15)
ok(len(o.splitlines()) == 5 and str(port) in o, "live into a pipe; the pipe closes, it ends", o)

# rotation
w = Weir("capture", "-w", f"port {port}", "--rotate-size", "20k", "--keep", "3", f"{tmp}/r.pcapng")
talk(20)
w.end()
files = sorted(x for x in os.listdir(tmp) if x.startswith("r-"))
ok(len(files) == 3 and all(os.path.getsize(f"{tmp}/{x}") <= 21000 + 11000 for x in files) and
   all(fields(f"{tmp}/{x}", ["tcp.port"]) for x in files), "rotation by size keeps the last three, each readable", files)

# full disk
os.mkdir(f"{tmp}/small")
sh(f"mount -t tmpfs -o size=300k none {tmp}/small")
later(sh, f"umount {tmp}/small", False)
w = Weir("capture", "-w", f"port {port}", f"{tmp}/small/x.pcapng")
talk(60, 20000)
w.end()
ok(w.rc == 3 and "No space left" in w.err, "a full disk: a clear error and status 3", w.err)
n = len(fields(f"{tmp}/small/x.pcapng", ["tcp.port"]))
chk = subprocess.run(f"capinfos -c {tmp}/small/x.pcapng", shell=True, capture_output=True, text=True)
ok(n > 10 and chk.returncode == 0 and "cut short" not in chk.stderr, "and what was written stays readable", chk.stderr)
w = weir("capture", "/nonexistent/x.pcapng")
ok(w.returncode == 3 and "No such file" in w.stderr, "a folder that is not there", w.stderr)

# counted: --count, --print
w = Weir("capture", "--count", "5", "--print", f"{tmp}/n.pcapng", "-w", f"port {port}")
talk(2)
w.end(sig=None)
ok(w.rc == 0 and len(fields(f"{tmp}/n.pcapng", ["tcp.port"])) == 5, "--count ends it", w.out + w.err)

# what the kernel drops, in another namespace, before it comes to a socket: the firewall's counter and the payloads are the truth
veth("wca", "wcb")
sh("ip netns exec wcb nft 'add table inet t; add chain inet t i { type filter hook input priority 0; }; add rule inet t i udp dport 9999 counter drop'")
with in_netns("wca"):
    u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
with in_netns("wcb"):
    good = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
good.bind(("10.77.0.2", 9998))
w = Weir("capture", "--drops", "-w", "host 10.77.0.2", f"{tmp}/d.pcapng")
for i in range(60):
    u.sendto(b"lost %04d" % i, ("10.77.0.2", 9999)), u.sendto(b"good %04d" % i, ("10.77.0.2", 9998))
    time.sleep(0.02)
with in_netns("wca"):
    c = socket.socket()
ok(c.connect_ex(("10.77.0.2", 81)) != 0, "(a closed port)")
time.sleep(0.3)
w.end()
rows = [x.split("\t") for x in fields(f"{tmp}/d.pcapng", ["frame.comment", "udp.dstport", "udp.payload", "tcp.dstport", "frame.packet_flags_direction"], "ip")]
lost = [r for r in rows if r[0].startswith("drop NETFILTER_DROP")]
n = int(re.search(r"packets (\d+)", sh("ip netns exec wcb nft list ruleset"))[1])
ok(len(lost) == n == 60 and [bytes.fromhex(r[2]) for r in lost] == [b"lost %04d" % i for i in range(60)], "--drops: each packet that a rule dropped, whole and in order", (len(lost), n, rows[:2]))
ok(lost and all(" at nft_do_chain" in r[0] and "interface=vwcb netns=" in r[0] for r in lost) and sum("rule udp dport 9999" in r[0] for r in lost) > 10, "... with the place and the rule", lost[-1:])
ok(len([r for r in rows if r[0].startswith("drop NO_SOCKET") and r[3] == "81"]) == 1, "... a SYN to a port where nobody listens", [r for r in rows if r[3]])
ok(not [r for r in rows if r[0].startswith("drop") and r[1] == "9998"] and len([r for r in rows if r[1] == "9998"]) == 120, "what arrives is not among them", len(rows))
copied, refused, told = int(re.search(r"(\d+) copied", w.err)[1]), int(re.search(r"(\d+) refused by", w.err)[1]), int(re.search(r"(\d+) packets written", w.err)[1])
ok(" 0 lost" in w.err and "61 of the packets were dropped by the kernel" in w.err and told == len(rows) <= copied, "and the account holds", w.err)
w = Weir("capture", "--drops", "--json", "-w", "drop.reason = NETFILTER_DROP and host 10.77.0.2", "--count", "3")
for i in range(3):
    u.sendto(b"again", ("10.77.0.2", 9999))
w.end(sig=None)
ok([(r["direction"], get(r, "drop.reason"), get(r, "dst.port")) for r in w.records] == [("drop", "NETFILTER_DROP", 9999)] * 3, "as records, and only those", w.out[:600])
done()
