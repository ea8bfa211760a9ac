# SPDX-License-Identifier: Apache-2.0
"""`weir why --isolated`: two namespaces that reach each other, one way only, by echo alone, by a reset alone; and such that do not."""
import sys
sys.path.insert(0, "tests/lib")
from world import *

need_root()
veth("wia", "wib")
netns("wic")


def look(a, b):
    r = weir("why", "--json", "--isolated", a, b)
    return r.returncode, json.loads(r.stdout) if r.stdout else {"summary": r.stderr}


def rules(ns, *lines):
    sh(f"ip netns exec {ns} nft 'flush ruleset'")
    if lines:
        sh(f"ip netns exec {ns} nft 'add table inet t; add chain inet t i {{ type filter hook input priority 0; }}; " + "; ".join(f"add rule inet t i {x}" for x in lines) + "'")


rc, d = look("wia", "wic")
ok(rc == 0 and d["verdict"] == "healthy" and "nothing gets" in d["summary"], "no link between them: isolated", d)
with in_netns("wib"):
    ls = socket.create_server(("10.77.0.2", 8080))
rc, d = look("wia", "wib")
ok(rc == 1 and d["cause"] == "not_isolated" and "wia reaches wib: 10.77.0.2 port 8080 takes connections" in d["summary"] and "wib reaches wia" in d["summary"], "a link: both ways", d)
rules("wib", "tcp dport 8080 drop")
rc, d = look("wia", "wib")
ok(rc == 1 and "10.77.0.2 answers echo requests" in d["summary"], "the port is closed, echo requests pass", d)
rules("wib", "ct state established accept", "tcp dport 8080 drop", "icmp type echo-request drop")
rules("wia", "ct state established accept", "tcp dport 1-64000 drop", "icmp type echo-request drop")
rc, d = look("wia", "wib")
ok(rc == 1 and "its TCP answered" in d["summary"] and "reset" in d["summary"], "another port answers with a reset: its own", d)
rules("wib", "ct state established accept", "meta l4proto tcp reject with icmp port-unreachable", "icmp type echo-request drop")
rules("wia", "ct state established accept", "drop")
rc, d = look("wia", "wib")
ok(rc == 0 and "refused (0 by itself)" in d["evidence"][0], "refused by a firewall: isolated", d)
rules("wib", "drop")
rules("wia")
rc, d = look("wia", "wib")
ok(rc == 0 and d["verdict"] == "healthy", "dropped on the way out or in: isolated (answers do not come back either)", d)
rules("wib", "ct state established accept", "ip saddr 10.77.0.1 drop")
rc, d = look("wia", "wib")
ok(rc == 1 and d["summary"].startswith("wib reaches wia"), "one way only: which one", d)
r = weir("why", "--isolated", "wia", "wib")
ok(r.returncode == 1 and "not_isolated" in r.stdout and "fix:" in r.stdout, "in words", r.stdout)
for args, rc, words in ((["wia", "wia"], 2, "the same namespace"), (["wia", "nowhere"], 2, "no network namespace 'nowhere'"), (["wia"], 2, "two namespaces")):
    r = weir("why", "--isolated", *args)
    ok(r.returncode == rc and words in r.stderr, f"wrong: {args}", r.stderr)
done()
