# SPDX-License-Identifier: Apache-2.0
"""What is usual is learned from real traffic and kept over a restart: a new port, a new peer, far more than usual, calls in
another order. What goes on as before raises nothing. A day is a few seconds here (detect.*_learn)."""
import http.server, shutil, sys, threading
sys.path.insert(0, "tests/lib")
from world import *

need_root()
veth("wla", "wlb")
sh("ip -n wlb addr add 10.77.0.3/24 dev vwlb")
tmp = tempfile.mkdtemp(prefix="weir-learned-")
later(lambda: shutil.rmtree(tmp, True))
SOCK = f"{tmp}/sock"
open(f"{tmp}/weir.yaml", "w").write("""detect:
  unusual_port_learn: 4
  unusual_peer_learn: 4
  api_sequence_learn: 4
  baseline_deviation_hour: 6
  baseline_deviation_learn: 12
""")


class Page(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_response(200), self.send_header("Content-Length", "3"), self.end_headers()
        self.wfile.write(b"yes")

    def log_message(self, *a):
        pass


def serve(ip, port):
    with in_netns("wlb"):
        s = http.server.ThreadingHTTPServer((ip, port), Page)
    threading.Thread(target=s.serve_forever, daemon=True).start()


for ip, port in (("10.77.0.2", 8080), ("10.77.0.2", 4444), ("10.77.0.2", 4445), ("10.77.0.2", 4446)):
    serve(ip, port)
open(f"{tmp}/other", "w").write("""#!/usr/bin/python3
import http.server
http.server.ThreadingHTTPServer(("10.77.0.3", 8080), http.server.SimpleHTTPRequestHandler).serve_forever()
""")
os.chmod(f"{tmp}/other", 0o755)
spawn(["ip", "netns", "exec", "wlb", f"{tmp}/other"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=tmp)


def agent():
    p = spawn([WEIR, "run", "--config", f"{tmp}/weir.yaml", "--agent.socket", SOCK, "--store.path", f"{tmp}/store", "--api.listen", "", "--api.socket", "", "--audit.path", ""],
              stdout=subprocess.DEVNULL, stderr=open(f"{tmp}/err", "w"))
    until(lambda: os.path.exists(SOCK) and weir("ctl", "counters", "--socket", SOCK).returncode == 0, 10)
    return p


def curl(*urls):
    sh("ip netns exec wla curl -s -o /dev/null --max-time 3 " + " ".join(urls), False)


def alerts(work):
    """What is told while this goes on, of what is learned."""
    w = Weir("alerts", "--json", "--socket", SOCK, ready=0.5)
    work()
    time.sleep(2.2)
    w.end()
    return [r for r in w.records if r["detector"] in ("unusual_port", "unusual_peer", "api_sequence", "baseline_deviation")]


def told(got, name, detector, test):
    mine = [r for r in got if r["detector"] == detector]
    ok(mine and len({r["id"] for r in mine}) == 1 and test(mine[-1]), name, [(r["detector"], r.get("source"), r.get("target"), r["summary"]) for r in got] or open(f"{tmp}/err").read()[-300:])


def nothing(got, name):
    ok(not got, name, [(r["detector"], r.get("source"), r.get("target"), r["summary"]) for r in got])


# curl asks one server, one port, for some seconds; then it does something else
p = agent()
shop = "http://10.77.0.2:8080"


def usual(seconds=9, rounds=100):
    end = time.time() + seconds
    for i in range(rounds):
        curl(f"{shop}/a", f"{shop}/b", f"{shop}/c")
        time.sleep(max(0.02, (end - time.time()) / (rounds - i)))


def capture(name):
    p = spawn(["ip", "netns", "exec", "wla", "tcpdump", "-qi", "vwla", "-U", "-w", f"{tmp}/{name}.pcap", "tcp"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until(lambda: os.path.exists(f"{tmp}/{name}.pcap"), 5)
    return p


monday = capture("monday")
nothing(alerts(usual), "what goes on as it began is usual")
monday.terminate(), monday.wait()
tuesday = capture("tuesday")
told(alerts(lambda: curl("http://10.77.0.3:8080/a")), "a peer that curl never had", "unusual_peer",
     lambda r: r["source"] == "curl" == get(r, "owner.process") and "curl talked to 10.77.0.3 port 8080 for the first time" in r["summary"])
told(alerts(lambda: curl("http://10.77.0.2:4444/a")), "a port that was never used", "unusual_port", lambda r: r["target"] == "tcp port 4444" and r["count"] == 1)
told(alerts(lambda: [curl(f"{shop}/c", f"{shop}/a", f"{shop}/admin", f"{shop}/b") for i in range(4)]), "calls in an order that nobody does", "api_sequence",
     lambda r: r["source"] == "10.77.0.1" and "/admin" in r["summary"])
tuesday.terminate(), tuesday.wait()
p.terminate()
ok(p.wait(10) == 0 and os.stat(f"{tmp}/store/learned").st_size > 1000, "what was learned is kept", os.listdir(f"{tmp}/store"))

# the same behind a restart, at once
p = agent()
nothing(alerts(lambda: usual(2, 10)), "behind a restart what was usual still is")
told(alerts(lambda: curl("http://10.77.0.2:4445/a")), "... and what was not is told at once", "unusual_port", lambda r: r["target"] == "tcp port 4445")

# a client with a rate of its own, then ten times that
open(f"{tmp}/loader", "w").write("""#!/usr/bin/python3
import socket, sys, time
end = time.time() + float(sys.argv[1])
while time.time() < end:
    c = socket.create_connection(("10.77.0.2", 8080), 2)
    c.sendall(b"GET / HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n")
    while c.recv(1000):
        pass
    c.close()
    time.sleep(float(sys.argv[2]))
""".replace("\\\\", "\\"))
os.chmod(f"{tmp}/loader", 0o755)


def load(seconds, pause):
    sh(f"ip netns exec wla {tmp}/loader {seconds} {pause}")


nothing([r for r in alerts(lambda: load(25, 0.15)) if r["detector"] == "baseline_deviation"], "a steady load is usual")
told([r for r in alerts(lambda: (load(1, 0.15), load(6, 0.002))) if r["detector"] == "baseline_deviation"], "ten times as much is not: one alert, of the pair", "baseline_deviation",
     lambda r: r["source"] == "loader" and r.get("target") and "more connections" in r["summary"] and r["evidence"]["value"] > 5 * r["evidence"]["usual"])

# killed, and the file is damaged: it says so and learns anew
p.kill(), p.wait()
open(f"{tmp}/store/learned", "r+b").write(b"garbage")
p = agent()
nothing(alerts(lambda: curl("http://10.77.0.2:4446/a")), "of a damaged file nothing is taken")
ok("learned.damaged" in open(f"{tmp}/err").read() and os.path.exists(f"{tmp}/store/learned.damaged"), "... and it is put aside, which is told", open(f"{tmp}/err").read())
p.terminate(), p.wait(10)


# of captures: Tuesday by what Monday had; without that nothing is known
def read(name, *args):
    r = weir("read", "--json", "--config", f"{tmp}/weir.yaml", f"{tmp}/{name}.pcap", *args)
    return [x for x in records(r.stdout) if x["kind"] == "alert" and x["detector"] in ("unusual_port", "unusual_peer", "api_sequence", "baseline_deviation")]


nothing(read("monday", "--learned", f"{tmp}/known"), "a capture as it began")
got = read("tuesday", "--learned", f"{tmp}/known")
ok({(r["detector"], r["source"]) for r in got} >= {("unusual_port", "10.77.0.2"), ("unusual_peer", "10.77.0.1"), ("api_sequence", "10.77.0.1")}, "one of another day, by what is usual in the first", [(r["detector"], r.get("source"), r["summary"]) for r in got])
nothing(read("tuesday"), "... alone it tells nothing")
open(f"{tmp}/known", "w").write("x" * 100)
r = weir("read", "--json", "--learned", f"{tmp}/known", f"{tmp}/monday.pcap")
ok(r.returncode == 2 and "known is damaged, or not of weir" in r.stderr and not r.stdout, "a file that is none of it: refused", (r.returncode, r.stderr, r.stdout[-300:]))
done()
