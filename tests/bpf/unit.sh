#!/bin/bash
# The systemd unit in its sandbox: systemd as the first process of a namespace in the guest starts it, and it observes.
run=$PWD/../shared/tools/guest/guest-run
skip() { echo "ok 1 - the unit under systemd # SKIP $1"; echo "1..1"; exit 0; }
[ -r "$run" ] || skip "the guest runner is not here"
for t in qemu-system-x86_64 busybox cpio xz depmod; do command -v $t > /dev/null || skip "$t is not installed"; done
[ -x /lib/systemd/systemd ] || skip "systemd is not installed"
d=$(mktemp -d)
trap 'rm -rf "$d"' EXIT
cat > "$d/script" <<S
export PATH=/usr/local/bin:$PATH
cd "$PWD"
install -D "$WEIR" /usr/local/bin/weir
sed -e 's|@BIN@|/usr/local/bin/weir|' -e 's/^\[Unit\]/&\nDefaultDependencies=no/' packaging/weir.service > /etc/systemd/system/weir.service
printf '[Unit]\nDefaultDependencies=no\nRequires=weir.service\n' > /etc/systemd/system/t.target
mkdir /sys/fs/cgroup/sd && echo \$\$ > /sys/fs/cgroup/sd/cgroup.procs
unshare --fork --pid --mount-proc --cgroup env container=lxc /lib/systemd/systemd --system --unit=t.target --log-target=console > /tmp/w/sd.log 2>&1 &
for i in \$(seq 100); do
	sleep 1
	p=\$(pgrep -f 'weir run' | head -1)
	[ -n "\$p" ] && [ -S /proc/\$p/root/run/weir/weir.sock ] && break
done
sock=/proc/\$p/root/run/weir/weir.sock
for i in \$(seq 30); do weir ctl counters --socket \$sock > /dev/null 2>&1 && break; sleep 1; done
weir conns --socket \$sock --for 12s --json > /tmp/w/conns.json &
for i in \$(seq 10); do sleep 1; (: < /dev/tcp/127.0.0.1/9) 2>/dev/null; done
wait %2
grep -q '"close_reason":"refused"' /tmp/w/conns.json && grep -q '"process":"bash"' /tmp/w/conns.json && echo "OBSERVES"
weir doctor --socket \$sock --json | grep -c '"state":"active"'
# with the rights that it has left a process is cut off; by name: the agent has another namespace of processes
cp /bin/bash /run/victim
mkfifo /run/f
/run/victim -c 'while read x; do true 3<>/dev/tcp/127.0.0.1/9; done' < /run/f > /run/v.out 2>&1 &
exec 7> /run/f
echo >&7; sleep 1
weir guard block --process victim --socket \$sock
echo >&7; sleep 1
cat /run/v.out
grep -q 'refused' /run/v.out && grep -q 'not permitted' /run/v.out && echo "BLOCKS"
grep NoNewPrivs /proc/\$p/status
kill -TERM \$p; sleep 2; kill -0 \$p 2>/dev/null || echo "ENDS"
tail -20 /tmp/w/sd.log
S
for try in 1 2 3; do
	out=$(DIR=$d T=280 bash "$run" 6.12 "$d/script" 2>&1)
	grep -q 'Oops: int3' <<< "$out" || break # the emulator's fault, see guest.sh
done
if grep -q OBSERVES <<< "$out" && grep -q BLOCKS <<< "$out" && grep -q ENDS <<< "$out"; then
	echo "ok 1 - the unit under systemd, in its sandbox, observes, cuts a process off, and ends"
elif ! grep -q GUEST-UP <<< "$out"; then
	skip "the guest's kernel cannot be had here"
else
	echo "not ok 1 - the unit under systemd"; tail -50 <<< "$out" | sed 's/^/# /'
fi
echo "1..1"
