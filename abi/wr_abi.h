/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * What the kernel half and the user half of every sensor share: the record header, the rings, the
 * owner of a socket, and the value kept in a socket's storage.
 *
 * Fixed width, explicit padding, no enum, no bool, no long. Integers are host order unless typed
 * __be16/__be32. Change a layout -> bump WR_ABI; the asserts below fail on both sides otherwise.
 */
#ifndef WR_ABI_H
#define WR_ABI_H

#ifndef __BPF__
#include <linux/types.h>
#endif

#define WR_ABI 1

#define WR_ABI_SIZE(T, n) _Static_assert(sizeof(T) == (n), #T " changed its size: bump WR_ABI")
#define WR_ABI_AT(T, f, n) _Static_assert(__builtin_offsetof(T, f) == (n), #T "." #f " moved")

/* Record types in the rings. STATE must not lose (losses are counted with their bytes), DATA may. */
#define WR_REC_SOCK                                                                                \
	1 /* struct wr_rec_sock: a TCP connection opened, closed, or a periodic reading */
#define WR_REC_EXEC 2 /* struct wr_rec_exec: a process image was replaced */
#define WR_REC_ICMP 3 /* struct wr_rec_icmp: an ICMP error about one of our flows */
#define WR_REC_PACKET 4 /* struct wr_rec_packet: a copy of a packet (DATA ring) */
#define WR_REC_PAYLOAD 5 /* struct wr_rec_payload: the head of a segment's payload (DATA ring) */

#define WR_REC_RESET 6 /* struct wr_rec_reset: behind the close of a socket, that it sent a reset */
#define WR_REC_CGROUP 7 /* struct wr_rec_cgroup: a control group was made */
#define WR_REC_TLS 8 /* struct wr_rec_tls: what went through TLS (DATA ring) */

#define WR_REC_CALL 9 /* struct wr_rec_call: a system call of a watched process failed */

#define WR_REC_ARP 11 /* struct wr_rec_arp: an ARP request or reply */

#define WR_REC_JOURNEY 10 /* struct wr_rec_journey: a packet passed a stage (DATA ring) */

struct wr_rec {
	__u32 type; /* WR_REC_* */
	__u32 len; /* whole record, header included */
	__u64 ts; /* CLOCK_BOOTTIME, ns */
};
WR_ABI_SIZE(struct wr_rec, 16);

/* The process that a socket belongs to. start_ns tells a reused pid from the first one. */
struct wr_owner {
	__u32 tgid;
	__u32 uid;
	__u32 netns; /* inode of the network namespace */
	__u32 ppid; /* who forked it: a child that never calls exec has its parent's executable */
	__u64 start_ns; /* start_boottime of the thread group leader */
	__u64 cgroup; /* id in the cgroup v2 tree */
	char comm[16];
};
WR_ABI_SIZE(struct wr_owner, 48);

/* roles of a socket */
#define WR_ROLE_NONE 0
#define WR_ROLE_CLIENT 1
#define WR_ROLE_SERVER 2
#define WR_ROLE_LISTENER 3

/* flags of a socket */
#define WR_F_RST_IN 0x01 /* a reset arrived */
#define WR_F_RST_OUT 0x02 /* a reset was sent */
#define WR_F_FIN_LOCAL 0x04 /* this end closed first */
#define WR_F_FIN_REMOTE 0x08 /* the peer closed first */
#define WR_F_SEEDED 0x10 /* older than the sensors: times before the start are unknown */
#define WR_F_ACCEPTED 0x20 /* the application took it from the accept queue */
#define WR_F_OPENED 0x40 /* an open record was sent */
#define WR_F_SEQ_KNOWN 0x80 /* iss and irs are valid */

/* classes of TCP state whose durations are kept (state_ns) */
#define WR_ST_SYN_SENT 0
#define WR_ST_SYN_RECV 1
#define WR_ST_ESTABLISHED 2
#define WR_ST_FIN_WAIT 3 /* FIN_WAIT1, FIN_WAIT2, CLOSING */
#define WR_ST_CLOSE_WAIT 4 /* the peer closed, this application did not yet */
#define WR_ST_LAST_ACK 5
#define WR_ST_N 6

/*
 * Value of the socket storage. Lives and dies with the socket; the kernel copies it from a listener
 * to the accepted socket (BPF_F_CLONE), wr_sock_child() then clears what is not the child's.
 */
struct wr_sock {
	struct wr_owner owner;
	__u64 t_open; /* connect() or first sight, ns */
	__u64 t_est; /* ESTABLISHED, ns; 0 = not (yet) seen */
	__u64 t_accept; /* accept() returned, ns; 0 = not seen */
	__u64 t_state; /* when the present state began, ns */
	__u64 state_ns[WR_ST_N];
	__u64 zw_in_since, zw_in_ns; /* the peer's window is closed: we may not send */
	__u64 zw_out_since, zw_out_ns; /* our window is closed: the application does not read */
	__u64 mark; /* packets at the last reading, to skip idle sockets */
	__u32 iss, irs; /* initial sequence numbers, ours and theirs */
	__u32 re_timeout, re_fast, re_probe, re_syn;
	__u32 handshake_us;
	__u32 rst_reason; /* enum sk_rst_reason, 0 = none given */
	__u16 zw_in_n, zw_out_n;
	__u8 role, flags, state, family;
	__u32 gen; /* of the last reading of everything */
	/* payload copied of this turn, by direction; the acknowledgement that the turn began with */
	__u32 turn[2], turn_ack[2];
	__u32 t_read; /* when the application read last, in units of 1,024 ns, modulo 2^32; 0 = not yet */
	__u32 unread; /* since when a reading finds data that it does not read, as t_read; 0 = it reads */
	__u32 unread_at; /* up to which sequence number it had read then */
};
WR_ABI_SIZE(struct wr_sock, 240);

/* A reading of sockets: an iterator run fills records[0..n), those that were read are marked. */
#define WR_READ_MAX 16384
struct wr_read_ctl {
	__u32 all; /* 0: what changed; else the generation of a reading of everything */
	__u32 n; /* records written */
	__u32 more; /* sockets that found no room: run the iterator again */
	__u32 pad;
};
WR_ABI_SIZE(struct wr_read_ctl, 16);

#define WR_EV_OPEN 1
#define WR_EV_UPDATE 2
#define WR_EV_CLOSE 3

/* One reading of one TCP socket. Numbers are totals since the socket was made. */
struct wr_rec_sock {
	struct wr_rec h;
	__u64 cookie;
	struct wr_sock s;
	__u8 laddr[16], raddr[16]; /* IPv4 as v4-mapped */
	__u16 lport, rport;
	__u8 event, old_state, fin_rcvd, fin_sent;
	__s32 err; /* sk_err at the close: positive errno */
	__u32 srtt_us, rttvar_us, min_rtt_us, cwnd, mss;
	__u32 pmtu; /* of the path, as the socket knows it; 0 = not yet */
	__u64 bytes_out, bytes_in; /* payload, each byte once */
	__u32 segs_out, segs_in;
	__u32 retrans, ooo_in, dsack_dups;
	__u32 busy_ms, rwnd_ms, sndbuf_ms;
	__u32 rcvq, sndq,
		backlog; /* bytes the application has not read; not acknowledged; listen backlog */
	__u32 stalled; /* who holds it up: ms << 2 | WR_STALL_*; 0 = nobody, or not for a second yet */
	__u32 pad;
};
WR_ABI_SIZE(struct wr_rec_sock, 408);

/* Held up: the application does not read; the peer closed and it does not; the peer does not acknowledge. */
#define WR_STALL_READER 1
#define WR_STALL_CLOSE 2
#define WR_STALL_PEER 3

/* close() with unread data, and an abort, change the state first and send the reset then. */
struct wr_rec_reset {
	struct wr_rec h;
	__u64 cookie;
	__u32 reason; /* enum sk_rst_reason, 0 = none given */
	__u32 pad;
};
WR_ABI_SIZE(struct wr_rec_reset, 32);

struct wr_rec_exec {
	struct wr_rec h;
	struct wr_owner owner;
	__u32 ppid;
	__u32 pad;
	char exe[128];
};
WR_ABI_SIZE(struct wr_rec_exec, 200);

/* Its name, before it can be gone again. */
struct wr_rec_cgroup {
	struct wr_rec h;
	__u64 id;
	char path[256]; /* from the root of the hierarchy; "" = too long */
};
WR_ABI_SIZE(struct wr_rec_cgroup, 280);

/* A system call of the network that failed. */
struct wr_rec_call {
	struct wr_rec h;
	struct wr_owner owner;
	__u8 addr[16]; /* that it was given; all zero: none */
	__u16 port;
	__u8 call; /* WR_CALL_* */
	__u8 pad;
	__u32 err; /* errno */
};
WR_ABI_SIZE(struct wr_rec_call, 88);
#define WR_CALL_SOCKET 1
#define WR_CALL_CONNECT 2
#define WR_CALL_BIND 3
#define WR_CALL_LISTEN 4
#define WR_CALL_SENDTO 5
#define WR_CALL_SENDMSG 6

/* A packet at a stage of its way through the host. */
struct wr_rec_journey {
	struct wr_rec h;
	__u64 skb; /* address of its buffer: the same along the way, and of another packet later */
	__u64 location; /* of a drop */
	__u8 saddr[16], daddr[16];
	__u16 sport, dport; /* ICMP: type, code */
	__u8 proto, family, tcp_flags, stage; /* WR_STEP_* */
	__u32 seq, len, ifindex, netns;
	__u32 reason; /* of a drop: enum skb_drop_reason */
	__u32 tgid; /* of the reader or sender; 0 = not known */
	__u16 ip_id;
	__u8 ttl, begins; /* begins: a socket of this host made it */
	__u32 mark; /* skb->mark */
	char ifname[16], comm[16];
	/* of a route: the table that had it, the next hop (all zero: the address itself); reason is an errno */
	__u8 via[16];
	__u32 table, pad;
};
WR_ABI_SIZE(struct wr_rec_journey, 160);
#define WR_STEP_ARRIVED 0 /* from a driver, or over a veth or the loopback */
#define WR_STEP_STACK 1 /* netif_receive_skb */
#define WR_STEP_TCP 2 /* taken by an established connection */
#define WR_STEP_READ 3 /* copied to the application */
#define WR_STEP_QUEUED 4 /* given to a device's queue */
#define WR_STEP_SENT 5 /* given to its driver */
#define WR_STEP_DROPPED 6
#define WR_STEP_ROUTE 7 /* a routing table was asked; skb 0: before there is a packet, by who sends it */

/* An ICMP or ICMPv6 error; the tuple is of the packet that it complains about. */
struct wr_rec_icmp {
	struct wr_rec h;
	__u8 from[16], saddr[16], daddr[16];
	__u16 sport, dport;
	__u8 type, code, proto, v6;
	__u32 netns, info; /* info: next-hop MTU where the type has one */
};
WR_ABI_SIZE(struct wr_rec_icmp, 80);

struct wr_rec_arp {
	struct wr_rec h;
	__u8 mac[6]; /* of the sender */
	__u16 op;
	__u8 sender[4], target[4];
	__u32 ifindex, pad;
};
WR_ABI_SIZE(struct wr_rec_arp, 40);

/* A copied packet, from the network header on. cap bytes of it follow. */
struct wr_rec_packet {
	struct wr_rec h;
	__u64 cookie;
	struct wr_owner owner;
	__u32 ifindex;
	__u32 wire_len;
	__u32 cap;
	__u16 gso_segs;
	__u8 dir; /* 0 = received, 1 = sent, WR_DIR_DROPPED */
	__u8 l2; /* bytes of link header in front (0: begins with IP) */
	/* of a dropped one: as in struct wr_drop_key */
	__u64 location;
	__u32 reason, netns;
	char ifname[16];
};
WR_ABI_SIZE(struct wr_rec_packet, 120);
#define WR_DIR_DROPPED 2

/*
 * Payload for the parsers: of a segment or datagram cap of len bytes follow. TCP: conn is known by the cookie.
 * UDP: addresses and owner follow in front of the payload (struct wr_payload_udp).
 */
struct wr_rec_payload {
	struct wr_rec h;
	__u64 cookie;
	__u32 seq, ack; /* of the TCP header */
	__u32 len, cap;
	__u8 dir; /* 0 = received, 1 = sent */
	__u8 proto;
	__u16 zero_window; /* how long a window was closed so far, in units of 2^20 ns, modulo 2^16 */
	__u32 read_ago; /* sent: 1 + when the application had last read, in units of 1,024 ns; 0 = not known */
};
WR_ABI_SIZE(struct wr_rec_payload, 48);

struct wr_payload_udp {
	struct wr_owner owner;
	__u8 laddr[16], raddr[16];
	__u16 lport, rport;
	__u32 pad;
};
WR_ABI_SIZE(struct wr_payload_udp, 88);

/* Plain text that an application gave to its TLS library or got from it; cap of len bytes follow. */
struct wr_rec_tls {
	struct wr_rec h;
	__u64 cookie;
	__u64 off; /* of the first byte in its direction's plain text, as far as it was seen */
	__u32 len, cap;
	__u8 dir; /* 0 = received, 1 = sent */
	__u8 shaken; /* the handshake was seen: off counts from the begin */
	__u8 pad[6];
};
WR_ABI_SIZE(struct wr_rec_tls, 48);
/* which function a probe is at: its cookie */
#define WR_TLS_READ 1
#define WR_TLS_READ_EX 2 /* the length is put where the fourth argument points */
#define WR_TLS_WRITE 3
#define WR_TLS_WRITE_EX 4
#define WR_TLS_SHAKE 5
#define WR_TLS_FREE 6
/* ... in a program in Go */
#define WR_TLS_GO_READ 7 /* at the copy; receiver: on the stack, offset from bit WR_TLS_GO_SLOT on */
#define WR_TLS_GO_WRITE 8 /* those of writes and handshakes: at the jump of the check of the stack */
#define WR_TLS_GO_SHAKE 9
#define WR_TLS_GO_SLOT 16
#define WR_LIMIT_PORT (1ull << 62) /* with a server's port: what its last connection wanted */
#define WR_LIMIT_TLS (1ull << 63) /* in a key of wr_limit: of what is inside TLS */

/*
 * What the payload tap copies of a turn (what one direction says until the other speaks): at most burst bytes; of
 * sockets whose protocol is not known yet, unknown bytes. burst 0 = nothing at all.
 */
#define WR_PAYLOAD_ALL 0xffffffffu
#define WR_PAYLOAD_SILENT 0xfffffffeu /* inside TLS: not even that there was something */
#define WR_PAYLOAD_FRAMES 0xfffffffdu /* all, without long bodies where HTTP/2's frames are followed */
struct wr_payload_ctl {
	__u32 burst, unknown;
	__u32 wake; /* bytes in the ring at which user space is woken */
	__u32 udp; /* bytes of a datagram */
	__u16 udp_port[8]; /* of which ports, 0 = none */
	__u32 udp_first; /* of any port: so many packets of a flow, by which its protocol is known */
	__u32 pad;
};
WR_ABI_SIZE(struct wr_payload_ctl, 40);

/* SYNs to a port, how many became connections; the sources of 2^WR_SYN_PERIOD ns (8.6 s). */
#define WR_SYN_PERIOD 33
struct wr_syn_key {
	__u32 netns;
	__u16 port, pad;
};
struct wr_syns {
	__u64 syns, established, period; /* period: of the sources */
	__u64 sources[16]; /* a bit for each hash of a source: linear counting */
	__u8 from[16], to[16]; /* of the last one */
};
WR_ABI_SIZE(struct wr_syns, 184);

/* Key and value of the flow map: UDP and everything that is not counted in a TCP socket. */
struct wr_flow_key {
	__u64 cookie; /* 0: no local socket (interface tap) */
	__u8 laddr[16], raddr[16];
	__u16 lport, rport;
	__u8 proto, family;
	__u16 pad;
	__u32 netns, ifindex;
};
WR_ABI_SIZE(struct wr_flow_key, 56);

struct wr_flow {
	struct wr_owner owner;
	__u64 bytes_out, bytes_in; /* payload */
	__u64 wire_out, wire_in; /* with network header */
	__u64 packets_out, packets_in;
	__u64 first, last;
	__u8 first_dir; /* 1: our side sent first */
	__u8 pad[7];
};
WR_ABI_SIZE(struct wr_flow, 120);

/*
 * Packets that the kernel dropped: what was lost at one place for one reason, by flow as far as the budget of new
 * flows goes, else with the flow's part all zero. Half of the entries (turn) is counted in, the other half read.
 */
struct wr_drop_key {
	__u64 location; /* address behind the call that freed it */
	__u32 reason; /* enum skb_drop_reason */
	__u32 ifindex, netns;
	__u16 sport, dport; /* ICMP: type, code */
	__u8 saddr[16], daddr[16];
	__u8 proto, family; /* family 0: no flow */
	__u8 turn;
	__u8 tcp_flags; /* of TCP: which flags the packet had */
	__u32 quiet : 1; /* of a place where nothing is lost */
	__u32 pad : 11;
	__u32 guard : 20; /* the rule of weir's guard that did it, at tc; 0: none */
};
WR_ABI_SIZE(struct wr_drop_key, 64);

struct wr_drop {
	__u64 count, bytes;
	__u64 first; /* ns */
	struct wr_owner owner; /* of the socket that it was for, or from; tgid 0 = none */
	char ifname[16];
};
WR_ABI_SIZE(struct wr_drop, 88);

/*
 * The last packets that were dropped of a flow (of TCP without SYNs and resets), for what lost some while it ran.
 * Either direction has the same key: @a is the end whose address, then port, is the smaller one.
 */
struct wr_flow_id {
	__u8 a[16] __attribute__((aligned(8))), b[16];
	__u16 a_port, b_port;
	__u8 proto, pad[3];
};
WR_ABI_SIZE(struct wr_flow_id, 40);
#define WR_FLOW_DROPS 32
struct wr_flow_drops {
	__u32 n, pad; /* so many; the last WR_FLOW_DROPS are in at[] */
	__u64 at[WR_FLOW_DROPS]; /* 16 ns << 8 | reason, 255 for all above; 0: none */
};
WR_ABI_SIZE(struct wr_flow_drops, 264);

typedef __u64 __attribute__((may_alias)) wr_word;

/* Word by word: the stack of BPF programs is small. Addresses are aligned as words are; @id is zeroed before. */
static inline void wr_flow_id_of(struct wr_flow_id *id, const __u8 *a, __u16 a_port,
	const __u8 *b, __u16 b_port, __u8 proto)
{
	const wr_word *x = (const wr_word *)a, *y = (const wr_word *)b;
	int swap = x[0] != y[0] ? x[0] > y[0] : x[1] != y[1] ? x[1] > y[1] : a_port > b_port;
	wr_word *first = (wr_word *)(swap ? id->b : id->a);
	wr_word *second = (wr_word *)(swap ? id->a : id->b);

	first[0] = x[0];
	first[1] = x[1];
	second[0] = y[0];
	second[1] = y[1];
	id->a_port = swap ? b_port : a_port;
	id->b_port = swap ? a_port : b_port;
	id->proto = proto;
}

/* Where what is dropped is no loss: counted there without its flow. */
struct wr_drop_place {
	__u64 location;
	__u32 reason;
	__u32 kind; /* WR_DROP_*: one place may free several kinds of TCP segments */
};
WR_ABI_SIZE(struct wr_drop_place, 16);
#define WR_DROP_OTHER 0
#define WR_DROP_SYN 1 /* that opens a connection */
#define WR_DROP_RST 2

#define WR_DROP_MULTICAST 3

static inline __u32 wr_drop_kind(const struct wr_drop_key *k)
{
	if (k->proto == 6)
		return (k->tcp_flags & 0x12) == 2 ? WR_DROP_SYN
		       : k->tcp_flags & 4	  ? WR_DROP_RST
						  : WR_DROP_OTHER;
	if (k->family == 10 ? k->daddr[0] == 0xff : k->family == 2 && (k->daddr[12] & 0xf0) == 0xe0)
		return WR_DROP_MULTICAST;
	return WR_DROP_OTHER;
}

/*
 * Time of packets by stage, as histograms: log-linear buckets of ns, 16 for each power of two (as src/agg/hist.h).
 * Half of the entries (turn) is counted in, the other half read.
 */
#define WR_STAGE_BUCKETS (16 * 37)
struct wr_stage_key {
	__u32 stage; /* WR_STAGE_* */
	__u32 ifindex, netns;
	__u16 turn, shift; /* each of these stands for 2^shift */
	struct wr_owner owner; /* who received or sent it; tgid 0 = not known */
};
WR_ABI_SIZE(struct wr_stage_key, 64);
struct wr_stage {
	__u64 n, sum, max; /* ns */
	__u32 b[WR_STAGE_BUCKETS];
};
WR_ABI_SIZE(struct wr_stage, 2392);
#define WR_STAGE_BACKLOG 0 /* received: driver or far end of a veth to the stack (GRO, CPU backlog) */
#define WR_STAGE_IP 1 /* ... from the stack's entry to TCP: IP, netfilter, a locked socket */
#define WR_STAGE_SOCKET 2 /* ... in the socket's queue until the application took it */
#define WR_STAGE_RECEIVE 3 /* ... all three: each packet that has them is in all four */
#define WR_STAGE_CPU 4 /* a thread that data woke waits for a CPU */
#define WR_STAGE_TCP 5 /* sent: from the segment to the device's queue: IP, netfilter */
#define WR_STAGE_QDISC 6 /* ... in the queue of the device until the driver took it */
#define WR_STAGE_N 7

/*
 * One packet of 2^shift is followed. The kernel doubles that by itself when it has followed @most (0: no bound)
 * within a window of 2^28 ns, so that a flood costs little from its first moment on.
 */
struct wr_stage_ctl {
	__u32 turn, shift;
	__u32 most, followed, window;
};
WR_ABI_SIZE(struct wr_stage_ctl, 20);
#define WR_STAGE_MAX_SHIFT 10

/* System calls of the network: what each number of this architecture is, and sums by process and call. */
#define WR_SYSCALL_NUMBERS 512
#define WR_SYSCALL_INDEX 0xff /* 1 + place in the reader's list */
#define WR_SYSCALL_BYTES 0x100 /* it returns bytes */
#define WR_SYSCALL_ANY_FILE 0x200 /* only where its first argument is a socket */
struct wr_syscall_key {
	__u64 start_ns; /* of the process: with tgid it is unique */
	__u32 tgid, call;
	__u32 turn, err; /* err: of the map of errors */
};
WR_ABI_SIZE(struct wr_syscall_key, 24);
struct wr_syscall {
	struct wr_owner owner;
	__u64 n, errors, bytes, ns, max;
	__u32 b[WR_STAGE_BUCKETS];
};
WR_ABI_SIZE(struct wr_syscall, sizeof(struct wr_owner) + 40 + 4 * WR_STAGE_BUCKETS);

/* One of the last packets of the host, from its IP header on. @end is @ts once all of it is there. */
#define WR_RECENT_CHUNK 32u /* places that a CPU takes at once */
#define WR_RECENT_BYTES 208
struct wr_recent {
	__u64 ts; /* CLOCK_BOOTTIME */
	char ifname[16];
	__u32 len; /* of the packet */
	__u32 netns;
	__u16 cap; /* bytes of @data */
	__u8 out; /* 1: given to the driver; 0: received */
	__u8 pad[5];
	__u8 data[WR_RECENT_BYTES];
	__u64 end;
};
WR_ABI_SIZE(struct wr_recent, 256);

/*
 * Bytes and packets of an interface and direction: running totals, and what they were when each of the last
 * milliseconds with traffic began. A millisecond has what lies between its start and the next one's.
 */
#define WR_BURST_SLOTS 1024
struct wr_burst_key {
	__u32 ifindex, netns;
	__u32 out; /* 1: given to the driver; 0: received */
	__u32 pad;
};
WR_ABI_SIZE(struct wr_burst_key, 16);
struct wr_burst {
	/* in this order: a reader's copy of the totals is older than that of the starts */
	__u64 ms, packets, bytes; /* ms: the last one that began; bytes: with link headers */
	char ifname[16];
	struct wr_burst_start {
		__u64 ms, packets, bytes;
	} start[WR_BURST_SLOTS]; /* at ms % WR_BURST_SLOTS */
};
WR_ABI_SIZE(struct wr_burst, 40 + 24 * WR_BURST_SLOTS);

/* Who spoke in ten milliseconds. */
struct wr_talker_key {
	__u8 saddr[16], daddr[16];
	__u16 sport, dport; /* ICMP: type, code */
	__u8 proto, family; /* family 0: not IP */
	__u8 out, pad;
	__u32 ifindex, netns;
	__u64 slot; /* ms / 10 */
};
WR_ABI_SIZE(struct wr_talker_key, 56);
struct wr_talker {
	__u64 packets, bytes;
};
WR_ABI_SIZE(struct wr_talker, 16);

/* Counters of the kernel half, one per-CPU array for all sensors: the kernel's part of the ledger. */
#define WR_KC_STATE_IN 0 /* records made for the STATE ring */
#define WR_KC_STATE_LOST 1 /* ... that the full ring refused */
#define WR_KC_LOST_CONNS 2 /* connections whose close record was lost */
#define WR_KC_LOST_BYTES_OUT 3 /* ... and their payload bytes, so that totals stay exact */
#define WR_KC_LOST_BYTES_IN 4
#define WR_KC_DATA_IN 5 /* packets offered to the DATA ring */
#define WR_KC_DATA_LOST 6
#define WR_KC_FLOW_PACKETS 7 /* packets that the flow map counted */
#define WR_KC_FLOW_FULL 8 /* packets that found the flow map full */
#define WR_KC_FLOW_FULL_BYTES 9
#define WR_KC_NO_STORAGE 10 /* sockets without storage: allocation failed */
#define WR_KC_NO_OWNER 11 /* packets of the kernel's own sockets */
#define WR_KC_FILTERED 12 /* packets that the capture filter refused in the kernel */
#define WR_KC_BAD_PACKET 13 /* headers could not be read */
#define WR_KC_PAYLOAD_CUT 14 /* payload bytes that were not copied: beyond the burst */
#define WR_KC_DROPS 15 /* packets that the kernel dropped: sum of all entries ever made */
#define WR_KC_DROPS_FULL 16 /* ... of them those that no entry counts */
#define WR_KC_STAGE_LOST 17 /* durations that no histogram counts: too many keys */
#define WR_KC_STAGE_SEEN 18 /* packets followed */
#define WR_KC_BURST_FULL 19 /* packets of interfaces that found no entry */
#define WR_KC_SYSCALL_LOST 20 /* calls that no entry counts: too many processes */
#define WR_KC_ARP 21 /* ARP packets */
#define WR_KC_ARP_LOST 22 /* ... of them those beyond what is told a second */
#define WR_KC_UDP_UNREAD 23 /* datagrams that were not copied: nobody knows what their flow speaks, yet or ever */
#define WR_KC_N 24

/*
 * Capture filter: what the kernel can decide of an expression. All set fields must match; it may
 * let too much through (user space evaluates the whole expression), never too little.
 */
struct wr_kfilter {
	__u32 on; /* 0: copy nothing */
	__u32 snap; /* bytes of a packet to copy */
	__u32 tgid; /* 0 = any */
	__u32 proto; /* 0 = any */
	__u64 cgroup; /* 0 = any */
	__u16 port_lo, port_hi; /* of either end; hi = 0 = any */
	__u32 pad;
	__u8 addr[16]; /* either end, v4-mapped */
	__u8 mask[16];
	__u32 addr_on;
	__u32 netns;
	__u8 comm[16]; /* "" = any */
};
WR_ABI_SIZE(struct wr_kfilter, 88);

#endif
