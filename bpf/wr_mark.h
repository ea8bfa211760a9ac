/* SPDX-License-Identifier: GPL-2.0-only */
/* How the guard tells whoever sees a packet freed which rule did it: by its mark, with the number of the rule. */
#ifndef WR_MARK_H
#define WR_MARK_H

#define MARK_GUARD 0x77e00000

static __always_inline void mark_rule(struct __sk_buff *skb, __u32 rule)
{
	skb->mark = MARK_GUARD | (rule & 0xfffff);
}

/* 0: it was not the guard. */
static __always_inline __u32 marked_rule(__u32 mark)
{
	return (mark & 0xfff00000) == MARK_GUARD ? mark & 0xfffff : 0;
}

#endif
