# SPDX-License-Identifier: Apache-2.0
"""The API beyond loopback: with TLS only; under this host's names and addresses only. curl and openssl are the clients."""
import shutil, sys
sys.path.insert(0, "tests/lib")
from world import *

need_root()
T = tempfile.mkdtemp(prefix="weir-apitls-")
later(shutil.rmtree, T, True)
netns("wta")
sh("ip link add wta0 type veth peer name wta1 netns wta; ip addr add 10.77.8.1/24 dev wta0; ip addr add fd78::1/64 dev wta0 nodad; ip link set wta0 up; "
   "ip -n wta addr add 10.77.8.2/24 dev wta1; ip -n wta addr add fd78::2/64 dev wta1 nodad; ip -n wta link set wta1 up")
later(sh, "ip link del wta0", False)
sh(f"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout {T}/key -out {T}/cert -days 2 -subj /CN=weir.test "
   "-addext subjectAltName=DNS:weir.test,IP:10.77.8.1,IP:fd78::1,IP:127.0.0.1")
sh(f"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout {T}/other -out {T}/other.cert -days 2 -subj /CN=other.test")
port = free_port()


def agent(listen, *more, ready=2):
    return Weir("run", "--agent.socket", f"{T}/sock", "--store.path", "", "--audit.path", "", "--api.listen", listen, "--api.socket", "", "--api.tokens", f"{T}/tokens", *more, ready=ready)


def curl(url, *more, inside=True):
    r = subprocess.run([*(["ip", "netns", "exec", "wta"] if inside else []), "curl", "-s", "--max-time", "5", "--cacert", f"{T}/cert", "-w", "\n%{http_code}", *more, url], capture_output=True, text=True)
    return r.stdout.rsplit("\n", 1)[-1], r.stdout.rsplit("\n", 1)[0], r.returncode


TLS = ("--api.certificate", f"{T}/cert", "--api.key", f"{T}/key")
w = agent(f"0.0.0.0:{port}", *TLS, "--api.names", "weir.test")
tokens = dict(l.split() for l in open(f"{T}/tokens"))
auth = ("-H", f"Authorization: Bearer {tokens['read']}")
at = f"https://10.77.8.1:{port}"
code, body, rc = curl(f"{at}/api/v1/status", *auth)
ok(code == "200" and json.loads(body)["version"], "from another host, by address, over TLS that is checked", (code, body, rc))
code, body, rc = curl(f"https://weir.test:{port}/api/v1/status", *auth, "--resolve", f"weir.test:{port}:10.77.8.1")
ok(code == "200", "by the name in api.names", (code, body, rc))
code, body, rc = curl(f"https://127.0.0.1:{port}/api/v1/status", *auth, inside=False)
ok(code == "200", "on this host by loopback", (code, body, rc))
ok(curl(f"{at}/api/v1/status")[0] == "401" and curl(f"{at}/")[0] == "200", "without a token: the page, and nothing else")
for name, more in (("a name of somebody else", ("-H", "Host: evil.test")), ("an address of somebody else", ("-H", f"Host: 10.77.8.9:{port}")), ("a foreign origin", ("-H", "Origin: https://evil.test")),
                   ("an origin without TLS", ("-H", f"Origin: http://10.77.8.1:{port}"))):
    code, body, rc = curl(f"{at}/api/v1/status", *auth, *more)
    ok(code == "403" and "api.names" in body, f"{name}: refused", (code, body))
code, body, rc = curl(f"{at}/api/v1/status", *auth, "-H", f"Origin: {at}")
ok(code == "200", "its own origin: answered", (code, body))
code, body, rc = curl(f"http://10.77.8.1:{port}/api/v1/status", *auth)
ok(code in ("000", "400"), "without TLS: nothing", (code, body))
hello = lambda *v: subprocess.run(["ip", "netns", "exec", "wta", "openssl", "s_client", "-connect", f"10.77.8.1:{port}", *v], capture_output=True, text=True, input="", timeout=20).stdout
ok("TLSv1.3" in hello() and "TLSv1.2" in hello("-tls1_2") and "Cipher is (NONE)" in hello("-tls1_1", "-cipher", "ALL:@SECLEVEL=0"), "TLS 1.3 and 1.2, not 1.1")
s = subprocess.run(["ip", "netns", "exec", "wta", "curl", "-sN", "--max-time", "4", "--cacert", f"{T}/cert", *auth, f"{at}/api/v1/live/conn"], capture_output=True, text=True)
ok("data: {" in s.stdout, "what is live comes through it", s.stdout[:200])
w.end()
ok(f"https://weir.test:{port}/#token=" in w.out + w.err, "the address that is told is one that works", w.out + w.err)

w = agent(f"[fd78::1]:{port}", *TLS)
code, body, rc = curl(f"https://[fd78::1]:{port}/api/v1/status", *auth)
ok(code == "200", "IPv6", (code, body, rc))
w.end()
for listen, more, words in ((f"10.77.8.1:{port}", (), "without TLS weir listens on those only"), (f"10.77.8.1:{port}", TLS[:2], "belong together"),
                            (f"10.77.8.1:{port}", ("--api.certificate", f"{T}/none", "--api.key", f"{T}/key"), "No such file"),
                            (f"10.77.8.1:{port}", ("--api.certificate", f"{T}/cert", "--api.key", f"{T}/other"), "cannot start the HTTP server with api.certificate and api.key"),
                            (f"10.77.8.1:{port}", ("--api.certificate", WEIR, "--api.key", f"{T}/key"), "more than 65536 bytes"), (f"[::1:{port}", (), "is not ADDRESS:PORT")):
    w = agent(listen, *more, ready=1.5)
    up = curl(f"https://10.77.8.1:{port}/")[0] == "200"
    w.end()
    ok(words in w.err and not up, f"{words[:40]}: said, and it does not listen", w.err)
done()
