/* berth stop: asks the running server; when none runs, takes away what it left behind. */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "main/control.h"
#include "main/data_dir.h"
#include "main/main.h"
#include "main/options.h"
#include "main/server.h"

struct progress {
    bool stopped; /* the server said its last word */
};

static void on_line(void *data, struct span line)
{
    struct progress *p = data;
    (void)printf("%.*s\n", SPAN_ARG(line));
    (void)fflush(stdout);
    p->stopped |= span_eq(line, SPAN("stopped"));
}

/* The lock is free once the process is gone. */
static int wait_for_lock(struct arena *a, struct span data_dir)
{
    enum { TRIES = 200, WAIT_MS = 10 };
    struct span why;
    for (int i = 0; i < TRIES; i++) {
        int fd = data_dir_lock(a, data_dir, &why);
        if (fd >= 0) {
            (void)close(fd);
            return 0;
        }
        (void)poll(NULL, 0, WAIT_MS);
    }
    return -1;
}

static int purge(struct arena *a, const struct options *o)
{
    struct span why = SPAN_NULL;
    if (access(o->data_dir.p, F_OK) != 0) {
        (void)fprintf(stderr, "berth stop: there is no data directory %.*s\n",
                      SPAN_ARG(o->data_dir));
        return 1;
    }
    int lock = data_dir_lock(a, o->data_dir, &why);
    if (lock < 0) {
        (void)fprintf(stderr, "berth stop: %.*s\n", SPAN_ARG(why));
        return 1;
    }
    struct span taken = SPAN_NULL;
    bool ours = server_node_claim(a, o, &taken) == 0;
    int code = server_node_purge(a, o, ours, &why);
    (void)close(lock);
    if (code < 0) {
        (void)fprintf(stderr, "berth stop: not everything could be removed: %.*s\n",
                      SPAN_ARG(why.n ? why : span_cstr(code_text(code))));
        return 1;
    }
    (void)printf("no server was running; its pods, %s are removed\n",
                 ours ? "network and mounts" : "namespaces and mounts");
    if (!ours) {
        (void)printf("the network stays: %.*s\n", SPAN_ARG(taken));
    }
    return 0;
}

int cmd_stop(int argc, char **argv)
{
    struct arena *a cleanup_arena = arena_new();
    struct options o;
    int code = options_parse(a, OPTIONS_COMMON | OPTIONS_STOP, "stop", argc, argv, &o);
    if (code != 0) {
        return code < 0 ? 2 : 0;
    }
    struct span why = SPAN_NULL;
    struct progress p = {false};
    const char *path =
        o.grace_period_s
            ? arena_printf(a, CONTROL_STOP "?" CONTROL_STOP_GRACE "=%" PRId64, o.grace_period_s).p
            : CONTROL_STOP;
    code = control_post_lines(a, o.data_dir, path, on_line, &p, &why);
    if (code == -ECONNREFUSED) {
        return purge(a, &o);
    }
    if (code < 0) {
        (void)fprintf(stderr, "berth stop: %.*s\n", SPAN_ARG(why));
        return 1;
    }
    if (wait_for_lock(a, o.data_dir) < 0) {
        (void)fprintf(stderr, "berth stop: the server still runs\n");
        return 1;
    }
    return p.stopped ? 0 : 1;
}
