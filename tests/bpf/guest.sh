#!/bin/bash
# Debian's 6.1 and 6.12 kernels under software emulation: every sensor loads, a small world gives right records.
# Needs the guest runner beside the checkout and qemu; says so and skips otherwise.
run=$PWD/../shared/tools/guest/guest-run
n=0
for k in 6.1 6.12; do
	n=$((n + 1))
	if [ ! -x "$run" ] && [ ! -r "$run" ]; then echo "ok $n - kernel $k # SKIP the guest runner is not here"; continue; fi
	for t in qemu-system-x86_64 busybox cpio xz depmod; do
		command -v $t > /dev/null || { echo "ok $n - kernel $k # SKIP $t is not installed"; continue 2; }
	done
	d=$(mktemp -d)
	cp tests/lib/guest-world.py "$d/"
	cat > "$d/script" <<S
export PATH=$PATH
python3 /tmp/w/guest-world.py $WEIR
S
	# Emulated CPUs that patch code under each other can hit the int3 of a half-patched branch (two CPUs, qemu's TCG):
	# the guest then dies of "Oops: int3", mostly before any program ran. Only that is tried again.
	for try in 1 2 3; do
		rc=0
		out=$(DIR=$d T=240 bash "$run" $k "$d/script" 2>&1) || rc=$?
		if [ $rc = 0 ] || ! grep -q 'Oops: int3' <<< "$out"; then break; fi
		echo "# kernel $k: emulation fault (Oops: int3), try $try of 3"
	done
	if [ $rc = 0 ]; then
		echo "ok $n - kernel $k: $(grep -o 'WORLD .*' <<< "$out" | head -1)"
	elif grep -q 'no package for kernel\|Unable to locate\|E: ' <<< "$out" && ! grep -q GUEST-UP <<< "$out"; then
		echo "ok $n - kernel $k # SKIP its package cannot be had here"
	else
		echo "not ok $n - kernel $k"; tail -30 <<< "$out" | sed 's/^/# /'
	fi
	rm -rf "$d"
done
echo "1..$n"
