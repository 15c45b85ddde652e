/* apiserver/status.h: the one place where errors become HTTP codes and Status JSON (metav1.Status).
 */
#ifndef APISERVER_STATUS_H
#define APISERVER_STATUS_H

#include "base/arena.h"
#include "base/err.h"
#include "http/http.h"

/* Answers with the error's HTTP code and its Status; Retry-After when the error says so. The
 * exchange is used up. */
void status_reply(struct http_exchange *x, const struct err *e);

/* A Failure Status. e->reason is not ERR_NONE. */
struct span status_json(struct arena *a, const struct err *e);

/* How a remote command ended: Success for 0, else reason NonZeroExitCode with the cause ExitCode.
 */
struct span status_exit_json(struct arena *a, int exit_code);

#endif
