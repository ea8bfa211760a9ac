# SPDX-License-Identifier: Apache-2.0
"""Proxies that say first whom they connect for (the PROXY protocol, haproxy), and HTTP/2 by upgrade from HTTP/1.1 (Apache)."""
import shutil, sys
sys.path.insert(0, "tests/lib")
from world import *

need_root()
T = tempfile.mkdtemp(prefix="weir-proxied-")
later(shutil.rmtree, T, True)
os.chmod(T, 0o755)
quiet = dict(stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
V1, V2, BACK, APACHE = (free_port() for _ in range(4))
open(f"{T}/nginx", "w").write(f"""daemon off; master_process off; pid {T}/pid; error_log /dev/null; events {{ }}
http {{ log_format x '$proxy_protocol_addr:$proxy_protocol_port $request_method $request_uri $status'; access_log {T}/log x;
client_body_temp_path {T}/b; proxy_temp_path {T}/p; fastcgi_temp_path {T}/f; uwsgi_temp_path {T}/u; scgi_temp_path {T}/s;
server {{ listen 127.0.0.1:{BACK} proxy_protocol; location / {{ return 200 "hello\\n"; }} location /no {{ return 404; }} }} }}
""")
open(f"{T}/haproxy", "w").write(f"""defaults
 timeout client 5s
 timeout server 5s
 timeout connect 1s
frontend v1
 mode tcp
 bind 127.0.0.1:{V1}
 default_backend b1
backend b1
 mode tcp
 server s 127.0.0.1:{BACK} send-proxy
frontend v2
 mode http
 bind 127.0.0.1:{V2}
 default_backend b2
backend b2
 mode http
 http-reuse never
 server s 127.0.0.1:{BACK} send-proxy-v2
""")
open(f"{T}/apache", "w").write(f"""ServerRoot {T}
PidFile {T}/a.pid
Listen 127.0.0.1:{APACHE}
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule http2_module /usr/lib/apache2/modules/mod_http2.so
Protocols h2c http/1.1
ServerName localhost
ErrorLog /dev/null
LogFormat "%m %U %>s %H" x
CustomLog {T}/a.log x
DocumentRoot {T}
""")
spawn(["nginx", "-c", f"{T}/nginx", "-e", "/dev/null"], **quiet)
spawn(["haproxy", "-db", "-f", f"{T}/haproxy"], **quiet)
spawn(["apache2", "-X", "-f", f"{T}/apache"], **quiet)
for p in V1, V2, BACK, APACHE:
    listening(p)
open(f"{T}/page", "w").write("x" * 3000)
w = Weir("requests", "--json", "-w", f"server.port in ({BACK}, {V1}, {V2}, {APACHE})", ready=2)
for i in range(5):
    sh(f"curl -s http://127.0.0.1:{V1}/a{i} http://127.0.0.1:{V1}/no{i} http://127.0.0.1:{V2}/b{i} http://127.0.0.1:{V2}/no{i}")
got = [sh(f"curl -s -o /dev/null -w '%{{http_code}} %{{http_version}}' --http2 http://127.0.0.1:{APACHE}/{x}") for x in ("page", "none")]
ok(got == ["200 2", "404 2"], "curl and Apache changed over to HTTP/2", got)
until(lambda: len([r for r in w.so_far() if r["kind"] == "request"]) >= 44, 5)
reqs = [r for r in w.end().records if r["kind"] == "request"]
truth = sorted(open(f"{T}/log").read().splitlines())
seen = sorted(f"{r['detail'].get('proxied_for')} {r['operation']} {r['resource']} {r['status']}" for r in reqs if r["server"]["port"] == BACK)
ok(len(truth) == 20 and seen == truth, "behind both versions of the header: every request, and whom it is for, as the server's log has it", (seen[:4], truth[:4], len(seen)))
joined = [r for r in reqs if r["server"]["port"] == V2]
ok(len(joined) == 10 and all(r.get("upstream", {}).get("port") == BACK for r in joined), "the proxy's own requests are joined to them", joined[:1])
h2 = sorted((r["protocol"], r["operation"], r["resource"], r["status"]) for r in reqs if r["server"]["port"] == APACHE)
ok(h2 == [("http", "GET", "/none", "101"), ("http", "GET", "/page", "101"), ("http2", "GET", "/none", "404"), ("http2", "GET", "/page", "200")],
   "the answer by HTTP/2 knows the request that asked for the change", h2)
done()
