# SPDX-License-Identifier: Apache-2.0
"""Used as a person does: wrong options, help, pipes, narrow terminals, exit statuses, the agent's socket."""
import os, signal, socket, subprocess, sys, time
sys.path.insert(0, "tests/lib")
from world import *

SOCK = f"/tmp/weir-cli-{os.getpid()}.sock"
later(lambda: os.path.exists(SOCK) and os.unlink(SOCK))


def says(args, rc, text, name):
    r = weir(*args)
    ok(r.returncode == rc and text in r.stderr and (rc != 2 or not r.stdout), name, f"{r.returncode} {r.stderr} {r.stdout[:100]}")


says(["nonsense"], 2, "there is no command 'nonsense'", "an unknown command")
says(["cons"], 2, "did you mean 'conns'", "a misspelt command")
says([], 2, "usage:", "no command")
says(["conns", "--jsno"], 2, "did you mean '--json'", "a misspelt option")
says(["conns", "--for", "never"], 2, "wants a duration", "a wrong duration")
says(["conns", "--for"], 2, "wants a value", "an option without its value")
says(["conns", "-w", "clinet.ip = 1.1.1.1"], 2, "did you mean 'client.ip'", "a misspelt field")
says(["conns", "-w", "port = x and tcp"], 2, "         ^", "a caret under the place")
says(["conns", "--fields", "nope"], 2, "has no field 'nope'", "an unknown field in --fields")
says(["conns", "extra"], 2, "a filter goes behind -w", "an argument too many")
says(["conns", "--netns", "nowhere"], 2, "no network namespace 'nowhere'", "an unknown namespace")
says(["conns", "--since", "1h", "--store", "/nonexistent"], 3, "there is no history in /nonexistent", "history that is not there")
says(["conns", "--json", "--csv"], 2, "choose", "two formats at once")
says(["flows", "--by", "server.prt"], 2, "did you mean 'server.port'", "an unknown key")
says(["read"], 2, "wants a capture file", "read without a file")
says(["top"], 2, "wants a terminal", "top in a pipe")
says(["ctl", "counters", "--socket", "/nonexistent.sock"], 3, "no agent answers", "ctl without an agent")
says(["run", "--conns.max", "3"], 2, "must be between", "a value out of range")
for how in (["--config", "/nonexistent.yaml"], ["--config=/nonexistent.yaml"], ["-c/nonexistent.yaml"], ["-q", "-c", "/nonexistent.yaml"]):
    says(["run", *how], 2, "/nonexistent.yaml", f"a configuration that is not there: {' '.join(how)}")
for c in ("", "run", "top", "conns", "flows", "requests", "map", "capture", "read", "doctor", "ctl", "docs"):
    r = weir(*([c] if c else []), "--help")
    ok(r.returncode == 0 and len(r.stdout.splitlines()) > 4 and not r.stderr and all(len(l) <= 130 for l in r.stdout.splitlines()),
       f"help of {c or 'weir'} goes to stdout")
if os.geteuid():
    skip("live parts", "needs root")
    done()

ls = socket.create_server(("127.0.0.1", 0))
port = ls.getsockname()[1]
c = socket.create_connection(ls.getsockname())
s, _ = ls.accept()
r = weir("conns", "--once", "--standalone", "-w", f"port {port}")
ok(len(r.stdout.splitlines()) == 3 and "CLIENT" in r.stdout and f":{port}" in r.stdout and "\x1b" not in r.stdout,
   "a table without colours in a pipe", r.stdout)
r = weir("conns", "--once", "--standalone", "-w", f"port {port} and state = established", "--json")
ok(len(records(r.stdout)) == 1 and not r.stderr, "JSON and nothing else on stdout", r.stdout + r.stderr)
r = weir("conns", "--once", "--standalone", "-w", f"port {port} and client", "--csv", "--fields", "client,server.process")
ok(r.stdout.splitlines()[0] == "client.ip,client.port,server.process" and r.stdout.splitlines()[1].startswith("127.0.0.1,"),
   "CSV with a head line", r.stdout)
r = weir("conns", "--standalone", "--count", "1")
ok(r.returncode == 0 and len(r.stdout.splitlines()) == 2, "--count ends it", r.stdout)
p = subprocess.run(f"{WEIR} conns --standalone --json | head -1", shell=True, capture_output=True, text=True, timeout=20)
ok(p.stdout.count("\n") == 1 and not p.stderr, "into head: ends quietly", p.stderr)
r = subprocess.run(f"{WEIR} conns --once --standalone > /dev/full", shell=True, capture_output=True, text=True)
ok("No space left" in r.stderr, "a full disk is told", r.stderr)
p = spawn(["script", "-qec", f"stty cols 40; {WEIR} conns --once --standalone -w 'port {port}'", "/dev/null"],
          stdout=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL)
o, _ = p.communicate(timeout=20)
lines = [re.sub(r"\x1b\[[0-9;]*m", "", l).rstrip() for l in o.splitlines()]
ok(lines and all(len(l) <= 40 for l in lines) and any("127.0.0.1" in l for l in lines), "a terminal of 40 columns", o)
w = Weir("conns", "--standalone", "--json")
w.end(signal.SIGINT)
ok(w.rc == 0 and not w.err, "Ctrl-C ends it quietly", w.err)
r = weir("flows", "--standalone", "--by", "process,server.port", "--for", "1s", "--json")
ok(r.returncode == 0, "flows without traffic", r.stderr)

# the agent and its socket
cfg = f"/tmp/weir-cli-{os.getpid()}.yaml"
later(lambda: os.path.exists(cfg) and os.unlink(cfg))
open(cfg, "w").write(f"agent:\n  socket: {SOCK}\nlog:\n  level: warn\nstore:\n  path: \"\"\napi:\n  listen: \"\"\n  socket: \"\"\n")
a = Weir("run", "--config", cfg)
ok("sensors work" in open(f"/proc/{a.p.pid}/comm").read() or a.p.poll() is None, "the agent runs with a file")
w = Weir("conns", "--json", "--socket", SOCK, "-w", f"port {port}")
f = Weir("flows", "--json", "--socket", SOCK, "--by", "server.port", "-w", f"port {port}", "--for", "3s", ready=0)
time.sleep(0.5)
c.sendall(b"x" * 12345)
s.recv(20000)
c2 = socket.create_connection(ls.getsockname())
s2, _ = ls.accept()
c2.sendall(b"y" * 100)
s2.recv(200)
c2.close(), s2.close()
time.sleep(1.5)
w.end()
f.end(sig=None)
rec = w.records
ok(any(r["event"] == "update" and r["bytes_to_server"] == 12345 for r in rec if "client" in r), "attached: live connections and their updates",
   w.out)
ok(len(closes(rec)) == 1 and closes(rec)[0]["bytes_to_server"] == 100, "attached: closes", w.out)
row = f.records
ok(len(row) == 1 and row[0]["bytes_to_server"] == 12445 and row[0]["connections"] == 2, "flows of the window only", f.out)
r = weir("ctl", "config", "show", "--socket", SOCK)
ok(SOCK in r.stdout, "the running configuration", r.stdout)
ok(weir("ctl", "config", "check", cfg).returncode == 0, "a right file")
ok(weir("ctl", "config", "diff", cfg, "--socket", SOCK).returncode == 0, "no difference to the running one")
open(cfg, "w").write(f"agent:\n  socket: {SOCK}\nlog:\n  level: debug\nconns:\n  max: 5000\n")
r = weir("ctl", "config", "diff", cfg, "--socket", SOCK)
ok(r.returncode == 1 and "conns.max" in r.stdout, "a difference has status 1", r.stdout)
r = weir("ctl", "reload", "--socket", SOCK)
ok(r.returncode == 0 and "log.level" in r.stdout and "next start" in r.stdout, "reload tells what is in force", r.stdout + r.stderr)
ok("debug" in weir("ctl", "log", "--socket", SOCK).stdout, "the level changed")
open(cfg, "w").write("conns:\n  max: lots\n")
r = weir("ctl", "reload", "--socket", SOCK)
ok(r.returncode == 2 and f"{cfg}:2:" in r.stderr and "5000" in weir("ctl", "config", "show", "--socket", SOCK).stdout,
   "a wrong file is refused with its line, the running one stays", r.stderr)
ok(weir("ctl", "config", "check", cfg).returncode == 1, "check: status 1")
a.p.send_signal(signal.SIGHUP)
time.sleep(0.3)
ok(a.p.poll() is None, "SIGHUP with a wrong file ends nothing")
ok(weir("ctl", "log", "conn", "error", "--socket", SOCK).returncode == 0 and
   re.search(r"conn +error", weir("ctl", "log", "--socket", SOCK).stdout), "a level of one module")
ok(weir("ctl", "log", "nope", "error", "--socket", SOCK).returncode == 2, "an unknown module is refused")

# rights: the socket's group may look, only root may change
os.chmod(SOCK, 0o666)
as_nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", WEIR]
r = subprocess.run(as_nobody + ["ctl", "stop", "--socket", SOCK], capture_output=True, text=True)
ok(r.returncode == 2 and "only root" in r.stderr and a.p.poll() is None, "another user cannot stop it", r.stderr)
r = subprocess.run(as_nobody + ["conns", "--once", "--json", "--socket", SOCK], capture_output=True, text=True)
ok(r.returncode == 0, "but look, where the socket's mode lets it", r.stderr)
os.chmod(SOCK, 0o660)
r = subprocess.run(as_nobody + ["conns", "--once", "--socket", SOCK], capture_output=True, text=True)
ok(r.returncode == 3 and "root" in r.stderr, "and else is told", r.stderr)

# hostile clients
def raw(data, wait=0.2):
    u = socket.socket(socket.AF_UNIX)
    u.connect(SOCK)
    try:
        u.sendall(data)
        u.settimeout(wait)
        return u.recv(4096)
    except OSError:
        return b""
    finally:
        u.close()


ok(raw(b"\xff\x00garbage\n").startswith(b"error:"), "garbage gets an error")
ok(raw(b"x" * 10000).startswith(b"error:"), "a request without end gets an error")
ok(raw(b"stream conn 0000000000000000 \n").startswith(b"error: the agent is another version"), "another version is told")
many = []
for _ in range(80):
    u = socket.socket(socket.AF_UNIX)
    u.connect(SOCK)
    many.append(u)
time.sleep(0.3)
many[-1].settimeout(1)
ok(b"too many clients" in many[-1].recv(200), "the 65th client is refused with a message")
[u.close() for u in many]
time.sleep(0.3)
ok(weir("conns", "--once", "--socket", SOCK).returncode == 0, "and the agent goes on")
r = weir("ctl", "stop", "--socket", SOCK)
ok(r.returncode == 0 and a.p.wait(10) == 0 and not os.path.exists(SOCK), "stop ends it and removes the socket")
done()
