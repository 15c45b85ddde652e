/* codec/status.h: the one place where errors become Status JSON (metav1.Status). */
#ifndef CODEC_STATUS_H
#define CODEC_STATUS_H

#include "base/arena.h"
#include "base/err.h"

/* A Failure Status. e->reason is not ERR_NONE. */
struct span status_json(struct arena *a, const struct err *e);

/* How a remote command ended: Success for 0, else reason NonZeroExitCode with the cause ExitCode.
 */
struct span status_exit_json(struct arena *a, int exit_code);

#endif
