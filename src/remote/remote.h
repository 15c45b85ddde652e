/* remote/remote.h: logs, exec, attach and port-forward of a pod: a client's connection on one
 * side, a node's session on the other.
 *
 * The router has checked the pod and chosen the container; everything else is here: query,
 * negotiation of WebSocket (v5, v4 and the first channel.k8s.io) or SPDY/3.1 (v4 to v1), channels,
 * exit status, back-pressure both ways, clients and nodes that go away. What fails before the
 * upgrade is answered as a Status, what fails later on the error channel. */
#ifndef REMOTE_REMOTE_H
#define REMOTE_REMOTE_H

#include "client/node_api.h"
#include "env/env.h"
#include "http/http.h"

/* How an error is answered, in the form that the client wants. The exchange is used up. */
typedef void remote_refuse_fn(struct http_exchange *x, const struct err *e);

/* All sessions of one server. node may be NULL: everything is refused with ERR_UNAVAILABLE. */
struct remote_hub;
struct remote_hub *remote_hub_new(struct env *env, struct node_api *node, remote_refuse_fn *refuse);
/* Aborts what is still open. NULL is fine. */
void remote_hub_free(struct remote_hub *h);
size_t remote_hub_open(const struct remote_hub *h); /* sessions; for tests */

/* Fills command, container, tty and with_* from the query (not ns and pod); memory is the
 * exchange's arena. with_command false: attach, which has none. Returns 0, or -1 with *reterr. */
int remote_exec_parse(struct http_exchange *x, bool with_command, struct node_exec_request *ret,
                      struct err *reterr);
/* Takes the exchange over. request is copied. */
void remote_exec(struct remote_hub *h, struct http_exchange *x,
                 const struct node_exec_request *request);

/* The same for GET pods/log: container, follow, previous, tailLines, sinceSeconds, sinceTime,
 * timestamps, limitBytes. ret->pod is set; it is named in errors. */
int remote_logs_parse(struct env *env, struct http_exchange *x, struct node_log_request *ret,
                      struct err *reterr);
void remote_logs(struct remote_hub *h, struct http_exchange *x,
                 const struct node_log_request *request);

/* Port forwarding to a pod, over SPDY/3.1, a WebSocket that carries the same SPDY bytes, or one of
 * channels (v4.channel.k8s.io). Takes the exchange over; the spans are copied. */
void remote_forward(struct remote_hub *h, struct http_exchange *x, struct span ns, struct span pod);

/* The client asks for a WebSocket. */
bool remote_ws_wanted(struct http_exchange *x);
/* Checks the request for a WebSocket (RFC 6455, 4.2) and adds the headers of the reply, with this
 * subprotocol, which may be empty; NULL (none is common): checks only. http_upgrade is then the
 * caller's. */
int remote_ws_accept(struct http_exchange *x, const char *protocol, struct err *reterr);

#endif
