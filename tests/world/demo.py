# SPDX-License-Identifier: Apache-2.0
"""The shop of `weir demo`: it runs, weir names what was done to it, and nothing of it is left, however it ends."""
import shutil, sys
sys.path.insert(0, "tests/lib")
from world import *

need_root()


def left():
    return [x for x in sh("ip netns list; ip -o link; ls /tmp").split() if x.startswith(("wd-", "wdbr", "weir-demo-"))] + \
        [x for x in sh("ps -eo args", False).splitlines() if "weir-demo-" in x and "ps -eo" not in x]


ok(not left(), "nothing there before", left)
w = spawn([WEIR, "demo", "--scene", "4s", "--page", ""], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
out, err = w.communicate(timeout=240)
ok(w.returncode == 0 and not err, "it runs to its end", (w.returncode, err[-600:], out[-400:]))
ok(re.search(r"postgresql.*\n", out) and re.search(r"redis", out), "an ordinary day: its services", out[:1500])
why = out[out.find("weir why"):out.find("4. A lossy link")]
ok("inet shop in" in why and "6379" in why, "the mistake in the firewall: the rule that did it", why)
drops = out[out.find("weir drops"):out.find("5. A port scan")]
ok("NETFILTER_DROP" in drops, "the lossy link: its drops", drops)
found = out[out.find("What weir found"):]
ok("port_scan" in found and "10.213.77.10 tried" in found, "the port scan", found)
ok("syn_flood" in found and ":8443" in found, "the SYN flood", found)
ok(not left(), "nothing is left", left)

w = spawn([WEIR, "demo", "--scene", "4s", "--page", ""], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
until(lambda: "wd-cache" in sh("ip netns list"), 10)
time.sleep(6)
w.send_signal(signal.SIGINT)
ok(w.wait(30) == 0 and not left(), "Ctrl-C in the middle: nothing is left", left)
w = subprocess.run(["setpriv", "--reuid", "65534", "--clear-groups", WEIR, "demo"], capture_output=True, text=True)
ok(w.returncode == 3 and "root" in w.stderr, "without root: says so", w.stderr)
w = weir("demo", "--print")
ok(w.returncode == 0 and w.stdout.startswith("#!/usr/bin/env python3"), "--print: the program")
done()
