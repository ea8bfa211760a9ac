# SPDX-License-Identifier: Apache-2.0
"""weir bpf run: an object of one's own is loaded, attached, read by its types; what is wrong with it is said in words."""
import shutil, sys
sys.path.insert(0, "tests/lib")
from world import *

need_root()
tmp = tempfile.mkdtemp(prefix="weir-bpfrun-")
later(shutil.rmtree, tmp, True)
HEAD = '''typedef unsigned char __u8; typedef unsigned short __u16; typedef unsigned int __u32; typedef unsigned long long __u64;
typedef signed char __s8; typedef short __s16; typedef int __s32; typedef long long __s64;
typedef __u16 __be16; typedef __u32 __be32; typedef __u32 __wsum; typedef __u16 __sum16;
enum { BPF_MAP_TYPE_HASH = 1, BPF_MAP_TYPE_ARRAY = 2, BPF_MAP_TYPE_PERF_EVENT_ARRAY = 4, BPF_MAP_TYPE_PERCPU_ARRAY = 6, BPF_MAP_TYPE_RINGBUF = 27 };
struct bpf_raw_tracepoint_args { __u64 args[0]; };
struct xdp_md { __u32 data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex; };
#include <bpf/bpf_helpers.h>
char LICENSE[] SEC("license") = "GPL";
'''


def build(name, code, head=HEAD):
    c, o = f"{tmp}/{name}.bpf.c", f"{tmp}/{name}.bpf.o"
    open(c, "w").write(head + code)
    r = subprocess.run(["clang", "-g", "-O2", "-target", "bpf", "-mcpu=v3", "-c", c, "-o", o], capture_output=True, text=True)
    if r.returncode:
        raise RuntimeError(r.stderr)
    return o


EVENTS = '''
enum color { RED = 1, BLUE = 2 };
struct place { __s16 x, y; };
struct event { __u32 pid; char comm[16]; enum color color; __u8 low : 3, high : 5; _Bool yes; __s64 minus; struct place at[2]; union { __u32 a; __u16 b; }; void *p; };
struct event *unused;
struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 1 << 16); } events SEC(".maps");
struct key { __u32 pid; __u16 kind; };
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 1024); __type(key, struct key); __type(value, __u64); } counts SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY); __uint(max_entries, 1); __type(key, __u32); __type(value, __u64); } percpu SEC(".maps");
int total = 0;
SEC("raw_tp/sched_process_exec")
int on_exec(void *ctx)
{
	struct key k = { .pid = bpf_get_current_pid_tgid() >> 32, .kind = 7 };
	__u64 one = 1; __u32 zero = 0, *n;
	struct event *e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);
	if (!e) return 0;
	__builtin_memset(e, 0, sizeof(*e));
	e->pid = k.pid; e->color = BLUE; e->low = 5; e->high = 17; e->yes = 1; e->minus = -5; e->at[1].y = -2; e->a = 0x10002; e->p = (void *)0x1234;
	bpf_get_current_comm(e->comm, sizeof(e->comm));
	bpf_ringbuf_submit(e, 0);
	bpf_map_update_elem(&counts, &k, &one, 0);
	__u64 *v = bpf_map_lookup_elem(&percpu, &zero);
	if (v) *v += 1;
	__sync_fetch_and_add(&total, 1);
	return 0;
}
'''
o = build("events", EVENTS)
w = Weir("bpf", "run", o, "--maps", "--json", ready=1)
pids = []
for i in range(10):
    p = subprocess.Popen(["/bin/true"])
    pids.append(p.pid)
    p.wait()
w.end()
ev = {r["event"]["pid"]: r["event"] for r in w.records if r.get("map") == "events"}
ok(w.rc == 0 and "on_exec: raw_tp/sched_process_exec" in w.err and all(p in ev for p in pids), "every event of a ring", lambda: (w.rc, w.err, pids, w.out[:600]))
want = {"pid": pids[0], "comm": "true", "color": "BLUE", "low": 5, "high": 17, "yes": True, "minus": -5, "at": [{"x": 0, "y": 0}, {"x": 0, "y": -2}],
        "a": 0x10002, "b": 2, "p": "0x1234"}
ok(ev.get(pids[0]) == want, "typed by BTF: text, enums, bit fields, signs, arrays, unions, pointers", ev.get(pids[0]))
maps = [r for r in w.records if r.get("map") == "counts"]
ok(all({"map": "counts", "key": {"pid": p, "kind": 7}, "value": 1} in maps for p in pids), "a map's keys and values", maps[:3])
n = sum(r.get("map") == "events" for r in w.records)
ok([sum(r["values"]) for r in w.records if r.get("map") == "percpu"] == [n], "a map with a value for each CPU", w.out[-500:])
ok([r["value"]["total"] for r in w.records if r.get("map") == ".bss"] == [n], "global variables", w.out[-500:])
w = Weir("bpf", "run", o, "--count", "1", "--type", "events=key", ready=1)
sh("/bin/true")
w.end(sig=None)
ok(w.rc == 0 and len(w.records) == 1 and set(w.records[0]["event"]) == {"pid", "kind"}, "--type names another structure; --count ends it", w.out)
r = weir("bpf", "run", o, "--type", "events=nope")
ok(r.returncode == 2 and "no structure 'nope'" in r.stderr, "... and says when there is none", r)

o = build("perf", '''
struct { __uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY); __uint(key_size, 4); __uint(value_size, 4); } things SEC(".maps");
struct thing { __u64 pid; __u32 n; };
struct thing *unused;
SEC("raw_tp/sched_process_exec")
int on_exec(void *ctx)
{
	struct thing t = { bpf_get_current_pid_tgid() >> 32, 9 };
	bpf_perf_event_output(ctx, &things, 0xffffffffULL, &t, sizeof(t));
	return 0;
}
SEC("xdp")
int passing(struct xdp_md *x) { return 2; }
''')
w = Weir("bpf", "run", o, ready=1)
p = subprocess.Popen(["/bin/true"])
p.wait()
w.end()
ok({"map": "things", "event": {"pid": p.pid, "n": 9}} in w.records, "events of perf buffers", w.out)
ok("passing: xdp is not attached: name its interface" in w.err, "a program that wants an interface says so", w.err)
w = Weir("bpf", "run", o, "--interface", "lo", ready=1)
there = sh("bpftool net show dev lo")
w.end()
ok("passing: xdp on lo" in w.err and "lo" in there and "lo(" not in sh("bpftool net show dev lo"), "... and is attached when one is named, until the end", (w.err, there))

# refusals in words
wrong = {
    "null": ('struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 1); __type(key, __u32); __type(value, __u64); } m SEC(".maps");\n'
             'SEC("raw_tp/sched_process_exec") int bad(void *ctx)\n{\n\t__u32 k = 1;\n\t__u64 *v = bpf_map_lookup_elem(&m, &k);\n\treturn *v; /* HERE */\n}', "compare its result with NULL", "HERE"),
    "packet": ('SEC("xdp") int bad(struct xdp_md *x)\n{\n\tchar *d = (void *)(long)x->data;\n\treturn d[20]; /* HERE */\n}', "compare with data_end", "HERE"),
    "loop": ('SEC("raw_tp/sched_process_exec") int bad(void *ctx)\n{\n\t__u64 n = bpf_ktime_get_ns(), s = 0;\n\tfor (__u64 i = 0; i < n; i++)\n\t\ts += bpf_get_prandom_u32();\n\treturn s;\n}',
             "the verifier gave up|no bound", ""),
    "reference": ('struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 1 << 16); } r SEC(".maps");\n'
                  'SEC("raw_tp/sched_process_exec") int bad(void *ctx)\n{\n\tlong *p = bpf_ringbuf_reserve(&r, 8, 0);\n\tif (p) *p = 1;\n\treturn 0;\n}', "not given back on some path", ""),
    "licence": ('SEC("raw_tp/sched_process_exec") int bad(void *ctx)\n{\n\tchar t[] = "x";\n\tbpf_trace_printk(t, 2);\n\treturn 0;\n}', "for GPL programs", ""),
}
for name, (code, words, line) in wrong.items():
    r = weir("bpf", "run", build(name, code, HEAD.replace('"GPL"', '"MIT"') if name == "licence" else HEAD))
    ok(r.returncode == 2 and "'bad'" in r.stderr and re.search(words, r.stderr) and line in r.stderr, f"refused by the verifier, in words: {name}", r.stderr)
open(f"{tmp}/text.o", "w").write("not an object")
r = weir("bpf", "run", f"{tmp}/text.o")
ok(r.returncode == 2 and "text.o" in r.stderr and "BPF object" in r.stderr, "a file that is none", r)
r = weir("bpf", "run", f"{tmp}/none.o")
ok(r.returncode == 2 and "none.o" in r.stderr and "No such file" in r.stderr, "a file that is not there", r)
r = subprocess.run(["setpriv", "--reuid", "65534", "--clear-groups", WEIR, "bpf", "run", o], capture_output=True, text=True)
ok(r.returncode == 3 and "root" in r.stderr, "without root", r)
left = [p for p in json.loads(sh("bpftool prog show -j")) if p.get("name") in ("on_exec", "bad", "passing")]
ok(not left, "nothing stays", left)
done()
