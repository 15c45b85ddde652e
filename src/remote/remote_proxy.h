/* remote/remote_proxy.h: a request that goes on to a server of the cluster. Whoever calls has
 * found the address and may be trusted with it. */
#ifndef REMOTE_REMOTE_PROXY_H
#define REMOTE_REMOTE_PROXY_H

#include "remote/remote.h"

/* Where a proxied request goes. Spans are copied. */
struct remote_proxy_target {
    struct span host; /* an address */
    uint16_t port;
    struct span path;   /* with its query, as it is to be sent */
    struct span prefix; /* of our own path: stands before redirections of the server */
};
/* Takes the exchange over: sends its method, headers and body on, and the reply back. */
void remote_proxy(struct remote_hub *h, struct http_exchange *x,
                  const struct remote_proxy_target *target);

/* For remote_hub_free(). */
void remote_proxies_end_all(struct remote_hub *h);

#endif
