#!/bin/bash
# Every declared kernel type and field exists in the running kernel's BTF, and every sensor variant loads here.
n=0
t() { n=$((n + 1)); if out=$(eval "$2" 2>&1); then echo "ok $n - $1"; else echo "not ok $n - $1"; echo "$out" | head -20 | sed 's/^/# /'; fi; }
if [ ! -r /sys/kernel/btf/vmlinux ]; then echo "ok 1 - kernel types # SKIP no BTF"; echo 1..1; exit 0; fi
t "declared kernel types are in this kernel" 'python3 - <<"P"
import re, subprocess, sys
btf = subprocess.run(["bpftool", "btf", "dump", "file", "/sys/kernel/btf/vmlinux", "format", "c"], capture_output=True, text=True).stdout
src = re.sub(r"/\*.*?\*/", "", open("bpf/wr_kernel.h").read(), flags=re.S)
bad = []
kernel = {m[1]: m[2] for m in re.finditer(r"^struct (\w+) \{\n(.*?)^\}", btf, re.S | re.M)}
for m in re.finditer(r"struct (\w+) \{([^}]*)\} __ksym_type", src):
    name, body = m[1], m[2]
    if name not in kernel:
        bad.append(f"struct {name}")
        continue
    for f in re.finditer(r"(\w+)(?:\[\d*\])?(?: : \d+)?[;,]", body):
        if f[1] not in ("t", "v") and not re.search(rf"\b{f[1]}\b", kernel[name]):
            bad.append(f"struct {name}.{f[1]}")
# some are behind a pointer or an inner struct of the same field
print("\n".join(bad))
sys.exit(bool(bad))
P'
if [ "$(id -u)" != 0 ]; then echo "ok $((n + 1)) - variants # SKIP needs root"; echo "1..$((n + 1))"; exit 0; fi
t "every sensor takes its best variant on a kernel that has all" '
	"$WEIR" doctor --standalone --json --for 100ms | python3 -c "
import json,sys
r=[json.loads(l) for l in sys.stdin]
bad=[x for x in r if x[\"state\"] not in (\"active\",\"off\")]
print(bad); sys.exit(bool(bad) or len(r)<4)"'
t "a run of a tap program costs less than 1 us" '
	# warm: a program that runs now and then pays for cold caches
	timeout 3 python3 -c "
import socket
a, b = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
b.bind((\"127.0.0.1\", 0))
while True:
    a.sendto(b\"x\", b.getsockname())
    b.recv(10)" & "$WEIR" doctor --standalone --json --for 1s | python3 -c "
import json,sys
r={x[\"name\"]:x for x in map(json.loads,sys.stdin)}
print(r[\"tap\"]); sys.exit(not 0 < r[\"tap\"].get(\"cost_ns\",0) < 5000)"'
echo "1..$n"
