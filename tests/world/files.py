# SPDX-License-Identifier: Apache-2.0
"""Who read, wrote, renamed, deleted which file: Samba with smbclient, NFS-Ganesha with libnfs, and the alert about chosen files."""
import ctypes.util, shutil, sys
sys.path.insert(0, "tests/lib")
from world import *

need_root()
if not all(shutil.which(t) for t in ("smbd", "smbclient", "ganesha.nfsd")) or not ctypes.util.find_library("nfs"):
    skip("files", "samba, smbclient, nfs-ganesha or libnfs is not installed")
    done()
T = tempfile.mkdtemp(prefix="weir-files-")
later(shutil.rmtree, T, True)
SOCK = f"{T}/weir.sock"
quiet = dict(stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
ns = netns("wfiles")
sh(f"ip -n {ns} addr add 10.99.7.1/32 dev lo")  # Ganesha asks for its own address
for d in "share", "p", "l", "nc":
    os.mkdir(f"{T}/{d}")
open(f"{T}/smb.conf", "w").write(f"""[global]
server role = standalone server
private dir = {T}/p
lock directory = {T}/l
state directory = {T}/l
cache directory = {T}/l
pid directory = {T}/l
ncalrpc dir = {T}/nc
log file = {T}/log
passdb backend = tdbsam:{T}/p/passdb.tdb
disable netbios = yes
smb ports = 445
load printers = no
printcap name = /dev/null
[files]
path = {T}/share
read only = no
""")
sh(f"(echo geheim; echo geheim) | smbpasswd -c {T}/smb.conf -s -a root")
open(f"{T}/nfs.conf", "w").write(f"""NFS_CORE_PARAM {{ Protocols = 4; Enable_NLM = false; Enable_RQUOTA = false; }}
NFSv4 {{ Graceless = true; Grace_Period = 1; Lease_Lifetime = 2; }}
EXPORT {{ Export_Id = 1; Path = {T}/share; Pseudo = /share; Access_Type = RW; Squash = No_Root_Squash; SecType = sys; Protocols = 4; FSAL {{ Name = VFS; }} }}
""")
# a process of its own group each: smbd ends its children itself
procs = [inside(ns, "smbd", "-F", "--no-process-group", "-s", f"{T}/smb.conf", **quiet),
         inside(ns, "ganesha.nfsd", "-F", "-f", f"{T}/nfs.conf", "-L", f"{T}/nfs.log", "-p", f"{T}/nfs.pid", **quiet)]
later(lambda: [(p.terminate(), p.wait()) for p in procs])
ok(until(lambda: all(sh(f"ip netns exec {ns} ss -Hltn sport = :{p}") for p in (445, 2049)), 20), "both servers listen",
   lambda: sh(f"tail -n 5 {T}/log* {T}/nfs.log", False))
CLIENT = """
import ctypes, sys
L = ctypes.CDLL(sys.argv[1])
L.nfs_init_context.restype = ctypes.c_void_p
c, f, b = ctypes.c_void_p(L.nfs_init_context()), ctypes.c_void_p(), ctypes.create_string_buffer(100)
L.nfs_set_version(c, 4)
def do(name, *a):
    return getattr(L, "nfs_" + name)(c, *[x.encode() if isinstance(x, str) else x for x in a])
r = [do("mount", "127.0.0.1", "/share"), do("mkdir", "/nd"), do("open", "/nd/salary.txt", 0o102, ctypes.byref(f)), do("write", f, ctypes.c_uint64(5), b"hello"), do("close", f),
     do("open", "/nd/salary.txt", 0, ctypes.byref(f)), do("read", f, ctypes.c_uint64(100), b), do("close", f), do("rename", "/nd/salary.txt", "/nd/b.txt"),
     do("unlink", "/nd/b.txt"), do("open", "/nd/none", 0, ctypes.byref(f)), do("rmdir", "/nd")]
print(r)
"""
agent = Weir("run", "-q", "--agent.socket", SOCK, "--store.path", f"{T}/store", "--detect.files", "*/salary*", ready=2)
watch = Weir("alerts", "--json", "--socket", SOCK, ready=0)
view = Weir("requests", "--json", "-w", "protocol in (smb, nfs)", "--socket", SOCK, ready=1)
open(f"{T}/in", "w").write("x" * 3000)
sh(f"ip netns exec {ns} smbclient -s {T}/smb.conf //127.0.0.1/files -U root%geheim -c "
   f"'put {T}/in salary.txt; ls; get salary.txt {T}/out; mkdir d; rename salary.txt d/c.txt; del d/c.txt; rmdir d; get none.txt'", False)
ok(open(f"{T}/out").read() == "x" * 3000, "smbclient wrote and read")
got = sh(f"ip netns exec {ns} python3 -c '{CLIENT}' {ctypes.util.find_library('nfs')}")
ok(got.strip() == str([0, 0, 0, 5, 0, 0, 5, 0, 0, 0, -2, 0]), "the client of NFS did", got)
ok(until(lambda: [r for r in view.so_far() if r.get("detail", {}).get("path") == "/share/nd" and r["detail"].get("action") == "delete"], 5), "all of it came",
   lambda: view.so_far()[-2:])
reqs = [r for r in view.end().records if r["kind"] == "request"]
did = lambda proto: [(d.get("action"), d.get("path") or r.get("resource"), r["error"], d.get("bytes"), d.get("to"))
                     for r in reqs for d in [r["detail"]] if r["protocol"] == proto and d.get("action") and d["action"] not in ("open", "list")]
smb = [("create", "salary.txt", False, None, None), ("write", "salary.txt", False, 3000, None), ("read", "salary.txt", False, 3000, None), ("create", "d", False, None, None),
       ("rename", "salary.txt", False, None, "d\\c.txt"), ("delete", "d\\c.txt", False, None, None), ("delete", "d", False, None, None)]
ok(did("smb") == smb, "SMB: what was done to which file, how many bytes, in order", did("smb"))
nfs = [("create", "/share/nd", False, None, None), ("create", "/share/nd/salary.txt", False, None, None), ("write", "/share/nd/salary.txt", False, 5, None),
       ("read", "/share/nd/salary.txt", False, 5, None), ("rename", "/share/nd/salary.txt", False, None, "/share/nd/b.txt"),
       ("delete", "/share/nd/b.txt", False, None, None), ("delete", "/share/nd", False, None, None)]
ok(did("nfs") == nfs, "NFS 4: by the paths that its handles stand for", did("nfs"))
opens = {(r["protocol"], r["status"]) for r in reqs if r["detail"].get("action") == "open" and r["error"]}
ok(opens == {("smb", "OBJECT_NAME_NOT_FOUND"), ("nfs", "NOENT")}, "what was not there was not there", opens)
smbs = [r for r in reqs if r["protocol"] == "smb"]
ok({r["detail"].get("user") for r in smbs if r["detail"].get("action")} == {"root"} and
   {r["detail"]["share"] for r in smbs if r["detail"].get("action")} == {"\\\\127.0.0.1\\files"}, "the user of SMB by its login, and the share")
ok({r["detail"].get("user") for r in reqs if r["protocol"] == "nfs"} == {"uid 0"} and {r["client"]["process"] for r in reqs if r["protocol"] == "nfs"} == {"python3"},
   "the user of NFS by its number, and the process on this host")
unnamed = [r["operation"] for r in smbs if r["operation"] in ("CLOSE", "READ", "WRITE", "QUERY_INFO", "QUERY_DIRECTORY", "SET_INFO") and not r.get("resource")]
ok(not unnamed, "no handle is without its name", unnamed)
words = lambda: [r["summary"] for r in watch.so_far() if r.get("detector") == "file_access"]
until(lambda: any("smb rename" in w for w in words()) and any("nfs rename" in w for w in words()), 5)
ok(any("as root: smb write of //127.0.0.1/files/salary.txt" in w for w in words()) and any("as uid 0: nfs read of /share/nd/salary.txt" in w for w in words()) and
   not any("none" in w or "b.txt" in w for w in words()), "file_access: chosen files alone, who did what", words())
watch.end(), agent.end()
ok(agent.rc == 0, "the agent ends well", (agent.rc, agent.err))
sums = records(weir("requests", "--json", "--store", f"{T}/store", "--since", "1h", "-w", "detail.action", "--by", "detail.user,detail.action").stdout)
sums = {tuple(r["keys"].values()): r["count"] for r in sums if r["kind"] == "requests"}
ok(sums.get(("root", "delete")) == 2 and sums.get(("uid 0", "read")) == 1 and not any(k[1] == "" for k in sums), "summed by user and what was done, from history", sums)
done()
