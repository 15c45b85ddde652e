/* os/os_run.h: a program's output, for the few questions that only a program answers (its version).
 * [blocking] */
#ifndef OS_OS_RUN_H
#define OS_OS_RUN_H

#include "base/arena.h"
#include "base/span.h"

/* Runs argv (argv[0] searched in PATH) with no input and the caller's environment, and collects at
 * most max bytes of its standard output; standard error is dropped. 0 when it exits with 0; -EIO
 * for another end; E_LIMIT. */
int os_run_output(struct arena *a, const char *const *argv, size_t max, struct span *ret);

#endif
