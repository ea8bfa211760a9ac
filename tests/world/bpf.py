# SPDX-License-Identifier: Apache-2.0
"""weir bpf list against bpftool: every program and map, hooks, owners, cost, fill."""
import shutil, sys, threading
sys.path.insert(0, "tests/lib")
from world import *

need_root()
tmp = tempfile.mkdtemp(prefix="weir-bpf-")
later(shutil.rmtree, tmp, True)
w = Weir("run", "-q", "--agent.socket", f"{tmp}/sock", ready=1.5)
pid = w.p.pid
ls = socket.create_server(("127.0.0.1", 0))
stop = False


def traffic():
    while not stop:
        c = socket.create_connection(ls.getsockname())
        a, _ = ls.accept()
        c.sendall(b"x" * 100)
        a.recv(200)
        c.close(), a.close()


t = threading.Thread(target=traffic)
t.start()
v = weir("bpf", "list", "--json", "--for", "2s")
stop = True
t.join()
mine = {r["id"]: r for r in records(v.stdout)}
truth = {p["id"]: p for p in json.loads(sh("bpftool prog show -j"))}
ok(set(truth) <= set(mine) and len(mine) >= 15, "every program that bpftool knows", f"{set(truth) - set(mine)} {len(mine)}")
bad = [(r["id"], r["type"], truth[i]["type"]) for i, r in mine.items() if i in truth and (not truth[i].get("name", "").startswith(r["name"]) or r["type"] != truth[i]["type"])]
ok(not bad, "types and names are the kernel's", bad)
ok(all(r["bytes"] == truth[i].get("bytes_jited", 0) for i, r in mine.items() if i in truth), "and their size", "")
own = [r for r in mine.values() if (r["owner"] or "").find(f"weir/{pid}") >= 0]
ok(len(own) >= 10 and all(r["hook"] for r in own if r["type"] in ("cgroup_skb", "raw_tracepoint")), "the agent's own: held by it, each on a hook", own)
tap = [r for r in own if r["name"] in ("tap_in", "tap_out")]
ok(len(tap) == 2 and all("cgroup_inet_" in r["hook"] or "ingress" in r["hook"] or "egress" in r["hook"] for r in tap) and
   all(r["runs_per_s"] > 10 and 20 < r["ns_per_run"] < 100000 and r["cpu_share"] > 0 for r in tap), "what they cost while traffic runs", tap)
tp = [r for r in own if r["name"] == "drop_for" or r["name"].startswith("drop")]
ok(tp and all(r["hook"] == "kfree_skb" or "btf_trace" in r["hook"] or "kfree_skb" in r["hook"] for r in tp), "a tracing program: the function", tp)

# an XDP program of somebody else, by netlink
netns("wbpf")
sh("ip -n wbpf link add v0 type veth peer name v1")
pin = "/sys/fs/bpf/weir-test-map"
sh(f"rm -f {pin}", check=False)
later(sh, f"rm -f {pin}", False)
sh(f"bpftool map create {pin} type hash key 4 value 4 entries 10 name weir_test_map")
for i in range(3):
    sh(f"bpftool map update pinned {pin} key {i} 0 0 0 value 1 0 0 0")
m = [r for r in records(weir("bpf", "list", "--maps", "--json").stdout)]
x = [r for r in m if r["name"] == "weir_test_map"]
ok(len(x) == 1 and (x[0]["entries"], x[0]["max"], x[0]["fill"], x[0]["owner"]) == (3, 10, 0.3, None) and x[0]["bytes"] > 0, "a map: how full it is; held by its pin alone", x)
ids = {i["id"] for i in json.loads(sh("bpftool map show -j"))}
ok({r["id"] for r in m} >= ids - {0} and any(f"weir/{pid}" in (r["owner"] or "") for r in m), "every map, and whose", ids - {r["id"] for r in m})
w.end()
left = [r for r in records(weir("bpf", "list", "--json", "--for", "100ms").stdout) if r["name"] in ("tap_in", "tap_out")]
ok(not left, "after the agent: its programs are gone", left)
r = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", WEIR, "bpf", "list"], capture_output=True, text=True)
ok(r.returncode == 3 and "root" in r.stderr, "not root: said", f"{r.returncode} {r.stderr}")
r = weir("bpf", "frob")
ok(r.returncode == 2 and "weir bpf list" in r.stderr, "a wrong word", f"{r.returncode} {r.stderr}")
r = weir("bpf", "list", "--for", "100ms")
ok(r.stdout.startswith(" id  type") or r.stdout.split()[:2] == ["id", "type"], "a table for people", r.stdout[:200])
done()
