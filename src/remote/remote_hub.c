/* All sessions of one server, whatever they are, and how exec and attach begin. */
#include <stdlib.h>

#include "base/check.h"
#include "base/mem.h"
#include "remote/remote_priv.h"
#include "remote/remote_proxy.h"

struct remote_hub *remote_hub_new(struct env *env, struct node_api *node, remote_refuse_fn *refuse)
{
    assert(env);
    assert(refuse);
    struct remote_hub *h = MEM_NEW(struct remote_hub);
    h->env = env;
    h->node = node;
    h->refuse = refuse;
    list_init(&h->sessions);
    list_init(&h->proxies);
    list_init(&h->logs);
    list_init(&h->links);
    return h;
}

void remote_hub_free(struct remote_hub *h)
{
    if (!h) {
        return;
    }
    remote_proxies_end_all(h);
    remote_sessions_end_all(h);
    remote_logs_end_all(h);
    remote_links_end_all(h);
    assert(list_is_empty(&h->sessions));
    assert(list_is_empty(&h->logs));
    assert(list_is_empty(&h->links));
    assert(h->open == 0);
    free(h);
}

size_t remote_hub_open(const struct remote_hub *h)
{
    assert(h);
    return h->open;
}

/* ---- exec and attach ---- */

int remote_exec_parse(struct http_exchange *x, bool with_command, struct node_exec_request *ret,
                      struct err *reterr)
{
    assert(ret);
    struct arena *a = http_arena(x);
    struct span key, value;
    size_t at = 0, count = 0;
    *ret = (struct node_exec_request){0};
    while (http_query_next(x, &at, &key, &value)) {
        count += span_eq_cstr(key, "command");
    }
    struct span *command = ARENA_ARRAY(a, struct span, count + 1);
    for (at = 0; http_query_next(x, &at, &key, &value);) {
        if (span_eq_cstr(key, "command")) {
            command[ret->command_count++] = value;
        } else if (span_eq_cstr(key, "container")) {
            ret->container = value;
        } else if (span_eq_cstr(key, "tty")) {
            ret->tty = http_query_true(value);
        } else if (span_eq_cstr(key, "stdin")) {
            ret->with_stdin = http_query_true(value);
        } else if (span_eq_cstr(key, "stdout")) {
            ret->with_stdout = http_query_true(value);
        } else if (span_eq_cstr(key, "stderr")) {
            ret->with_stderr = http_query_true(value);
        }
    }
    ret->command = command;
    assert(ret->command_count == count);
    if (with_command && ret->command_count == 0) {
        return err_set(a, reterr, ERR_BAD_REQUEST,
                       "you must specify at least one command for the container");
    }
    if (!with_command) {
        ret->command_count = 0;
    }
    if (!ret->with_stdin && !ret->with_stdout && !ret->with_stderr) {
        return err_set(a, reterr, ERR_BAD_REQUEST,
                       "you must specify at least 1 of stdin, stdout, stderr");
    }
    if (ret->tty && ret->with_stderr) {
        ret->with_stderr = false; /* a terminal has one output; old clients ask for both */
    }
    return 0;
}

void remote_exec(struct remote_hub *h, struct http_exchange *x,
                 const struct node_exec_request *request)
{
    assert(x);
    assert(request);
    struct err err;
    struct arena *a = http_arena(x);
    if (!h->node) {
        err_set(a, &err, ERR_UNAVAILABLE, "this server has no node agent");
        h->refuse(x, &err);
        return;
    }
    bool ws = remote_ws_wanted(x);
    if (!ws && !remote_spdy_wanted(x)) {
        err_set(a, &err, ERR_BAD_REQUEST, "Upgrade request required: WebSocket or SPDY/3.1");
        h->refuse(x, &err);
        return;
    }
    struct remote *r = remote_new(h, request);
    if ((ws ? remote_ws_begin : remote_spdy_begin)(r, x, &err) < 0) {
        h->refuse(x, &err);
        remote_free(r);
        return;
    }
    remote_attach(r, http_upgrade(x));
    if (ws) {
        remote_start(r); /* its channels exist from the start */
    }
}
