/* front/front.h: the Kubernetes API over HTTP: exchanges (TLS for clients, the plain control socket
 * for `berth status`) become operations of the API server (apiserver/op.h), and their results bytes
 * as the client wants them. What only the wire knows lives here: paths, media types, who asks,
 * watches as streams, metrics, logs and exec by way of nodes. */
#ifndef FRONT_FRONT_H
#define FRONT_FRONT_H

#include "apiserver/apiserver.h"
#include "base/strbuf.h"
#include "http/http.h"

struct front_end;
struct node_api;

/* Borrows the server and node, which may be NULL: pod logs and exec answer 503. */
struct front_end *front_end_new(struct apiserver *s, struct node_api *node);
/* Ends what streams. After the HTTP servers that it answers for, before the API server. */
void front_end_free(struct front_end *e);
/* For http_server_new(env, front_end_http(), front_end). */
const struct http_handler *front_end_http(void);
/* put(data, out) appends to /metrics what others in the process have to say. */
void front_end_set_metrics(struct front_end *e, void (*put)(void *data, struct strbuf *out),
                           void *data);
/* Further paths on the control socket ("/berth/..."), answered by main/. Returns false when it does
 * not know the path. */
void front_end_set_control(struct front_end *e, bool (*handle)(void *data, struct http_exchange *x),
                           void *data);

#endif
