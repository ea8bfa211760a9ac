/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Gateways: an incoming HTTP request joined to the call that the same process made for it. Joined by a trace
 * id that both carry, else by the same path, else because only one fits in time; where several would fit
 * nothing is joined.
 */
#ifndef WR_GATEWAY_H
#define WR_GATEWAY_H

#include "../event/event.h"

struct wr_gateway;

struct wr_gateway *wr_gateway_new(void); /* NULL: no memory */
void wr_gateway_free(struct wr_gateway *g);
/*
 * A request that is complete. @client, @server: the processes of its ends on this host, 0 = not here. A call of
 * @client is remembered; into a request that @server answered what it called for it is filled (up_*). The texts
 * that it sets live until the next call.
 */
void wr_gateway_request(
	struct wr_gateway *g, struct wr_ev_request *r, uint32_t client, uint32_t server);

#endif
