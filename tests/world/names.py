# SPDX-License-Identifier: Apache-2.0
"""Who an address is: names from the answers of DNS that were asked for, country and network by files in MaxMind's format.
What was asked and by whom is the truth; of captures tshark's names, of files mmdblookup."""
import glob, random, shutil, sys
sys.path.insert(0, "tests/lib")
from world import *
import mmdb

need_root()
T = tempfile.mkdtemp(prefix="weir-names-")
later(shutil.rmtree, T, True)
quiet = dict(stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
veth("wna", "wnb")
for i in range(2, 10):
    sh(f"ip -n wnb addr add 198.51.100.{i}/24 dev vwnb; ip -n wnb addr add fd79::{i}/64 dev vwnb nodad")
sh("ip -n wna addr add fd79::1/64 dev vwna nodad; ip -n wna route add 198.51.100.0/24 dev vwna")
os.makedirs("/etc/netns/wna", exist_ok=True)
later(shutil.rmtree, "/etc/netns/wna", True)
open("/etc/netns/wna/resolv.conf", "w").write("nameserver 10.77.0.2\n")
inside("wnb", "dnsmasq", "-k", "-C", "/dev/null", "-p", "53", "--no-resolv", "--no-hosts", "--user=root", "--pid-file=", "--local=/test/",
       "--host-record=one.test,198.51.100.2", "--host-record=both.test,198.51.100.3", "--address=/other.test/198.51.100.3", "--cname=alias.test,real.test",
       "--host-record=real.test,198.51.100.4", "--host-record=six.test,fd79::5", "--host-record=far.test,198.51.100.6", "--host-record=shut.test,198.51.100.9", **quiet)
os.mkdir(f"{T}/www")
open(f"{T}/www/x", "w").write("x" * 1000)
for bind in ("0.0.0.0", "::"):
    inside("wnb", "python3", "-m", "http.server", "-b", bind, "-d", f"{T}/www", "8080" if bind == "0.0.0.0" else "8086", **quiet)
N = "ip netns exec wna"
until(lambda: "8086" in sh("ip netns exec wnb ss -ltn"))
time.sleep(0.5)

mmdb.write(f"{T}/country.mmdb", "Test-Country", {"198.51.100.0/30": {"country": {"iso_code": "DE"}}, "198.51.100.4/31": {"country": {"iso_code": "DE"}}, "198.51.100.6/32": {"country": {"iso_code": "KP"}},
                                                 "fd79::/64": {"country_code": "AT"}})
mmdb.write(f"{T}/asn.mmdb", "Test-ASN", {"198.51.100.0/24": {"autonomous_system_number": 64500, "autonomous_system_organization": "Example Net"},
                                         "fd79::/32": {"asn": "AS4200000001", "as_name": "Six \"Net\""}})
CONF = f"{T}/weir.yaml"
open(CONF, "w").write(f"enrich:\n  geo: {T}/country.mmdb,{T}/asn.mmdb\n")

cap = spawn(["ip", "netns", "exec", "wna", "tcpdump", "-i", "vwna", "-U", "-w", f"{T}/x.pcap"], **quiet)
SOCK = f"{T}/sock"
agent = Weir("run", "--config", CONF, "--agent.socket", SOCK, "--store.path", f"{T}/store", "--api.listen", "", "--api.socket", "", "--audit.path", "", ready=2)
w = Weir("conns", "--json", "--socket", SOCK, ready=1)
q = Weir("requests", "--json", "--socket", SOCK, ready=1)


def fetch(host, port=8080):
    return sh(f"{N} curl -s -o /dev/null -w '%{{remote_ip}}' --max-time 5 http://{host}:{port}/x")


asked = [("one.test", fetch("one.test")), ("both.test", fetch("both.test")), ("other.test", fetch("other.test")), ("alias.test", fetch("alias.test")),
         ("six.test", fetch("six.test", 8086)), ("both.test", fetch("both.test")), ("far.test", fetch("far.test"))]
fetch("198.51.100.7")  # nobody asked for its name
sh(f"{N} curl -s -o /dev/null --max-time 5 http://shut.test:9/x", check=False)  # nobody is there: no service, it goes by its name

# an answer that nobody asked for, from the resolver's own port
with in_netns("wnb"):
    liar = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    liar.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    liar.bind(("198.51.100.8", 5353))
with in_netns("wna"):
    ear = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    ear.bind(("10.77.0.1", 5444))
liar.sendto(b"\x12\x34\x81\x80\0\1\0\1\0\0\0\0\4evil\4test\0\0\1\0\1\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\xc6\x33\x64\x08", ("10.77.0.1", 5444))
fetch("198.51.100.8")
# a name that stays as it was while the connection is open
with in_netns("wna"):
    old = socket.create_connection(("198.51.100.3", 8080))
fetch("other.test")
old.close()
time.sleep(2)
w.end(), q.end()
cap.send_signal(signal.SIGINT), cap.wait(10)

told = sorted(((get(r, "server.host_name"), r["server"]["ip"]) for r in closes(w.records, server__port=8080) + closes(w.records, server__port=8086)), key=str)
want = sorted(asked + [("both.test", "198.51.100.3"), ("other.test", "198.51.100.3"), (None, "198.51.100.7"), (None, "198.51.100.8")], key=str)
ok(told == want, "each connection has the name that its client asked for last; an alias, IPv6, two names of one address", lambda: f"{told}\n{want}")
req = sorted(((get(r, "server.host_name"), r["server"]["ip"]) for r in q.records if r.get("protocol") == "http" and get(r, "server.port") in (8080, 8086)), key=str)
ok(req == sorted(asked + [("other.test", "198.51.100.3"), (None, "198.51.100.7"), (None, "198.51.100.8")], key=str), "so has each request", req)
ok(all(get(r, "client.host_name") is None for r in closes(w.records)), "the client's address has no name: nobody asked for one")

# places
by = {r["server"]["ip"]: r["server"] for r in closes(w.records)}
place = lambda ip: tuple(by.get(ip, {}).get(k) for k in ("country", "asn", "as_name"))
ok(place("198.51.100.2") == ("DE", 64500, "Example Net") and place("198.51.100.6") == ("KP", 64500, "Example Net") and
   place("fd79::5") == ("AT", 4200000001, 'Six "Net"') and place("198.51.100.8") == (None, 64500, "Example Net") and place("10.77.0.2") == (None, None, None),
   "country and network, of IPv4 and IPv6, MaxMind's and IPinfo's form", by)
if shutil.which("mmdblookup"):
    look = lambda ip, *path: (re.findall(r'"(.*)" <utf8', sh(f"mmdblookup -f {T}/country.mmdb -i {ip} {' '.join(path)}", check=False)) + [None])[0]
    ok(all(look(ip, *(("country_code",) if ":" in ip else ("country", "iso_code"))) == place(ip)[0] for ip in ("198.51.100.2", "198.51.100.6", "198.51.100.8", "fd79::5")),
       "mmdblookup says the same")
else:
    skip("mmdblookup says the same", "mmdblookup is not installed")
g = weir("query", "conn", "--store", f"{T}/store", "-w", "server.country = KP and event = close", "--json")
ok(g.returncode == 0 and {get(r, "server.host_name") for r in records(g.stdout) if r["kind"] == "conn"} == {"far.test"}, "the history is asked by country", g.stdout + g.stderr)
t = weir("query", "traffic", "--store", f"{T}/store", "--by", "server.service,server.host_name,server.ip", "--json")
names = {(r["server.host_name"], r["server.ip"]) for r in records(t.stdout) if r["kind"] == "row" and not r["server.service"]}
ok(("shut.test", None) in names and not any(ip == "198.51.100.9" for _, ip in names), "sums of traffic are by name, where no service of this host is", t.stdout)

# the same of the capture
r = weir("read", f"{T}/x.pcap", "--json", "--geo", f"{T}/country.mmdb,{T}/asn.mmdb")
conns = [x for x in records(r.stdout) if x["kind"] == "conn" and get(x, "server.port") in (8080, 8086)]
ok(sorted(((get(x, "server.host_name"), x["server"]["ip"]) for x in conns), key=str) == want and
   all(tuple(x["server"].get(k) for k in ("country", "asn", "as_name")) == place(x["server"]["ip"]) for x in conns), "read says the same", r.stderr)
b = weir("read", f"{T}/x.pcap", "--by", "server.host_name", "--json", "-w", "server.port = 8080", "--quiet")
sums = {get(x, "keys.server.host_name") or x["key"]: x["connections"] for x in records(b.stdout)}
ok(sums.get("both.test") == 3 and sums.get("other.test") == 2 and sums.get("far.test") == 1, "and sums by name", b.stdout + b.stderr)
by_port = {get(x, "client.port"): get(x, "server.host_name") for x in records(r.stdout) if x["kind"] == "conn"}
shark = [x.split("\t") for x in sh(f"tshark -r {T}/x.pcap -o nameres.network_name:TRUE -o nameres.dns_pkt_addr_resolution:TRUE -o nameres.use_external_name_resolver:FALSE "
                                   "-Y 'tcp.flags.syn==1 && tcp.flags.ack==0 && ip' -T fields -e tcp.srcport -e ip.dst -e ip.dst_host 2>/dev/null").splitlines()]
differ = [(ip, name, by_port.get(int(port))) for port, ip, name in shark if by_port.get(int(port)) != (name if name != ip else None)]
ok(len(shark) > 9 and sorted(differ, key=str) == [("198.51.100.4", "real.test", "alias.test"), ("198.51.100.8", "evil.test", None)],
   "and tshark, which takes an alias by its real name, and the word of the liar", f"{differ}")

# peers in a country that is not named
open(f"{T}/de.yaml", "w").write(f"enrich:\n  geo: {T}/country.mmdb\ndetect:\n  peer_countries: '*=de+AT'\n")
a = weir("read", f"{T}/x.pcap", "--kind", "alert", "--config", f"{T}/de.yaml", "--json")
al = [x for x in records(a.stdout) if x["detector"] == "unusual_peer"]
ok(len(al) == 1 and a.returncode == 1 and "far.test, KP" in al[0]["summary"] and "peer_countries does not name KP" in al[0]["summary"] and
   al[0]["evidence"]["country"] == "KP" and al[0]["confidence"] > 0.9, "a peer in a country that detect.peer_countries does not name is an alert", a.stdout + a.stderr)
open(f"{T}/kp.yaml", "w").write(f"enrich:\n  geo: {T}/country.mmdb\ndetect:\n  peer_countries: '*=DE+AT,10.77.0.1=KP'\n")
a = weir("read", f"{T}/x.pcap", "--kind", "alert", "--config", f"{T}/kp.yaml", "--json")
ok(a.returncode == 0 and not a.stdout, "where it is named, for this host alone, there is none", a.stdout + a.stderr)
for bad in ("de", "shop=", "shop=D", "shop=DE+", "shop=DE+A", "shop=D1", "=DE"):
    open(f"{T}/bad.yaml", "w").write(f"detect:\n  peer_countries: '{bad}'\n")
    b = weir("read", f"{T}/x.pcap", "--kind", "alert", "--config", f"{T}/bad.yaml")
    if not ok(b.returncode == 2 and "peer_countries" in b.stderr and "SERVICE=CC" in b.stderr, f"detect.peer_countries '{bad}': refused with words", f"{b.returncode} {b.stderr}"):
        break

# a new file takes effect without a new start, a bad one leaves the old one
mmdb.write(f"{T}/fresh", "Test-Country", {"198.51.100.0/24": {"country": {"iso_code": "FR"}}})
os.rename(f"{T}/fresh", f"{T}/country.mmdb")
e = weir("ctl", "reload", "--socket", SOCK)
w = Weir("conns", "--json", "--socket", SOCK, ready=1)
fetch("far.test")
time.sleep(1.5)
w.end()
ok(e.returncode == 0 and [get(r, "server.country") for r in closes(w.records, server__port=8080)] == ["FR"], "weir ctl reload reads the files anew", e.stdout + e.stderr)
open(f"{T}/torn", "wb").write(open(f"{T}/country.mmdb", "rb").read()[:60])
open(CONF, "w").write(f"enrich:\n  geo: {T}/torn\n")
e = weir("ctl", "reload", "--socket", SOCK)
w = Weir("conns", "--json", "--socket", SOCK, ready=1)
fetch("far.test")
time.sleep(1.5)
w.end()
ok(e.returncode != 0 and f"{T}/torn: not a file in MaxMind's DB format" in e.stderr and [get(r, "server.country") for r in closes(w.records, server__port=8080)] == ["FR"],
   "a file that is none: said, and the one before stays", e.stdout + e.stderr)
doc = weir("ctl", "metrics", "--socket", SOCK)
agent.end()
for files, words in ((f"{T}/none", "No such file"), (",".join([f"{T}/asn.mmdb"] * 5), "more than 4"), (T, T), (f"{T}/x.pcap", "MaxMind")):
    b = weir("read", f"{T}/x.pcap", "--geo", files)
    ok(b.returncode == 2 and words in b.stderr, f"--geo {os.path.basename(files)[:12]}: {words}", f"{b.returncode} {b.stderr}")

# the guard drops what comes from a country, or from a network
nets = {"198.51.100.0/30": {"country": {"iso_code": "DE"}}, "198.51.100.6/32": {"country": {"iso_code": "KP"}}, "198.51.100.8/29": {"country": {"iso_code": "IR"}}, "203.0.113.0/25": {"country": {"iso_code": "KP"}},
        "0.0.0.0/8": {"country": {"iso_code": "KP"}}, "fd79::/64": {"country": {"iso_code": "KP"}}}
mmdb.write(f"{T}/guard.mmdb", "Test-Country", nets)


def reach(ip, port=8080):
    return sh(f"{N} curl -g -s -o /dev/null -w '%{{http_code}}' --max-time 1 http://{ip}:{port}/x", check=False) == "200"


for of, file, want, n in (("KP", "guard", {3, 2, 8}, 4), ("kp,IR", "guard", {2, 3}, 5), ("DE", "guard", {6, 8, 64}, 1), ("AS64500", "asn", {64}, 1)):
    g = Weir("guard", "drop", "--list", f"{T}/{file}.mmdb", "--of", of, "--netns", "wna", "--json", ready=1.5)
    got = {i for i in (2, 3, 6, 8) if reach(f"198.51.100.{i}")} | ({64} if reach("[fd79::5]", 8086) else set())
    near = sh(f"{N} ping -c1 -W1 10.77.0.2 > /dev/null && echo yes", check=False).strip()
    g.end()
    rule = next((x for x in g.records if x.get("action") == "drop" and not x.get("automatic")), {})
    ok(got == want and near == "yes" and rule.get("hits", 0) > 0 and rule["text"] == f"src of {of} in {T}/{file}.mmdb ({n} networks)", f"guard drop --of {of}: these and no others", lambda: (got, want, near, rule, g.err))
ok(reach("198.51.100.6"), "afterwards everybody is there")
for of, file, words in (("XX", "guard", "has no network of XX"), ("KPX", "guard", "write countries and networks"), ("ASX", "guard", "write countries and networks"), ("KP", "torn", "not a file in MaxMind's DB format"), ("KP", "nowhere", "No such file")):
    b = weir("guard", "drop", "--list", f"{T}/{file}.mmdb" if file == "guard" else f"{T}/{file}", "--of", of, "--netns", "wna", "--for", "1s")
    ok(b.returncode != 0 and words in b.stderr, f"guard drop --of {of} of {file}: {words}", f"{b.returncode} {b.stderr}")
b = weir("guard", "drop", "--of", "KP", "udp", "--netns", "wna", "--for", "1s")
ok(b.returncode == 2 and "--list" in b.stderr, "--of without a file: said", b.stderr)

# hostile files: anything but a crash
whole, rng, crashed, differ = open(f"{T}/asn.mmdb", "rb").read(), random.Random(7), [], 0
for i in range(300):
    b = bytearray(whole)
    for _ in range(rng.choice((1, 3, 20))):
        b[rng.randrange(len(b))] = rng.randrange(256)
    open(f"{T}/bad.mmdb", "wb").write(b if i % 3 else b[:rng.randrange(len(b))])
    p = weir("read", f"{T}/x.pcap", "--json", "--geo", f"{T}/bad.mmdb", timeout=20)
    differ += p.returncode == 2
    if i % 10 == 0:  # its tree as a list
        q = weir("guard", "drop", "--list", f"{T}/bad.mmdb", "--of", "AS64500,DE", "--netns", "wna", "--for", "1ms", timeout=20)
        p.returncode = q.returncode if q.returncode < 0 else p.returncode
    if p.returncode not in (0, 2):
        crashed.append((i, p.returncode, p.stderr[-200:]))
ok(not crashed and 50 < differ < 290, "300 damaged files: refused or read, never more", f"{crashed} {differ}")
done()
