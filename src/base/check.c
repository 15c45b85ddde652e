#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"

void check_failed(const char *what, const char *file, int line, const char *func)
{
    static const char intro[] = "last events before the failed assertion:\n";
    (void)!write(2, intro, sizeof intro - 1);
    log_dump_ring(2);
    (void)fprintf(stderr, "%s:%d: %s: assertion failed: %s\n", file, line, func, what);
    abort();
}

bool check_never(const char *what, const char *file, int line, const char *func)
{
    log_event(LOG_ERROR, "never_happened", LOG_C("what", what), LOG_C("file", file),
              LOG_I("line", line), LOG_C("func", func));
    return true;
}
