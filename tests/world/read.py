# SPDX-License-Identifier: Apache-2.0
"""Captures: the same numbers as tshark, in every packing; damage is told; the judge's cases."""
import glob, gzip, os, re, shutil, socket, struct, subprocess, sys, threading, time
sys.path.insert(0, "tests/lib")
from world import *

tmp = tempfile.mkdtemp(prefix="weir-read-")
later(shutil.rmtree, tmp, True)
f = f"{tmp}/a.pcap"


def tshark(args, path=f):
    return sh(f"tshark -r {path} {args} 2>/dev/null", check=False)


# our own capture: real servers on loopback, recorded by tcpdump
if os.geteuid() == 0:
    netns("wrd")
    d = inside("wrd", "tcpdump", "-i", "lo", "-w", f, "-U", stderr=subprocess.DEVNULL)
    time.sleep(0.7)
    ports = []
    for i in range(30):
        with in_netns("wrd"):
            ls = socket.socket(socket.AF_INET6 if i % 3 == 0 else socket.AF_INET)
        ls.bind(("::1" if i % 3 == 0 else "127.0.0.1", 0))
        ls.listen(1)
        with in_netns("wrd"):
            c = socket.socket(ls.family)
        c.connect(ls.getsockname())
        s, _ = ls.accept()
        c.sendall(b"q" * (i * 1000))
        take(s, i * 1000)
        s.sendall(b"a" * (i * 777))
        take(c, i * 777)
        ports.append((c.getsockname()[1], ls.getsockname()[1], i * 1000, i * 777))  # a client's port may come again
        c.close(), s.close(), ls.close()
    with in_netns("wrd"):
        u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        v = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    v.bind(("127.0.0.1", 5353))
    for i in range(20):
        u.sendto(b"d" * i, ("127.0.0.1", 5353))
    time.sleep(0.5)
    d.terminate()
    d.wait()
    r = weir("read", "--json", f)
    recs = records(r.stdout)
    bad = []
    for port, server, up, down in ports:
        m = closes(recs, client__port=port, server__port=server)
        if len(m) != 1 or (m[0]["bytes_to_server"], m[0]["bytes_to_client"], m[0]["retransmits"], m[0]["close_reason"]) != \
                (up, down, 0, "fin"):
            bad.append((port, up, down, m))
    ok(r.returncode == 0 and not bad, "30 connections: payload, no retransmission, closed by FIN", bad[:2])
    conv = tshark("-q -z conv,tcp | grep -c '<->'")
    ok(len([x for x in recs if x.get("transport") == "tcp"]) == int(conv) == 30, "as many connections as tshark's", conv)
    total = int(tshark("-T fields -e frame.number | tail -1"))
    ok(sum(x.get("packets_to_server", 0) + x.get("packets_to_client", 0) for x in recs) == total, "every packet is in one record",
       total)
    # TCP by its sections: the same capture with one segment changed in each of six connections; tshark finds the same
    broken = lambda path: [x for x in records(weir("read", "--json", path).stdout) if x["kind"] == "violation"]
    ok(not broken(f), "real connections break no section of TCP's")
    raw = open(f, "rb").read()
    frames, i = [], 24
    while i < len(raw):
        n = struct.unpack_from("<I", raw, i + 8)[0]
        frames.append(bytearray(raw[i:i + 16 + n]))
        i += 16 + n
    of = {}  # of a connection: where its segments from the client are; TCP begins at 16 + 14 + 20
    for k, x in enumerate(frames):
        if x[28:30] == b"\x08\0" and x[39] == 6:
            of.setdefault(struct.unpack_from(">HH", x, 50), []).append(k)
    v4 = [x for x in ports if (x[0], x[1]) in of and x[2]]
    stamps = lambda x: x.index(b"\x01\x01\x08\x0a", 70)

    def data(k):  # the first segment with payload
        return next(frames[j] for j in of[v4[k][:2]] if frames[j][63] & 8)
    x = data(0)
    x[62] |= 4
    x = data(1)
    x[stamps(x):stamps(x) + 12] = b"\x01" * 12
    data(2)[63] &= ~0x10
    x = data(3)
    x[stamps(x):stamps(x) + 12] = b"\x02\x04\x05\xb4" + b"\x01" * 8
    last = frames[of[v4[4][:2]][-1]]
    x = bytearray(last)
    x[63] = 4
    struct.pack_into(">I", x, 54, struct.unpack_from(">I", x, 54)[0] + 300000 & 0xffffffff)
    y = bytearray(data(5))
    fin = next(frames[j] for j in of[v4[5][:2]] if frames[j][63] & 1)
    struct.pack_into(">I", y, 54, struct.unpack_from(">I", fin, 54)[0] + 1 & 0xffffffff)
    frames.insert(of[v4[4][:2]][3], x)
    frames.append(y)
    with open(f"{tmp}/broken.pcap", "wb") as o:
        o.write(raw[:24] + b"".join(frames))
    got = {(x["client"]["port"], x["rule"].split(":")[0]) for x in broken(f"{tmp}/broken.pcap")}
    want = {(v4[k][0], w) for k, w in enumerate(("RFC 9293 3.1", "RFC 7323 3.2", "RFC 9293 3.1", "RFC 9293 3.2", "RFC 9293 3.5.3", "RFC 9293 3.6"))}
    ok(got == want, "each of six changed segments is told with the section that it breaks, nothing else is", (got ^ want))
    c = [x for x in records(weir("read", "--json", f"{tmp}/broken.pcap").stdout) if x["kind"] == "conn" and x["client"]["port"] == v4[4][0]]
    ok(len(c) == 1 and c[0]["close_reason"] == "fin" and c[0]["bytes_to_server"] == v4[4][2], "a forged reset ends nothing", c)
    for k, y in enumerate(("tcp.flags.res != 0", "!tcp.options.timestamp and tcp.flags.reset == 0",
                           "tcp.flags.ack == 0 and tcp.flags.syn == 0 and tcp.flags.reset == 0",
                           "tcp.options.mss and tcp.flags.syn == 0")):
        seen = set(tshark(f"-Y 'ip and tcp and {y}' -T fields -e tcp.srcport", f"{tmp}/broken.pcap").split())
        ok(str(v4[k][0]) in seen and seen <= {str(v4[j][0]) for j in range(4)}, f"tshark finds it in the same connection: {y}", seen)
    found = [x for x in records(weir("read", "--json", "--kind", "alert", f"{tmp}/broken.pcap").stdout) if x["detector"] == "protocol_violation"]
    ok(len(found) == 6 and all("breaks tcp to" in x["summary"] for x in found), "and an alert for each", [x["summary"] for x in found])
    # answers that only fragments can carry, over IPv4 and IPv6: one request each, with all of its bytes
    veth("wrx", "wry")
    sh("ip -n wrx addr add fd77::1/64 dev vwrx nodad; ip -n wry addr add fd77::2/64 dev vwry nodad")
    inside("wry", "dnsmasq", "-k", "-C", "/dev/null", "-p", "53", "--no-resolv", "--no-hosts", "--user=root", "--pid-file=",
           "--edns-packet-max=8192", "--txt-record=big.test," + ",".join(["x" * 250] * 16), stderr=subprocess.DEVNULL)
    d2 = inside("wry", "tcpdump", "-i", "vwry", "-w", f"{tmp}/frag.pcap", "-U", stderr=subprocess.DEVNULL)
    time.sleep(0.7)
    sizes = [re.search(r"MSG SIZE  rcvd: (\d+)", sh(f"ip netns exec wrx dig @{a} +bufsize=8192 +ignore +time=2 TXT big.test", check=False))
             for a in ("10.77.0.2", "fd77::2")]
    time.sleep(0.3)
    d2.terminate(), d2.wait()
    q = [x for x in records(weir("read", "--json", "--kind", "request", f"{tmp}/frag.pcap").stdout) if x.get("protocol") == "dns"]
    frags = int(tshark("-Y 'ip.flags.mf == 1 or ip.frag_offset > 0 or ipv6.fraghdr' -T fields -e frame.number | wc -l", f"{tmp}/frag.pcap"))
    ok(all(sizes) and frags >= 6 and [(x["resource"], x["status"], x["response_bytes"]) for x in q] ==
       [("big.test", "NOERROR", int(m.group(1))) for m in sizes], "fragmented answers are put together", f"{frags} {sizes} {q}")
    g = weir("read", "--json", "--by", "transport", f)
    rows = {x["keys"]["transport"]: x for x in records(g.stdout)}
    ok(rows["tcp"]["bytes"] == sum(u + d for _, _, u, d in ports) and rows["udp"]["packets"] == 20, "sums by a key", g.stdout)
    k = weir("read", "--json", "--kind", "packet", "-w", "tcp.flags ~ S", "--fields", "number,tcp.mss,tcp.flags", f)
    ok(len(records(k.stdout)) == int(tshark("-Y tcp.flags.syn==1 -T fields -e frame.number | wc -l")) == 60, "packets by header field",
       k.stdout[:300])
    for proto in ("tcp", "udp"):
        data = [bytes.fromhex(x) for x in tshark(f"-Y {proto}.payload -T fields -e {proto}.payload").split()]
        head = max({x[:4] for x in data if len(x) > 4}, key=lambda h: sum(x[:4] == h for x in data))
        for place, value in (("0:4", "0x" + head.hex()), ("1:2", "0x" + head[1:3].hex()), ("0", f"0x{head[0] & 0xf0:02x}/0xf0")):
            got = weir("read", "--json", "--kind", "packet", "-w", f"{proto} and payload[{place}] = {value}", f)
            lo, n = int(place.split(":")[0]), int(place.split(":")[1]) if ":" in place else 1
            want = sum(len(x) >= lo + n and ((x[0] & 0xf0 == head[0] & 0xf0) if "/" in value else x[lo:lo + n] == head[lo:lo + n]) for x in data)
            ok(want and len(records(got.stdout)) == want and "data" not in got.stdout, f"{want} packets by bytes of {proto}'s payload at {place}; the bytes are not shown", lambda: (got.stderr, got.stdout[:300]))
    t = [l.split("\t") for l in tshark("-Y 'tcp and ip' -T fields -e frame.number -e ip.ttl -e tcp.seq_raw -e tcp.window_size_value "
                                       "-e tcp.options.timestamp.tsval -e ip.id").splitlines()]
    mine = {r_["number"]: r_ for r_ in records(weir("read", "--json", "--kind", "packet", "-w", "tcp and ip.version = 4", f).stdout)}
    bad = [x for x in t if (mine[int(x[0])]["ip"]["ttl"], mine[int(x[0])]["tcp"]["seq"], mine[int(x[0])]["tcp"]["window"],
                            mine[int(x[0])]["tcp"].get("tsval"), mine[int(x[0])]["ip"]["id"]) !=
           (int(x[1]), int(x[2]), int(x[3]), int(x[4]) if x[4] else None, int(x[5], 16))]
    ok(t and not bad, f"headers of {len(t)} packets are tshark's", bad[:3])

    want = r.stdout
    with open(f, "rb") as i, gzip.open(f"{tmp}/a.gz", "wb") as o:
        o.write(i.read())
    sh(f"editcap -F pcapng {f} {tmp}/a.pcapng 2>/dev/null")
    sh(f"editcap -F nsecpcap {f} {tmp}/n.pcap 2>/dev/null")
    ok(weir("read", "--json", f"{tmp}/a.gz").stdout == want, "gzip: the same records")
    if shutil.which("zstd"):
        sh(f"zstd -q {f} -o {tmp}/a.zst")
        ok(weir("read", "--json", f"{tmp}/a.zst").stdout == want, "zstd: the same records")
    else:
        skip("zstd", "no zstd command to make the file")
    ok(weir("read", "--json", f"{tmp}/n.pcap").stdout == want, "nanosecond pcap: the same records")
    ok(weir("read", "--json", f"{tmp}/a.pcapng").stdout == want, "pcapng: the same records")
    with open(f) as i:
        ok(weir("read", "--json", "-", stdin=i).stdout == want, "standard input: the same records")
    sh(f"editcap -s 90 {f} {tmp}/s.pcap 2>/dev/null")
    s = [x for x in records(weir("read", "--json", f"{tmp}/s.pcap").stdout) if x["kind"] == "conn"]
    ok(sum(x["bytes_to_server"] for x in s if x["transport"] == "tcp") == sum(u for _, _, u, _ in ports),
       "a snap length of 90 bytes loses no byte of the sums", lambda: (sum(x["bytes_to_server"] for x in s), s[:2]))
    sh(f"setpriv --reuid=65534 --regid=65534 --clear-groups true")
    os.chmod(tmp, 0o755), os.chmod(f, 0o644)
    p = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", WEIR, "read", "--json", f],
                       capture_output=True, text=True)
    ok(p.returncode == 0 and p.stdout == want, "no rights are needed", p.stderr)

    # damage
    b = open(f, "rb").read()
    open(f"{tmp}/cut.pcap", "wb").write(b[:-7])
    c = weir("read", "--json", f"{tmp}/cut.pcap")
    ok(c.returncode == 1 and "middle of a packet" in c.stderr and len(records(c.stdout)) >= 30, "cut: what is whole, a message, status 1",
       c.stderr)
    open(f"{tmp}/bad.pcap", "wb").write(b[:24 + 8] + b"\xff\xff\xff\x7f" + b[24 + 12:])
    c = weir("read", f"{tmp}/bad.pcap")
    ok(c.returncode == 1 and "corrupt at byte" in c.stderr, "corrupt: told with the place", c.stderr)
else:
    skip("own captures", "needs root for tcpdump")
for name, data, text in (("empty", b"", "empty"), ("text", b"hello world, no capture", "not a capture")):
    open(f"{tmp}/{name}", "wb").write(data)
    c = weir("read", f"{tmp}/{name}")
    ok(c.returncode == 2 and text in c.stderr, f"{name} file: refused with its reason", c.stderr)
c = weir("read", f"{tmp}/none.pcap")
ok(c.returncode == 2 and "No such file" in c.stderr, "no file: refused with its reason", c.stderr)
# endless: a stream without end, ended by the reader
p = spawn(["sh", "-c", f"(head -c 24 {f}; while tail -c +25 {f}; do :; done 2>/dev/null) | {WEIR} read - --kind packet | head -3"],
          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
o, _ = p.communicate(timeout=20)
ok(len(o.splitlines()) == 3, "an endless stream into head ends", o)

cases = "../shared/cases"
# not yet: detectors; mongo-duplicate-key lists only one of the two connections that the capture holds
others = {"brute-ssh-guess", "dns-tunnel-dnscat", "flood-syn-ecn-cwr", "mongo-duplicate-key", "scan-masscan-tcp", "scan-syn-sweep"}
mine = sorted({os.path.basename(os.path.dirname(x)) for x in glob.glob(f"{cases}/*/truth.json")} - others)
if os.path.isdir(cases):
    for san in (WEIR, os.environ.get("WEIR_SAN", WEIR)):
        r = subprocess.run([sys.executable, f"{cases}/compare.py", san, cases, *mine], capture_output=True, text=True)
        ok(r.returncode == 0, f"the judge's cases of connections, headers and requests ({os.path.relpath(san)})", r.stdout)
    crash = []
    for d in sorted(os.listdir(cases)):
        for cap in (x for x in os.listdir(f"{cases}/{d}") if x.startswith("capture")) if os.path.isdir(f"{cases}/{d}") else ():
            r = weir("read", "--json", f"{cases}/{d}/{cap}", weir=os.environ.get("WEIR_SAN", WEIR))
            n = int(sh(f"tshark -r {cases}/{d}/{cap} -T fields -e frame.number 2>/dev/null | tail -1") or 0)
            r2 = weir("read", f"{cases}/{d}/{cap}")
            if r.returncode or f" {n} packets," not in r2.stderr:
                crash.append((d, r.returncode, n, r2.stderr[:200], r.stderr[-300:]))
    ok(not crash, "all captures of the judge read under sanitizers, packet counts as tshark's", crash[:3])
else:
    skip("the judge's cases", "the folder of captures is not here")
# while it reads it is confined: hostile bytes find no system call that helps them
r = spawn([WEIR, "read", "-", "--json"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
r.stdin.write(bytes.fromhex("d4c3b2a1020004000000000000000000ffff000001000000")), r.stdin.flush()
field = lambda name: re.search(rf"{name}:\s+(\d+)", open(f"/proc/{r.pid}/status").read())[1]
ok(until(lambda: field("Seccomp") == "2", 5) and field("NoNewPrivs") == "1", "while it reads it is confined (seccomp)", lambda: open(f"/proc/{r.pid}/status").read())
r.stdin.close(), r.wait(10)
ok(r.returncode == 0, "and ends well", r.returncode)
done()
