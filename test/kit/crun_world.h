/* test/kit/crun_world.h: real containers for tests: a mount and network namespace of the test's
 * own, a runtime with a pod network, a busybox layer, and calls that wait for their answers. The
 * program is its own runtime-shim. */
#ifndef TEST_KIT_CRUN_WORLD_H
#define TEST_KIT_CRUN_WORLD_H

#include "base/arena.h"
#include "base/strbuf.h"
#include "env/env.h"
#include "kit/kit.h"
#include "net/net_pod.h"
#include "runtime/runtime_crun.h"

#define CW_UID "11111111-2222-3333-4444-555555555555"

struct cw {
    struct arena *a;
    struct env *env;
    struct runtime *rt;
    struct net_pod *net;
    struct span data, layer;
    struct runtime_crun_config config;
    /* what the last call gave */
    bool done;
    int code;
    struct span detail, ip;
    struct runtime_status status;
    /* exits seen */
    int exits;
    struct runtime_status last_exit;
    struct runtime_list_result list;
    /* session */
    struct strbuf out, err;
    bool ended;
    int exit_code;
};

/* Makes a process that outlives a failing test and ends what the test left running. */
void cw_watch_over(const struct runtime_crun_config *config);
/* Skips the test when it cannot run. Everything is ended when the test fails, too. */
struct cw *cw_new(void);
void cw_done(struct cw *w);
void cw_wait_exits(struct cw *w, int n);
void cw_wait_ms(struct cw *w, int64_t ms);
void cw_sandbox(struct cw *w);
struct runtime_container_spec cw_spec_of(struct cw *w, const char *script, uint32_t attempt);
void cw_start_spec(struct cw *w, const struct runtime_container_spec *spec);
void cw_start(struct cw *w, const char *script, uint32_t attempt);
int cw_call(struct cw *w, void (*fn)(struct runtime *, struct span, runtime_done_fn *, void *),
            const char *id);
int cw_send_signal(struct cw *w, const char *id, int signal);
void cw_list(struct cw *w);
struct span cw_log_text(struct cw *w, uint32_t attempt);
struct runtime_session *cw_session(struct cw *w, const char *id, const char *script, bool tty,
                                   bool in);
void cw_wait_ended(struct cw *w);
void cw_wait_out(struct cw *w, const char *text);
void cw_open_runtime(struct cw *w);
void cw_drain(struct cw *w);

#endif
