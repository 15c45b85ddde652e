#include "apiserver/local_client.h"

#include "apiserver/definitions.h"
#include "apiserver/op.h"
#include "base/check.h"
#include "base/mem.h"
#include "codec/json_share.h"
#include "schema/custom.h"

struct local_client {
    struct client base;
    struct apiserver *server;
    struct list pending; /* local_request.link */
};

/* One request; lives until its operation is done, even when nobody waits for the reply any more. */
struct local_request {
    struct list link;
    struct arena *arena;
    struct span body;
    client_reply_fn *fn; /* NULL: cancelled, or fire and forget */
    void *data;
    struct env_task task;
    struct api_op op;
};

struct apiserver *local_client_server(struct client *c)
{
    assert(c);
    return ((struct local_client *)c)->server;
}

static void finish(struct local_request *r)
{
    list_remove(&r->link);
    api_op_release(&r->op);
    arena_free(r->arena); /* r is in it */
}

static void on_done(struct api_op *op)
{
    struct local_request *r = CONTAINER_OF(op, struct local_request, op);
    struct client_reply reply = {.err = op->err};
    struct object *made = NULL;
    if (op->err.reason == ERR_NONE) {
        reply.rev = op->rev;
        reply.items = op->items;
        reply.item_count = op->item_count;
        reply.object = op->object;
        /* A Scale or a TokenRequest has no stored version: it is made here, under the key of what
         * it is about. */
        if (op->tree && (api_sub_is(op, "scale") || api_sub_is(op, "token"))) {
            made = object_new(op->key, op->rev > 0 ? op->rev : 1, json_write(op->arena, op->tree));
            reply.object = made;
        } else if (op->tree) {
            reply.object = NULL;
        }
        if (reply.object && !reply.rev) {
            reply.rev = object_rev(reply.object);
        }
    }
    if (r->fn) {
        r->fn(r->data, &reply);
    }
    object_unref(made);
    finish(r);
}

static int parse_body(struct local_request *r)
{
    yyjson_doc *doc = NULL;
    if (r->body.n == 0) {
        return 0;
    }
    if (json_parse(r->arena, r->body, &doc, &r->op.err)) {
        return -1;
    }
    r->op.body = yyjson_doc_get_root(doc);
    return 0;
}

static void on_task(struct env_task *task)
{
    struct local_request *r = CONTAINER_OF(task, struct local_request, task);
    if (r->op.err.reason != ERR_NONE || parse_body(r)) {
        on_done(&r->op);
        return;
    }
    api_op_run(&r->op);
}

static void set_verb(struct api_op *op, enum client_verb verb)
{
    static const enum api_verb verbs[] = {[CLIENT_GET] = API_GET,
                                          [CLIENT_LIST] = API_LIST,
                                          [CLIENT_CREATE] = API_CREATE,
                                          [CLIENT_UPDATE] = API_UPDATE,
                                          [CLIENT_PATCH_JSON] = API_PATCH,
                                          [CLIENT_PATCH_MERGE] = API_PATCH,
                                          [CLIENT_PATCH_STRATEGIC] = API_PATCH,
                                          [CLIENT_DELETE] = API_DELETE};
    assert((size_t)verb < sizeof verbs / sizeof *verbs);
    op->verb = verbs[verb];
    op->patch_type = verb == CLIENT_PATCH_JSON    ? API_PATCH_JSON
                     : verb == CLIENT_PATCH_MERGE ? API_PATCH_MERGE
                                                  : API_PATCH_STRATEGIC;
}

static void find_sub(struct api_op *op, struct span name)
{
    for (size_t i = 0; i < op->kind->subresource_count && name.n; i++) {
        if (span_eq_cstr(name, op->kind->subresources[i].name)) {
            op->sub = &op->kind->subresources[i];
        }
    }
    if (name.n && !op->sub) {
        (void)api_op_err(op, ERR_NOT_FOUND, "the server could not find the requested resource");
    }
}

/* Most of a request's texts are empty. */
static inline struct span copy(struct arena *a, struct span s)
{
    return s.n ? arena_dup(a, s) : SPAN("");
}

static void local_request(struct client *c, const struct client_request *q, client_reply_fn *fn,
                          void *data)
{
    struct local_client *lc = (struct local_client *)c;
    struct arena *a = arena_new();
    struct local_request *r = ARENA_NEW(a, struct local_request);
    assert(q->kind);
    r->arena = a;
    const struct schema_kind *kind = q->kind, *ours = NULL;
    if (kind->custom) { /* the caller's sketch of it: ours has the schema */
        ours = definitions_by_name(lc->server->definitions, span_cstr(kind->resource));
        kind = ours ? ours : kind;
        custom_hold(a, kind);
    }
    r->fn = fn;
    r->data = data;
    r->body = copy(a, q->body);
    r->op.body = q->tree && q->body.n == 0 ? json_share_hold(a, q->tree)->root : NULL;
    struct api_op *op = &r->op; /* zeroed with r */
    op->server = lc->server;
    op->arena = a;
    op->kind = kind;
    op->ns = copy(a, q->ns);
    op->name = copy(a, q->name);
    op->done = on_done;
    op->options = (struct api_options){.strictness = SCHEMA_WARN,
                                       .field_manager = copy(a, q->field_manager),
                                       .label_selector = copy(a, q->label_selector),
                                       .field_selector = copy(a, q->field_selector),
                                       .precondition_uid = copy(a, q->precondition_uid),
                                       .precondition_rev = copy(a, q->precondition_rev),
                                       .grace_s = q->grace_s,
                                       .propagation = q->propagation};
    set_verb(op, q->verb);
    find_sub(op, q->subresource);
    if (kind->custom && !ours) { /* its definition is gone */
        (void)api_op_err(op, ERR_NOT_FOUND, "the server could not find the requested resource");
    }
    list_init(&r->link);
    list_push_back(&lc->pending, &r->link);
    env_post(lc->server->env, &r->task, on_task);
}

static void local_cancel(struct client *c, void *data)
{
    struct local_client *lc = (struct local_client *)c;
    LIST_EACH(it, &lc->pending)
    {
        struct local_request *r = CONTAINER_OF(it, struct local_request, link);
        if (r->data == data) {
            r->fn = NULL;
        }
    }
}

static void local_free(struct client *c)
{
    struct local_client *lc = (struct local_client *)c;
    LIST_EACH(it, &lc->pending)
    {
        struct local_request *r = CONTAINER_OF(it, struct local_request, link);
        r->fn = NULL;
        list_remove(it); /* its own list from now on */
        if (r->task.link.next && !list_is_empty(&r->task.link)) {
            env_post_cancel(lc->server->env, &r->task); /* never begun */
            finish(r);
        }
    }
    free(lc);
}

struct client *apiserver_local_client(struct apiserver *s)
{
    assert(s->env);
    static const struct client_ops ops = {.request = local_request,
                                          .cancel = local_cancel,
                                          .watch_new = local_watch_new,
                                          .watch_free = local_watch_free,
                                          .free = local_free};
    struct local_client *lc = MEM_NEW(struct local_client);
    lc->base = (struct client){.ops = &ops, .env = s->env};
    lc->server = s;
    list_init(&lc->pending);
    return &lc->base;
}
