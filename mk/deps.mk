# What a fresh Debian 12 lacks; docs/DEPENDENCIES.md gives the reason for each (a test compares).
BUILD_DEPS := make gcc libc6-dev clang llvm libbpf-dev libelf-dev zlib1g-dev libzstd-dev libyaml-dev libncurses-dev nettle-dev libcap-dev libseccomp-dev liblua5.4-dev libnftables-dev libsqlite3-dev libmicrohttpd-dev libcurl4-openssl-dev librdkafka-dev libvectorscan-dev libpcre2-dev libmaxminddb-dev libzydis-dev
# npm may come with a node of another source: only what is missing is installed
WEB_DEPS := nodejs npm
TEST_DEPS := libcmocka-dev libclang-rt-14-dev clang-format cppcheck python3 iproute2 nftables curl tshark tcpdump tmux \
	iperf3 socat procps util-linux bsdutils bpftool man-db bash-completion zstd iputils-ping openssl \
	nginx-light haproxy apache2-bin redis-server redis-tools postgresql-15 mariadb-server memcached mosquitto mosquitto-clients nghttp2-server \
	nghttp2-client dnsmasq-base bind9-dnsutils podman runc busybox-static wget \
	samba smbclient nfs-ganesha nfs-ganesha-vfs libnfs13 slapd ldap-utils libcoap3-bin python3-aiosmtpd python3-websockets fcgiwrap beanstalkd nmap chromium rsyslog rsyslog-gnutls nfdump prometheus systemd mmdb-bin python3-grpcio python3-confluent-kafka golang-go
DEMO_DEPS := python3 iproute2 nftables nginx-light redis-server postgresql-15
BENCH_DEPS := wrk libndpi-bin xdp-tools

# BENCH=1 (make bench) wants the servers and peers too
deps:
	@missing=""; for p in $(BUILD_DEPS) $$(command -v npm > /dev/null || echo $(WEB_DEPS)) $(if $(RUN_ONLY),,$(TEST_DEPS)) $(if $(BENCH),$(BENCH_DEPS)) $(if $(DEMO),$(DEMO_DEPS)); do \
	dpkg-query -W -f='$${db:Status-Abbrev}' $$p 2>/dev/null | grep -q '^ii' || missing="$$missing $$p"; done; \
	if [ -n "$$missing" ]; then \
		echo "installing:$$missing"; \
		[ "$$(id -u)" = 0 ] || { echo "root is needed to install them" >&2; exit 3; }; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing \
			>/dev/null || exit 3; \
	fi

.PHONY: deps
