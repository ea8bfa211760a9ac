# SPDX-License-Identifier: Apache-2.0
"""weir requests --dns: a resolver that does not answer, one that refuses, a search list that wastes, a storm of NXDOMAIN; and a healthy one."""
import json, os, shutil, sys
sys.path.insert(0, "tests/lib")
from world import *

need_root()
T = tempfile.mkdtemp(prefix="weir-dns-")
later(shutil.rmtree, T, True)
quiet = dict(stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
if not shutil.which("dnsmasq") or not shutil.which("dig"):
    skip("DNS health", "dnsmasq or dig is not installed")
    done()
    sys.exit()
veth("wda", "wdb")
os.makedirs("/etc/netns/wda", exist_ok=True)
later(shutil.rmtree, "/etc/netns/wda", True)
open("/etc/netns/wda/resolv.conf", "w").write("nameserver 10.77.0.2\nsearch ns.svc.test svc.test k.test\noptions ndots:5\n")
inside("wdb", "dnsmasq", "-k", "-C", "/dev/null", "-p", "53", "--no-resolv", "--no-hosts", "--user=root", "--pid-file=", "--local=/test/",
       "--address=/api.example.test/10.0.0.9", **quiet)
shutil.copy(shutil.which("dig"), f"{T}/stormy")
time.sleep(0.7)
N = "ip netns exec wda"
w = Weir("requests", "--json", "--standalone", "--dns", "--for", "22s", ready=1.8)
for i in range(12):
    sh(f"{N} getent ahostsv4 api.example.test", check=False)
    sh(f"{N} dig @10.77.0.2 +short api.example.test", check=False)
    sh(f"{N} nslookup -type=A no{i}.example.org. 10.77.0.2", check=False)
open(f"{T}/names", "w").write("".join(f"x{i}.test\n" for i in range(60)))
sh(f"{N} {T}/stormy @10.77.0.2 -f {T}/names", check=False)
ps = [spawn(["ip", "netns", "exec", "wda", "dig", "@10.77.0.77", "+time=1", "+tries=1", f"a{i}.test"], **quiet) for i in range(5)]
[p.wait(20) for p in ps]
w.p.wait(40)
w.end()
r = {x["subject"]: x for x in w.records if x["kind"] == "diagnosis"}


def found(subject, verdict, cause):
    x = r.get(subject, {})
    return (x.get("verdict"), x.get("cause")) == (verdict, cause)


ok(found("dns getent -> 10.77.0.2", "fault", "search_list_waste") and r["dns getent -> 10.77.0.2"]["evidence"][0]["search_list"] == 36 and
   "ndots" in r["dns getent -> 10.77.0.2"]["fix"], "three of four queries are the search list's (glibc, ndots:5)", r)
ok(found("dns dig -> 10.77.0.2", "healthy", None) and r["dns dig -> 10.77.0.2"]["evidence"][0]["queries"] == 12, "the same names by dig: healthy", r.get("dns dig -> 10.77.0.2"))
ok(any(k.startswith("dns ") and k.endswith("-> 10.77.0.2") and x.get("cause") == "resolver_refused" for k, x in r.items()), "a resolver that refuses", list(r))
ok(found("dns stormy -> 10.77.0.2", "fault", "nxdomain_storm") and "60 of 60" in r["dns stormy -> 10.77.0.2"]["summary"], "a storm of names that do not exist", r.get("dns stormy -> 10.77.0.2"))
ok(found("dns dig -> 10.77.0.77", "fault", "resolver_unanswering") and r["dns dig -> 10.77.0.77"]["evidence"][0]["unanswered"] == 5, "a resolver that is not there", r.get("dns dig -> 10.77.0.77"))
ok(w.rc == 1, "status 1: something is ill", w.rc)
w = Weir("requests", "--standalone", "--dns", "--for", "3s", ready=1.5)
for i in range(5):
    sh(f"{N} dig @10.77.0.2 +short api.example.test", check=False)
w.p.wait(20)
w.end()
ok(w.rc == 0 and "healthy" in w.out and "fault" not in w.out, "all well: a table, status 0", f"{w.rc} {w.out}")


# a client's port comes again while the resolver's flow lives on: each query is told once, with its answer
def asks(client, server, n):
    with in_netns(server):
        sv = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    ip = "10.77.0.2" if client != server else "127.0.0.1"
    sv.bind((ip, 5300))
    sv.settimeout(5)
    for i in range(n):
        with in_netns(client):
            c = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            c.bind(("10.77.0.1" if client != server else ip, 40000))
            c.connect((ip, 5300))
        c.settimeout(5)
        c.send(bytes([0, i]) + b"\x01\0\0\x01\0\0\0\0\0\0\x04name\x07example\0\0\x01\0\x01")
        q, a = sv.recvfrom(500)
        sv.sendto(q[:2] + b"\x81\x80" + q[4:], a)
        c.recv(500), c.close()
        time.sleep(0.05)
    sv.close()


for client, server, name in (("wda", "wdb", "two namespaces"), ("wda", "wda", "one namespace")):
    w = Weir("requests", "--json", "--standalone", "-w", "protocol = dns and server.port = 5300", ready=1.5)
    asks(client, server, 12)
    time.sleep(1.2)
    w.end()
    got = [r for r in w.records if r["kind"] == "request"]
    ok(len(got) == 12 and all(r.get("status") == "NOERROR" and "duration_us" in r for r in got), f"a port that comes again, {name}: each query once, answered",
       f"{len(got)} {[(r.get('status'), r.get('duration_us')) for r in got]}")
done()
