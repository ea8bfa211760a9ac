# SPDX-License-Identifier: Apache-2.0
"""The smaller protocols, by real servers and clients: WebSocket, SMTP, LDAP, FastCGI, CoAP, DHCP, NTP, Modbus, and UDP on any port."""
import glob, json, os, shutil, socket, struct, sys, threading
sys.path.insert(0, "tests/lib")
from world import *

need_root()
T = tempfile.mkdtemp(prefix="weir-protos-")
os.chmod(T, 0o755)
later(shutil.rmtree, T, True)
quiet = dict(stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
PY = "/usr/bin/python3"
FCGI = free_port()  # fcgiwrap does not take a port whose connections linger


def have(*tools):
    return all(shutil.which(t) for t in tools)


def module(name):
    return subprocess.run([PY, "-c", f"import {name}"], **quiet).returncode == 0


if module("websockets"):
    spawn([PY, "-c", """
import asyncio, websockets
async def echo(ws):
    async for m in ws:
        await ws.send(m)
async def main():
    async with websockets.serve(lambda ws, *a: echo(ws), "127.0.0.1", 18501, compression=None):
        await asyncio.Future()
asyncio.run(main())
"""], **quiet)
    listening(18501)
if module("aiosmtpd"):
    spawn([PY, "-m", "aiosmtpd", "-n", "-l", "127.0.0.1:18502"], **quiet)
    listening(18502)
if have("slapd", "ldapadd"):
    os.mkdir(f"{T}/ldap")
    open(f"{T}/slapd.conf", "w").write(f"""include /etc/ldap/schema/core.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile {T}/slapd.pid
database mdb
suffix "dc=test"
rootdn "cn=admin,dc=test"
rootpw geheim
directory {T}/ldap
maxsize 10485760
""")
    spawn(["slapd", "-f", f"{T}/slapd.conf", "-h", "ldap://127.0.0.1:18503", "-d", "0"], **quiet)
    listening(18503)
if have("nginx", "fcgiwrap"):
    open(f"{T}/app", "w").write("#!/bin/sh\ncase $PATH_INFO in /no*) echo 'Status: 404 Not Found';; esac\necho 'Content-Type: text/plain'\necho\necho hello\n")
    os.chmod(f"{T}/app", 0o755)
    open(f"{T}/n.conf", "w").write(f"""daemon off; master_process off; pid {T}/n.pid; error_log /dev/null; user root;
events {{ }}
http {{ access_log off; client_body_temp_path {T}/b; fastcgi_temp_path {T}/f; proxy_temp_path {T}/p; uwsgi_temp_path {T}/u; scgi_temp_path {T}/s;
 server {{ listen 127.0.0.1:18504; location / {{ fastcgi_pass 127.0.0.1:{FCGI}; fastcgi_param SCRIPT_FILENAME {T}/app; fastcgi_param REQUEST_METHOD $request_method;
  fastcgi_param REQUEST_URI $request_uri; fastcgi_param PATH_INFO $uri; fastcgi_param QUERY_STRING $query_string; }} }} }}
""")
    spawn(["fcgiwrap", "-s", f"tcp:127.0.0.1:{FCGI}"], **quiet)
    spawn(["nginx", "-c", f"{T}/n.conf", "-e", "/dev/null"], **quiet)
    listening(18504), listening(FCGI)
if have("coap-server-notls"):
    spawn(["coap-server-notls", "-A", "127.0.0.1", "-p", "18506"], **quiet)


def modbus():
    """A unit with 100 registers, as the specification has it; no package of Debian 12 has a server."""
    ls = socket.create_server(("127.0.0.1", 18507))
    while True:
        c, _ = ls.accept()
        while True:
            h = c.recv(12)
            if len(h) < 12:
                break
            tid, _, _, unit, fn, addr, n = struct.unpack(">HHHBBHH", h)
            if fn != 3 or addr + n > 100:
                c.sendall(struct.pack(">HHHBBB", tid, 0, 3, unit, fn | 0x80, 1 if fn != 3 else 2))
            else:
                c.sendall(struct.pack(">HHHBBB", tid, 0, 3 + 2 * n, unit, fn, 2 * n) + bytes(2 * n))


threading.Thread(target=modbus, daemon=True).start()
listening(18507)
veth("wpa", "wpb")
if have("dnsmasq", "busybox"):
    inside("wpb", "dnsmasq", "-k", "-C", "/dev/null", "-p", "0", "--user=root", "--pid-file=", "--dhcp-range=10.77.0.50,10.77.0.60,1h", f"--dhcp-leasefile={T}/leases",
           "--dhcp-authoritative", **quiet)


def ntp():
    """A server that answers one client right and tells another to go away."""
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("127.0.0.1", 123))
    for stratum, ref in ((2, bytes([10, 1, 2, 3])), (0, b"RATE")):
        q, a = s.recvfrom(100)
        s.sendto(bytes([0x24, stratum, 0, 0]) + bytes(8) + ref + bytes(8) + q[40:48] + q[40:48] + q[40:48], a)
    s.close()


threading.Thread(target=ntp, daemon=True).start()
time.sleep(0.5)

w = Weir("requests", "--json", "--standalone", ready=2)
if module("websockets"):
    subprocess.run([PY, "-c", """
import asyncio, websockets
async def main():
    async with websockets.connect("ws://127.0.0.1:18501/chat?token=geheim", compression=None) as ws:
        for m in ("hi", b"x" * 70000, "end"):
            await ws.send(m)
            await ws.recv()
        await (await ws.ping())
asyncio.run(main())
"""], timeout=30)
if module("aiosmtpd"):
    open(f"{T}/mail", "w").write("Subject: x\n\n" + "line geheim\n.dot\n" * 500)
    sh(f"curl -s smtp://127.0.0.1:18502/me --mail-from a@test --mail-rcpt b@test -T {T}/mail; curl -s smtp://127.0.0.1:18502 -X 'EXPN all'", check=False)
if have("slapd", "ldapadd"):
    open(f"{T}/x.ldif", "w").write("dn: dc=test\nobjectClass: dcObject\nobjectClass: organization\ndc: test\no: t\n\n" +
                                   "".join(f"dn: cn=u{i},dc=test\nobjectClass: person\ncn: u{i}\nsn: s\n\n" for i in range(30)))
    sh(f"ldapadd -x -H ldap://127.0.0.1:18503 -D cn=admin,dc=test -w geheim -f {T}/x.ldif >/dev/null; "
       "ldapsearch -x -H ldap://127.0.0.1:18503 -b dc=test '(&(objectClass=person)(cn=u*))' >/dev/null; "
       "ldapwhoami -x -H ldap://127.0.0.1:18503 -D cn=admin,dc=test -w falsch-geheim 2>/dev/null; "
       "ldapdelete -x -H ldap://127.0.0.1:18503 -D cn=admin,dc=test -w geheim cn=u3,dc=test cn=nobody,dc=test 2>/dev/null", check=False)
if have("nginx", "fcgiwrap"):
    sh("curl -s 'http://127.0.0.1:18504/yes?password=geheim'; curl -s http://127.0.0.1:18504/no", check=False)
if have("coap-server-notls"):
    for path in ("time", "nothing"):
        sh(f"timeout 5 coap-client-notls -B 2 coap://127.0.0.1:18506/{path}", check=False)
m = socket.create_connection(("127.0.0.1", 18507))
for i, addr in enumerate((0, 50, 98)):
    m.sendall(struct.pack(">HHHBBHH", i + 1, 0, 6, 7, 3, addr, 10))
    m.recv(300)
m.close()
if have("dnsmasq", "busybox"):
    sh("timeout 10 ip netns exec wpa busybox udhcpc -i vwpa -n -q -f -s /bin/true -x hostname:box >/dev/null 2>&1", check=False)
for i in range(2):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.settimeout(2)
    s.sendto(bytes([0x23]) + bytes(39) + b"CLIENT%02d" % i, ("127.0.0.1", 123))
    s.recvfrom(100)
# DNS on a port of nobody: the first datagrams tell, then all are wanted
def ask_and_answer(port, n, pause):
    u, v = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
    v.bind(("127.0.0.1", port))
    for i in range(n):
        name = b"\x05n%04d\x04test\0" % i
        u.sendto(struct.pack(">HHHHHH", i, 0x100, 1, 0, 0, 0) + name + b"\0\1\0\1", ("127.0.0.1", port))
        q, a = v.recvfrom(500)
        v.sendto(q[:2] + b"\x81\x83" + q[4:], a)
        u.recvfrom(500)
        if pause:
            time.sleep(pause)


ask_and_answer(15999, 100, 0.02)
time.sleep(1)
w.end()
q = [r for r in w.records if r["kind"] == "request"]


def of(proto, port=None):
    return [(r["operation"], r.get("resource", ""), r.get("status"), r.get("error")) for r in q if r["protocol"] == proto and
            (port is None or get(r, "server.port") == port)]


def full(proto):
    return [r for r in q if r["protocol"] == proto]


if module("websockets"):
    r = full("websocket")
    ok([(x["operation"], x["detail"]["sender"]) for x in r if x["operation"] in ("text", "binary")] == [(o, s) for o in ("text", "binary", "text") for s in ("client", "server")] and
       {x["resource"] for x in r} == {"/chat?token=***"}, "WebSocket: every message of both ends", of("websocket"))
    ok([x.get("request_bytes", x.get("response_bytes")) for x in r if x["operation"] == "binary"] == [70014, 70010] and
       len([x for x in r if x["operation"] in ("ping", "pong")]) == 2 and len([x for x in r if x["operation"] == "close"]) == 2, "its sizes, ping and close", r[2:4])
else:
    skip("WebSocket", "python3-websockets is not installed")
if module("aiosmtpd"):
    got = of("smtp", 18502)
    ok([x[0] for x in got if x[0] != "QUIT"][:4] == ["EHLO", "MAIL", "RCPT", "DATA"] and ("MAIL", "a@test", "250", False) in got and ("RCPT", "b@test", "250", False) in got and
       any(x[0] == "EXPN" and x[3] for x in got), "SMTP: a mail and a command that is refused", got)
    d = [r for r in full("smtp") if r["operation"] == "DATA"]
    ok(d and d[0]["request_bytes"] > os.path.getsize(f"{T}/mail"), "with the size of the mail", d)
else:
    skip("SMTP", "python3-aiosmtpd is not installed")
if have("slapd", "ldapadd"):
    got = of("ldap")
    ok([x for x in got if x[0] == "add"] == [("add", "dc=test", "success", False)] + [("add", f"cn=u{i},dc=test", "success", False) for i in range(30)],
       "LDAP: every entry that was added", got[:3])
    s = [r for r in full("ldap") if r["operation"] == "search"]
    ok(len(s) == 1 and get(s[0], "detail.entries") == 30 and s[0]["resource"] == "dc=test" and get(s[0], "detail.filter") == "(&(objectClass=?)(cn=?))", "a search with its entries", s)
    ok(("bind", "cn=admin,dc=test", "invalidCredentials", True) in got and ("delete", "cn=u3,dc=test", "success", False) in got and
       ("delete", "cn=nobody,dc=test", "noSuchObject", True) in got, "a wrong password, a deletion, one of nothing", got[-8:])
else:
    skip("LDAP", "slapd is not installed")
if have("nginx", "fcgiwrap"):
    ok(of("fastcgi") == [("GET", "/yes?password=***", "200", False), ("GET", "/no", "404", True)], "FastCGI: nginx's requests to its application", of("fastcgi"))
else:
    skip("FastCGI", "fcgiwrap is not installed")
if have("coap-server-notls"):
    ok(of("coap") == [("GET", "/time", "2.05", False), ("GET", "/nothing", "4.04", True)], "CoAP on another port", of("coap"))
else:
    skip("CoAP", "libcoap is not installed")
ok(of("modbus") == [("read_holding_registers", f"unit 7 address {a} count 10", *(("ok", False) if a < 90 else ("illegal_data_address", True))) for a in (0, 50, 98)], "Modbus", of("modbus"))
if have("dnsmasq", "busybox"):
    got = [x[0] for x in of("dhcp")]
    lease = open(f"{T}/leases").read().split() if os.path.exists(f"{T}/leases") else []
    ok(all(x in got for x in ("DISCOVER", "REQUEST")) and lease and lease[2] in {x[1] for x in of("dhcp")}, "DHCP: the address that dnsmasq's lease has", f"{of('dhcp')} {lease}")
else:
    skip("DHCP", "dnsmasq is not installed")
ok(of("ntp") == [("client", "", "ok", False), ("client", "", "RATE", True)], "NTP: an answer and a kiss of death", of("ntp"))
ok(of("dns", 15999) == [("A", f"n{i:04d}.test", "NXDOMAIN", True) for i in range(100)], "DNS on a port of nobody: 100 of 100", len(of("dns", 15999)))
# as fast as it goes: what passed before the first datagrams were looked at is counted
agent = Weir("run", "-q", "--agent.socket", f"{T}/sock", ready=2)
was = counters(f"{T}/sock")
ask_and_answer(15998, 4000, 0)
until(lambda: counters(f"{T}/sock").get("weir.protocol.dns.requests", 0) > 3000, 3)
now = counters(f"{T}/sock")
read, unread = (now.get(x, 0) - was.get(x, 0) for x in ("weir.protocol.dns.requests", "weir.kernel.udp_unread"))
ok(read >= 3000 and 2 * read <= 8000 <= 2 * read + unread + 2, "4,000 at once: most are read, the rest is counted", (read, unread))
agent.end()
ok(not [r for r in q if "geheim" in json.dumps(r)], "no secret in any record", [r for r in q if "geheim" in json.dumps(r)][:1])
r = [x for x in records(weir("read", "--json", "--kind", "request", "tests/golden/quic-v1.pcap").stdout) if x["protocol"] == "quic"]
ok([(x["resource"], x["status"], get(x, "detail.alpn_offered"), get(x, "detail.quic_version")) for x in r] == [("quic.test", "ok", "h3", "1")], "QUIC: the handshake of a recorded connection", r)
done()
