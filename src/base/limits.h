/* SPDX-License-Identifier: Apache-2.0 */
/* Every ceiling of the program in one place. What happens when it is reached stands beside it. */
#ifndef WR_LIMITS_H
#define WR_LIMITS_H

#define WR_MAX_CONNS (1u << 20) /* live connections; more: counted as loss "conn_table_full" */
#define WR_MAX_FLOWS_KEYS (1u << 18) /* rows of one grouping; more: summed into the row "(other)" */
#define WR_MAX_RED 8192 /* rows of requests summed by keys; more: summed into the row "(other)" */
#define WR_MAX_PROCS (1u << 16) /* process cache; more: the least recently used goes */
#define WR_MAX_NAMES (1u << 14) /* addresses whose names are known; more: the one named longest ago goes */
#define WR_MAX_CGROUPS (1u << 14) /* cgroup cache; more: those without a process go */
#define WR_MAX_STRINGS (16u << 20) /* bytes of interned strings; more: "" */
#define WR_MAX_EXPR 4096 /* bytes of a filter expression; more: refused */
#define WR_MAX_NODES 512 /* nodes of a filter expression; more: refused */
#define WR_MAX_LINE 65536 /* bytes of one record as JSON; more: cut */
#define WR_MAX_OUTPUT                                                                              \
	(32u << 20) /* bytes waiting for a slow reader of a view; more: dropped, counted */
#define WR_MAX_FRAME 16384 /* bytes of one record on the agent's socket; more: refused */
#define WR_MAX_CLIENTS 64 /* clients of the agent; more: refused with a message */
#define WR_MAX_CLIENT_QUEUE                                                                        \
	(4u << 20) /* bytes waiting for a client; more: records dropped, counted */
#define WR_MAX_PACKET (256u << 10) /* bytes of a packet in a capture; more: the file is corrupt */
#define WR_MAX_BLOCK (16u << 20) /* bytes of a pcapng block; more: the file is corrupt */
#define WR_MAX_INTERFACES 1024 /* interfaces of a pcapng section; more: refused */
#define WR_MAX_TUNNELS 8 /* nested tunnels of a packet; more: the rest is payload */
#define WR_MAX_FRAGS 4096 /* fragmented datagrams remembered; more: one that is not complete goes */
#define WR_MAX_FRAG_BYTES (16u << 20) /* bytes of their fragments; more: not put together */
#define WR_MAX_SESSIONS (1u << 17) /* connections whose bytes are read at once; more: counted, not read */
#define WR_MAX_REQUESTS (1u << 15) /* requests under way at once; more: counted, not reported */
#define WR_MAX_PENDING 1024 /* ... of one connection; more: the oldest is reported without an answer */
#define WR_MAX_MESSAGE (256u << 10) /* bytes kept of a message that is not complete; more: a gap */
#define WR_MAX_BUFFERED (64u << 20) /* ... of all connections; more: gaps */
#define WR_MAX_INFLATING 256 /* compressed bodies read at once (40 KiB each); more: not read */
#define WR_MAX_SEGMENTS 64 /* segments of a direction that came too early; more: the hole is a gap */
#define WR_MAX_CONFIG (1u << 20) /* bytes of a configuration file; more: refused */
#define WR_MAX_STORE_RECORDS 8192 /* records of a stored block; more: the next one begins */
#define WR_MAX_STORE_BYTES (2u << 20) /* ... and its bytes before compression */
#define WR_MAX_STORE_QUEUE (16u << 20) /* bytes waiting for the store; more: dropped, counted */
#define WR_MAX_STORE_FILES 1024 /* files of a store that are looked at; more: the oldest are not */
#define WR_MAX_TRAFFIC 4096 /* rows of a window of traffic; more: summed into "(other)" */
#define WR_MAX_IFACES 256 /* interfaces shown; more: not shown */

#endif
