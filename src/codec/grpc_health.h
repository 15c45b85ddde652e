/* codec/grpc_health.h: one question of the gRPC health protocol (grpc.health.v1.Health/Check) over
 * HTTP/2 without TLS, as bytes in and bytes out. The connection is the caller's.
 *
 * Bounded: an answer longer than 64 KiB in all, or a message longer than 4 KiB, is an error. */
#ifndef CODEC_GRPC_HEALTH_H
#define CODEC_GRPC_HEALTH_H

#include "base/arena.h"
#include "base/span.h"
#include "base/strbuf.h"

struct grpc_health;

/* authority: "10.1.0.4:9000"; service: the name that is asked about, empty for the server itself.
 * Both are copied. */
struct grpc_health *grpc_health_new(struct span authority, struct span service);
void grpc_health_free(struct grpc_health *h); /* NULL is fine */
/* Appends what is to be sent now: after _new and after every _recv. */
void grpc_health_send(struct grpc_health *h, struct strbuf *out);
/* Bytes from the peer. True when the answer is complete, or can no longer come. */
bool grpc_health_recv(struct grpc_health *h, struct span bytes);
/* Serving? *ret_text: a sentence either way, as Kubernetes words it; memory from a. */
bool grpc_health_result(const struct grpc_health *h, struct arena *a, struct span *ret_text);

#endif
