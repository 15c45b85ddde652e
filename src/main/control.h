/* main/control.h: talking to the running server through the socket in its data directory, for the
 * short-lived subcommands. */
#ifndef MAIN_CONTROL_H
#define MAIN_CONTROL_H

#include <yyjson.h>

#include "base/arena.h"
#include "base/span.h"

/* Name of the socket within the data directory. */
#define CONTROL_SOCKET "berth.sock"
/* POST: ends everything; this parameter: in so many seconds a pod at most. */
#define CONTROL_STOP "/berth/stop"
#define CONTROL_STOP_GRACE "gracePeriodSeconds"

/* GETs a path; *ret belongs to the arena. 0; -ECONNREFUSED when no server listens; -EACCES
 * when this user may not ask it; -EIO; each with a sentence. */
int control_get(struct arena *a, struct span data_dir, const char *path, yyjson_doc **ret,
                struct span *detail);
/* POSTs to a path and hands every line of the answer to on_line as it comes. Same codes. */
int control_post_lines(struct arena *a, struct span data_dir, const char *path,
                       void (*on_line)(void *data, struct span line), void *data,
                       struct span *detail);

#endif
