# SPDX-License-Identifier: Apache-2.0
"""weir top on real terminals (tmux) of 80x24, 200x60 and 40x12: what is on them is what went by."""
import os, socket, subprocess, sys, threading, time
sys.path.insert(0, "tests/lib")
from world import *

need_root()
S = f"weirtop{os.getpid()}"
TMUX = ["tmux", "-L", S, "-f", "/dev/null"]
later(subprocess.run, TMUX + ["kill-server"])


def tmux(*a):
    return subprocess.run(TMUX + list(a), capture_output=True, text=True).stdout


def keys(*k, wait=0.4):
    tmux("send-keys", "-t", "t", *k)
    time.sleep(wait)
    return screen()


def screen():
    return tmux("capture-pane", "-p", "-t", "t")


ls = socket.create_server(("127.0.0.1", 0))
port = ls.getsockname()[1]
stop = False


def pump():
    c = socket.create_connection(ls.getsockname())
    s, _ = ls.accept()
    while not stop:
        c.sendall(b"t" * 100000)
        take(s, 100000)
        time.sleep(0.1)


hs = socket.create_server(("127.0.0.1", 0))


def web():
    """One client that asks a server over HTTP ten times a second."""
    c = socket.create_connection(hs.getsockname())
    s, _ = hs.accept()
    while not stop:
        c.sendall(b"GET /top HTTP/1.1\r\nHost: x\r\n\r\n")
        s.recv(1000)
        s.sendall(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n")
        c.recv(1000)
        time.sleep(0.1)


threading.Thread(target=pump, daemon=True).start()
threading.Thread(target=web, daemon=True).start()
for cols, rows in ((80, 24), (200, 60), (40, 12)):
    tmux("new-session", "-d", "-s", "t", "-x", str(cols), "-y", str(rows), f"TERM=screen-256color {WEIR} top --standalone")
    first = until(lambda: f":{port}" in screen(), 5)
    time.sleep(2)
    sc = screen()
    ok(first and f":{port}" in sc, f"{cols}x{rows}: the connection is on the screen", sc)
    ok(all(len(l) <= cols for l in sc.splitlines()), f"{cols}x{rows}: nothing is wider than the screen")
    m = re.search(r"([\d.]+) (kB|MB)/s", sc)
    ok(m and 500 < float(m[1]) * (1000 if m[2] == "MB" else 1) < 1500, f"{cols}x{rows}: the rate is about 1 MB/s", sc)
    if cols == 40:
        keys("q")
        continue
    sc = keys("2", wait=1.2)
    ok(re.search(rf"{os.getpid()} python3", sc), f"{cols}x{rows}: the process", sc)
    sc = keys("Enter", wait=1.2)
    ok("filter: pid =" in sc, f"{cols}x{rows}: Enter shows its connections", sc)
    sc = keys("Escape", wait=1.2)
    ok("filter: pid" not in sc, f"{cols}x{rows}: Esc goes back", sc)
    sc = keys("5", wait=1.2)
    ok(re.search(r"\blo\b", sc), f"{cols}x{rows}: interfaces", sc)
    sc = keys("6", wait=2.2)
    m = re.search(r"http GET +([\d.]+) +\d+ +\d+ ", sc)
    ok(m and 5 < float(m[1]) < 15, f"{cols}x{rows}: requests with their rate and errors", sc)
    keys("1")
    keys("/")
    tmux("send-keys", "-t", "t", "-l", "port 1")
    sc = keys("Enter", wait=1.2)
    ok("nothing matches" in sc, f"{cols}x{rows}: a filter that matches nothing says so", sc)
    keys("Escape")
    keys("/")
    tmux("send-keys", "-t", "t", "-l", "prt 1")
    sc = keys("Enter")
    ok("no field 'prt'" in sc, f"{cols}x{rows}: a wrong filter is told", sc)
    sc = keys("?")
    ok("sort by another column" in sc, f"{cols}x{rows}: help", sc)
    keys("?")
    sc = keys("p")
    ok("PAUSED" in sc, f"{cols}x{rows}: pause", sc)
    keys("p", wait=1.2)
    sc = keys("Enter", wait=0.6)
    ok("client.ip" in sc, f"{cols}x{rows}: details of a connection", sc)
    keys("q")
    time.sleep(0.5)
    ok("t" not in tmux("list-sessions", "-F", "#S").split(), f"{cols}x{rows}: q ends it")
stop = True
done()
