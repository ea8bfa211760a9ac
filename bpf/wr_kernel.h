/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Kernel types, only the fields that are read; CO-RE finds their offsets on the running kernel.
 * `tests/bpf/kernel_types.sh` checks every one of them against /sys/kernel/btf/vmlinux.
 * A full vmlinux.h costs 0.6 s and 600 KB an object; this costs nothing that can be measured.
 */
#ifndef WR_KERNEL_H
#define WR_KERNEL_H

#define __BPF__ 1

typedef unsigned char __u8;
typedef unsigned short __u16;
typedef unsigned int __u32;
typedef unsigned long long __u64;
typedef signed char __s8;
typedef short __s16;
typedef int __s32;
typedef long long __s64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u32 __wsum;
typedef __u16 __sum16;

#define __ksym_type __attribute__((preserve_access_index))

enum { BPF_ANY = 0, BPF_NOEXIST = 1, BPF_EXIST = 2 };
enum bpf_map_type {
	BPF_MAP_TYPE_HASH = 1,
	BPF_MAP_TYPE_ARRAY = 2,
	BPF_MAP_TYPE_PERCPU_ARRAY = 6,
	BPF_MAP_TYPE_LRU_HASH = 9,
	BPF_MAP_TYPE_ARRAY_OF_MAPS = 12,
	BPF_MAP_TYPE_SK_STORAGE = 24,
	BPF_MAP_TYPE_RINGBUF = 27,
	BPF_MAP_TYPE_TASK_STORAGE = 29,
};
enum { BPF_F_INNER_MAP = 1U << 12, BPF_F_NO_PREALLOC = 1U << 0, BPF_F_CLONE = 1U << 9 };
enum { BPF_F_MMAPABLE = 1U << 10 };
enum { BPF_SK_STORAGE_GET_F_CREATE = 1U << 0, BPF_LOCAL_STORAGE_GET_F_CREATE = 1U << 0 };
enum { BPF_RB_NO_WAKEUP = 1U << 0, BPF_RB_FORCE_WAKEUP = 1U << 1 };
enum { BPF_RB_AVAIL_DATA = 0, BPF_RB_RING_SIZE = 1 };
enum { BPF_HDR_START_MAC = 0, BPF_HDR_START_NET = 1 };

#define AF_INET 2
#define AF_INET6 10
#define SOCK_STREAM 1
#define SOCK_DGRAM 2
#define SOCK_RAW 3
#define IPPROTO_ICMP 1
#define IPPROTO_TCP 6
#define IPPROTO_UDP 17
#define IPPROTO_ICMPV6 58
#define IPPROTO_UDPLITE 136
#define ETH_P_IP 0x0800
#define ETH_P_IPV6 0x86DD

enum {
	TCP_ESTABLISHED = 1,
	TCP_SYN_SENT,
	TCP_SYN_RECV,
	TCP_FIN_WAIT1,
	TCP_FIN_WAIT2,
	TCP_TIME_WAIT,
	TCP_CLOSE,
	TCP_CLOSE_WAIT,
	TCP_LAST_ACK,
	TCP_LISTEN,
	TCP_CLOSING,
	TCP_NEW_SYN_RECV,
};
enum { TCP_CA_Open = 0, TCP_CA_Disorder, TCP_CA_CWR, TCP_CA_Recovery, TCP_CA_Loss };

/* contexts: stable UAPI layouts, no relocation (include/uapi/linux/bpf.h) */
struct bpf_sock {
	__u32 bound_dev_if, family, type, protocol, mark, priority, src_ip4, src_ip6[4], src_port;
	__be16 dst_port;
	__u16 : 16;
	__u32 dst_ip4, dst_ip6[4], state;
	__s32 rx_queue_mapping;
};
struct __sk_buff {
	__u32 len, pkt_type, mark, queue_mapping, protocol, vlan_present, vlan_tci, vlan_proto,
		priority;
	__u32 ingress_ifindex, ifindex, tc_index, cb[5], hash, tc_classid, data, data_end, napi_id;
	__u32 family, remote_ip4, local_ip4, remote_ip6[4], local_ip6[4], remote_port, local_port;
	__u32 data_meta;
	__u64 flow_keys;
	__u64 tstamp;
	__u32 wire_len, gso_segs;
	struct bpf_sock *sk;
	__u32 gso_size;
	__u8 tstamp_type;
	__u32 : 24;
	__u64 hwtstamp;
};
struct bpf_sock_tuple {
	union {
		struct {
			__be32 saddr, daddr;
			__be16 sport, dport;
		} ipv4;
		struct {
			__be32 saddr[4], daddr[4];
			__be16 sport, dport;
		} ipv6;
	};
};
struct bpf_sock_addr {
	__u32 user_family, user_ip4, user_ip6[4], user_port, family, type, protocol, msg_src_ip4;
	__u32 msg_src_ip6[4];
	struct bpf_sock *sk;
};

struct bpf_sock_ops {
	__u32 op, args[4];
	__u32 family, remote_ip4, local_ip4, remote_ip6[4], local_ip6[4], remote_port, local_port;
	__u32 is_fullsock, snd_cwnd, srtt_us, bpf_sock_ops_cb_flags, state, rtt_min, snd_ssthresh;
	__u32 rcv_nxt, snd_nxt, snd_una, mss_cache, ecn_flags, rate_delivered, rate_interval_us;
	__u32 packets_out, retrans_out, total_retrans, segs_in, data_segs_in, segs_out;
	__u32 data_segs_out, lost_out, sacked_out, sk_txhash;
	__u64 bytes_received, bytes_acked;
	struct bpf_sock *sk;
};
enum {
	BPF_SOCK_OPS_TCP_CONNECT_CB = 3,
	BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB = 5,
	BPF_SOCK_OPS_STATE_CB = 10,
	BPF_SOCK_OPS_TCP_LISTEN_CB = 11,
};
#define BPF_SOCK_OPS_STATE_CB_FLAG 4

struct in6_addr {
	__u8 b[16];
};
struct ns_common {
	unsigned int inum;
} __ksym_type;
struct net {
	struct ns_common ns;
} __ksym_type;
typedef struct {
	struct net *net;
} __ksym_type possible_net_t;
struct hlist_node {
	struct hlist_node *next;
};
typedef struct {
	__s64 counter;
} __ksym_type atomic64_t;
struct sock_common {
	__be32 skc_daddr;
	__be32 skc_rcv_saddr;
	__be16 skc_dport;
	__u16 skc_num;
	unsigned short skc_family;
	volatile unsigned char skc_state;
	unsigned long skc_flags;
	possible_net_t skc_net;
	struct in6_addr skc_v6_daddr;
	struct in6_addr skc_v6_rcv_saddr;
	atomic64_t skc_cookie;
} __ksym_type;
typedef struct {
	int owned;
} __ksym_type socket_lock_t;
struct list_head {
	struct list_head *next;
} __ksym_type;
struct wait_queue_head {
	struct list_head head;
} __ksym_type;
typedef struct wait_queue_head wait_queue_head_t;
struct socket_wq {
	wait_queue_head_t wait;
} __ksym_type;
struct sock {
	struct sock_common __sk_common;
	struct socket_wq *sk_wq;
	socket_lock_t sk_lock;
	int sk_err;
	__u16 sk_type;
	__u16 sk_protocol;
	__u32 sk_ack_backlog;
	__u32 sk_max_ack_backlog;
	int sk_wmem_queued;
} __ksym_type;
struct inet_sock {
	__be16 inet_sport;
} __ksym_type;
struct inet_connection_sock {
	struct inet_sock icsk_inet;
	__u32 icsk_pmtu_cookie;
	__u8 icsk_ca_state : 5;
} __ksym_type;
struct minmax_sample {
	__u32 t, v;
} __ksym_type;
struct minmax {
	struct minmax_sample s[3];
} __ksym_type;
struct tcp_sock {
	struct inet_connection_sock inet_conn;
	__u32 segs_in, segs_out, data_segs_in;
	__u64 bytes_received, bytes_acked, bytes_sent;
	__u32 rcv_nxt, copied_seq, snd_una, snd_nxt, write_seq;
	__u32 snd_cwnd, mss_cache;
	__u32 srtt_us, mdev_us, rttvar_us;
	struct minmax rtt_min;
	__u32 rcv_tstamp;
	__u32 total_retrans, rcv_ooopack, dsack_dups, packets_out;
	__u32 chrono_stat[3], chrono_start;
	__u8 chrono_type : 2;
	__u8 bpf_sock_ops_cb_flags;
} __ksym_type;
struct net_device {
	char name[16];
	int ifindex;
	possible_net_t nd_net;
} __ksym_type;
struct sk_buff {
	struct net_device *dev;
	struct sock *sk;
	unsigned char *head;
	unsigned char *data;
	__u32 mark;
	unsigned int len, data_len;
	int skb_iif;
	__u64 skb_mstamp_ns;
	__u8 tstamp_type : 2;
	__be16 protocol;
	__u16 mac_header;
	__u16 network_header;
	__u16 transport_header;
	unsigned int tail, end;
} __ksym_type;
struct flowi_common {
	int flowic_oif, flowic_iif;
	__u8 flowic_proto;
} __ksym_type;
struct flowi4 {
	struct flowi_common __fl_common;
	__be32 saddr, daddr;
} __ksym_type;
struct flowi6 {
	struct flowi_common __fl_common;
	struct in6_addr daddr, saddr;
} __ksym_type;
struct fib_nh_common {
	struct net_device *nhc_dev;
	__u8 nhc_gw_family;
	union {
		__be32 ipv4;
		struct in6_addr ipv6;
	} nhc_gw;
} __ksym_type;
struct fib6_nh {
	struct fib_nh_common nh_common;
} __ksym_type;
struct fib6_result {
	struct fib6_nh *nh;
} __ksym_type;
struct fib6_table {
	__u32 tb6_id;
} __ksym_type;
struct skb_shared_info {
	unsigned short gso_segs;
} __ksym_type;
struct inode {
	unsigned short i_mode;
} __ksym_type;
struct file {
	void *private_data;
	struct inode *f_inode;
} __ksym_type;
struct fdtable {
	unsigned int max_fds;
	struct file **fd;
} __ksym_type;
struct files_struct {
	struct fdtable *fdt;
} __ksym_type;
struct cgroup_subsys_state {
	int id;
} __ksym_type;
struct kernfs_node {
	__u64 id;
} __ksym_type;
struct cgroup_root {
	int hierarchy_id;
} __ksym_type;
struct cgroup {
	struct kernfs_node *kn;
	struct cgroup_root *root;
} __ksym_type;
struct css_set {
	struct cgroup *dfl_cgrp;
} __ksym_type;
struct nsproxy {
	struct net *net_ns;
} __ksym_type;
typedef struct {
	unsigned int val;
} __ksym_type kuid_t;
struct cred {
	kuid_t uid;
} __ksym_type;
struct task_struct {
	unsigned int flags;
	int pid, tgid;
	__u64 start_boottime; /* since 5.5, before: real_start_time (cf25e24db61c) */
	struct task_struct *group_leader;
	struct task_struct *real_parent;
	const struct cred *cred;
	struct css_set *cgroups;
	struct files_struct *files;
	struct nsproxy *nsproxy;
	char comm[16];
} __ksym_type;
struct linux_binprm {
	const char *filename;
} __ksym_type;
struct seq_file {
	void *private;
} __ksym_type;
struct bpf_iter_meta {
	struct seq_file *seq;
	__u64 session_id;
	__u64 seq_num;
} __ksym_type;
struct bpf_iter__task_file {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
	__u32 fd;
	struct file *file;
} __ksym_type;
struct bpf_map;
struct bpf_iter__bpf_sk_storage_map {
	struct bpf_iter_meta *meta;
	struct bpf_map *map;
	struct sock *sk;
	void *value;
} __ksym_type;
struct socket {
	struct sock *sk;
} __ksym_type;

#endif
