/* remote/remote_forward_conn.c: one connection of a port-forward: a pair of the client's streams
 * on one side, a node's session on the other.
 *
 *   one stream open -> both: dial -> node's on_end -> last bytes sent -> freed */
#include <stdlib.h>

#include "base/check.h"
#include "base/mem.h"
#include "remote/remote_forward_priv.h"

/* ---- to the client ---- */

static void send_some(struct forward *f, struct forward_stream *s, bool fin, struct span bytes)
{
    spdy_put_data(f->out, s->id, fin, bytes);
    s->window -= (int64_t)bytes.n;
    f->window_all -= (int64_t)bytes.n;
    s->fin_sent = s->fin_sent || fin;
}

/* Sends of what is held as much as the windows allow. */
static void pump(struct forward *f, struct forward_stream *s)
{
    int64_t room = s->window < f->window_all ? s->window : f->window_all;
    size_t most = !f->has_windows ? s->held.n : room > 0 ? (size_t)room : 0;
    struct span bytes = span_first(strbuf_span(&s->held), most);
    bool fin = s->fin && !s->fin_sent && bytes.n == s->held.n;
    if (s->id && !s->is_reset && (bytes.n || fin)) {
        send_some(f, s, fin, bytes);
        strbuf_consume(&s->held, bytes.n);
    }
}

static void put(struct forward *f, struct forward_stream *s, bool fin, struct span bytes)
{
    assert(!s->fin);
    if (s->is_reset || s->id == 0) {
        return;
    }
    s->fin = fin;
    if (!f->has_windows) {
        assert(s->held.n == 0);
        send_some(f, s, fin, bytes);
        return;
    }
    strbuf_put(&s->held, bytes);
    pump(f, s);
}

/* ---- life of a connection ---- */

void forward_conn_free(struct forward_conn *c)
{
    struct forward *f = c->f;
    assert(f->conn_count > 0);
    env_timer_stop(f->l.hub->env, &c->timer);
    if (c->session) {
        f->l.hub->node->ops->abort(TAKE_PTR(c->session));
    }
    list_remove(&c->link);
    f->conn_count--;
    strbuf_done(&c->early);
    for (int i = 0; i < FORWARD_KINDS; i++) {
        strbuf_done(&c->s[i].held);
    }
    free(c);
}

static bool stream_done(const struct forward_stream *s)
{
    return s->id == 0 || s->is_reset || s->fin_sent;
}

/* Freed when the pod has ended it and the client has been told. */
static void conn_settle(struct forward_conn *c)
{
    if (c->is_over && stream_done(&c->s[FORWARD_ERROR]) && stream_done(&c->s[FORWARD_DATA])) {
        forward_conn_free(c);
    }
}

/* Both streams end, the error stream with this message. Nothing may use c afterwards. */
static void conn_end(struct forward_conn *c, struct span message)
{
    struct forward *f = c->f;
    assert(!c->is_over);
    c->is_over = true;
    env_timer_stop(f->l.hub->env, &c->timer);
    strbuf_done(&c->early);
    put(f, &c->s[FORWARD_ERROR], true, message);
    put(f, &c->s[FORWARD_DATA], true, SPAN_NULL);
    conn_settle(c);
}

/* ---- back-pressure ---- */

static size_t waiting(const struct forward_conn *c)
{
    return env_stream_queued(c->f->l.stream) + c->s[FORWARD_DATA].held.n;
}

static void resume_conn(struct forward_conn *c)
{
    if (c->paused && c->session && waiting(c) <= LIMIT_REMOTE_QUEUE_BYTES) {
        c->paused = false;
        c->f->l.hub->node->ops->pause(c->session, false);
    }
}

bool forward_conn_is_stuck(const struct forward_conn *c)
{
    assert(c->f);
    return c->session && c->f->l.hub->node->ops->queued(c->session) > LIMIT_REMOTE_QUEUE_BYTES;
}

void forward_conn_room(struct forward_conn *c)
{
    struct forward *f = c->f;
    assert(c->f);
    pump(f, &c->s[FORWARD_ERROR]);
    pump(f, &c->s[FORWARD_DATA]);
    resume_conn(c);
    conn_settle(c);
}

/* ---- from the node ---- */

static void on_output(void *data, int fd, struct span bytes)
{
    struct forward_conn *c = data;
    struct forward *f = c->f;
    assert(fd == 1);
    assert(!c->is_over);
    put(f, &c->s[FORWARD_DATA], false, bytes);
    remote_link_flush(&f->l);
    if (!c->paused && waiting(c) > LIMIT_REMOTE_QUEUE_BYTES) {
        c->paused = true;
        f->l.hub->node->ops->pause(c->session, true);
    }
}

static void on_session_end(void *data, int exit_code, const struct err *err)
{
    struct forward_conn *c = data;
    struct forward *f = c->f;
    (void)exit_code;
    assert(c->session);
    assert(!c->is_over);
    c->session = NULL;
    conn_end(c, err ? err->message : SPAN_NULL);
    remote_link_flush(&f->l);
    remote_link_look(&f->l);
}

static void on_session_drain(void *data)
{
    struct forward_conn *c = data;
    if (c->f->l.client_paused) {
        remote_link_look(&c->f->l);
    }
}

static const struct node_session_handler session_handler = {on_output, on_session_end,
                                                            on_session_drain};

/* ---- from the client ---- */

static void on_lonely(struct env_timer *timer)
{
    struct forward_conn *c = CONTAINER_OF(timer, struct forward_conn, timer);
    struct forward *f = c->f;
    conn_end(c, SPAN("the other stream of this connection was not opened"));
    remote_link_flush(&f->l);
}

struct forward_conn *forward_conn_get(struct forward *f, struct span request_id)
{
    LIST_EACH(link, &f->conns)
    {
        struct forward_conn *c = CONTAINER_OF(link, struct forward_conn, link);
        if (!c->is_over && span_eq(span_of(c->request_id, c->request_id_n), request_id)) {
            return c;
        }
    }
    assert(request_id.n > 0);
    assert(request_id.n <= LIMIT_FORWARD_ID_BYTES);
    assert(f->conn_count <= LIMIT_FORWARD_CONNECTIONS);
    if (f->conn_count == LIMIT_FORWARD_CONNECTIONS) {
        return NULL;
    }
    struct forward_conn *c = MEM_NEW(struct forward_conn);
    c->f = f;
    memcpy(c->request_id, request_id.p, request_id.n);
    c->request_id_n = request_id.n;
    for (int i = 0; i < FORWARD_KINDS; i++) {
        c->s[i].window = SPDY_WINDOW_BYTES;
    }
    list_push_back(&f->conns, &c->link);
    f->conn_count++;
    env_timer_start(f->l.hub->env, &c->timer, LIMIT_REMOTE_SETUP_MS, on_lonely);
    return c;
}

void forward_conn_dial(struct forward_conn *c)
{
    struct forward *f = c->f;
    struct node_api *n = f->l.hub->node;
    const struct node_dial_request request = {.ns = f->l.ns, .pod = f->l.pod, .port = c->port};
    assert(!c->session);
    assert(c->port > 0);
    env_timer_stop(f->l.hub->env, &c->timer);
    c->session = n->ops->dial(n, &request, &session_handler, c);
    assert(c->session);
    if (c->early.n) {
        n->ops->write(c->session, strbuf_span(&c->early));
        strbuf_done(&c->early);
    }
    if (c->in_ended) {
        n->ops->close_stdin(c->session);
    }
}

struct forward_conn *forward_conn_of(struct forward *f, uint32_t id, enum forward_kind *ret)
{
    assert(ret);
    LIST_EACH(link, &f->conns)
    {
        struct forward_conn *c = CONTAINER_OF(link, struct forward_conn, link);
        for (int i = 0; i < FORWARD_KINDS; i++) {
            if (id && c->s[i].id == id) {
                *ret = (enum forward_kind)i;
                return c;
            }
        }
    }
    return NULL;
}

void forward_conn_in_end(struct forward_conn *c)
{
    assert(c->f);
    if (!c->in_ended && !c->is_over) {
        c->in_ended = true;
        if (c->session) {
            c->f->l.hub->node->ops->close_stdin(c->session);
        }
    }
}

void forward_conn_take(struct forward_conn *c, struct span bytes)
{
    assert(bytes.p || bytes.n == 0);
    struct forward *f = c->f;
    if (c->in_ended || c->is_over || bytes.n == 0) {
        return;
    }
    if (c->session) {
        f->l.hub->node->ops->write(c->session, bytes);
        return;
    }
    strbuf_put(&c->early, bytes);
    if (c->early.n > LIMIT_REMOTE_QUEUE_BYTES) {
        conn_end(c, SPAN("too much data before the error stream was opened"));
    }
}

void forward_conn_reset(struct forward_conn *c, enum forward_kind kind)
{
    assert(kind < FORWARD_KINDS);
    c->s[kind].is_reset = true;
    strbuf_done(&c->s[kind].held);
    if (kind == FORWARD_DATA && !c->is_over) {
        if (c->session) {
            c->f->l.hub->node->ops->abort(TAKE_PTR(c->session));
        }
        conn_end(c, SPAN_NULL);
        return;
    }
    conn_settle(c);
}
