/* get and list: answered from the hub's cache, which is committed state. */
#include "apiserver/list_token.h"
#include "apiserver/op.h"
#include "apiserver/selection.h"
#include "apiserver/server.h"
#include "apiserver/snapshot.h"
#include "base/check.h"
#include "base/mem.h"
#include "watch/watch.h"

const char *api_number_fault(struct span text)
{
    size_t digits = 0;
    for (size_t i = 0; i < text.n; i++) {
        digits += text.p[i] >= '0' && text.p[i] <= '9';
    }
    return digits && digits == text.n ? "value out of range" : "invalid syntax";
}

/* Revisions beyond ours were never handed out by this store, so the client is told to come again,
 * as Kubernetes does. */
int api_op_revision(struct api_op *op, struct span text, int64_t *ret)
{
    assert(ret);
    *ret = 0;
    if (text.n == 0) {
        return 0;
    }
    if (!span_to_i64(text, ret) || *ret < 0) {
        return api_op_err(op, ERR_BAD_REQUEST,
                          "invalid resource version: resourceVersion: Invalid value: \"%.*s\": "
                          "strconv.ParseUint: parsing \"%.*s\": %s",
                          SPAN_ARG(text), SPAN_ARG(text), api_number_fault(text));
    }
    int64_t now = watch_hub_rev(op->server->hub);
    if (*ret > now) {
        (void)api_op_err(op, ERR_TIMEOUT,
                         "Timeout: Too large resource version: %lld, current: %lld",
                         (long long)*ret, (long long)now);
        op->err.group = op->err.kind = op->err.name = SPAN_NULL;
        op->err.retry_after_s = 1;
        err_add_cause(op->arena, &op->err, "ResourceVersionTooLarge", SPAN_NULL,
                      SPAN("Too large resource version"));
        return -1;
    }
    return 0;
}

void op_get(struct api_op *op)
{
    assert(op->key.n > 0);
    int64_t rev;
    if (api_op_revision(op, op->options.rev, &rev) == 0) {
        struct object *o = watch_hub_get(op->server->hub, op->key);
        if (o) {
            op->object = object_ref(o);
            op->rev = object_rev(o);
        } else {
            (void)api_op_not_found(op);
        }
    }
    api_op_finish(op);
}

/* ---- list ---- */

static bool collect(void *data, struct object *o)
{
    api_op_collect(data, o);
    return true;
}

static uint64_t query_of(const struct api_op *op)
{
    const struct api_options *o = &op->options;
    return list_token_query(span_cstr(op->kind->resource), op->ns, o->label_selector,
                            o->field_selector);
}

static int expired(struct api_op *op, const char *message)
{
    (void)api_op_err(op, ERR_EXPIRED, "%s", message);
    op->err.group = op->err.kind = op->err.name = SPAN_NULL;
    return -1;
}

/* What is behind the last item of the page. */
static void set_next(struct api_op *op, uint64_t snapshot, uint64_t at, size_t left)
{
    assert(op->item_count > 0);
    assert(left > 0);
    const struct list_token t = {.rev = op->rev,
                                 .snapshot = snapshot,
                                 .at = at,
                                 .query = query_of(op),
                                 .key = object_store_key(op->items[op->item_count - 1])};
    op->next_continue = list_token_make(op->arena, &t);
    /* With a selector nobody has counted, in Kubernetes. */
    bool selects = op->options.label_selector.n || op->options.field_selector.n;
    op->remaining = selects ? -1 : (int64_t)left;
}

/* Keeps what is beyond the limit for the next pages. */
static void cut(struct api_op *op)
{
    size_t limit = op->options.limit > 0 ? (size_t)op->options.limit : 0;
    if (!limit || op->item_count <= limit) {
        return;
    }
    size_t left = op->item_count - limit;
    struct object **rest = mem_grow(NULL, left, sizeof *rest);
    memcpy(rest, op->items + limit, left * sizeof *rest);
    op->item_count = limit;
    uint64_t id = snapshot_add(op->server->snapshots, op->rev, query_of(op), rest, left);
    set_next(op, id, 0, left);
}

/* The list as it was at op->rev, from behind the key. False: nobody knows any more. */
static bool list_past(struct api_op *op, struct span after)
{
    return watch_hub_list_at(op->server->hub, selection_filter(op->selection), op->rev, after,
                             collect, op);
}

/* The moment of the token is gone: the client may go on with what is there now, if it is told so.
 */
static int expired_page(struct api_op *op, const struct list_token *t)
{
    if (t->query != query_of(op)) {
        return expired(op, "The provided continue parameter is too old to display a consistent "
                           "list result. You can start a new list without the continue parameter.");
    }
    const struct list_token now = {.query = t->query, .key = t->key};
    (void)expired(op, "The provided continue parameter is too old to display a consistent list "
                      "result. You can start a new list without the continue parameter, or use the "
                      "continue token in this response to retrieve the remainder of the results. "
                      "Continuing with the provided token results in an inconsistent list - "
                      "objects that were created, modified, or deleted between the time the first "
                      "chunk was returned and now may show up in the list.");
    op->err.go_on = list_token_make(op->arena, &now);
    return -1;
}

/* What is there now, from behind the token's key. */
static int list_rest(struct api_op *op, const struct list_token *t)
{
    op->rev = watch_hub_rev(op->server->hub);
    (void)watch_hub_list(op->server->hub, selection_filter(op->selection), t->key, collect, op);
    cut(op);
    return 0;
}

static int list_continue(struct api_op *op)
{
    const struct api_options *o = &op->options;
    struct list_token t;
    size_t left = 0;
    if (!list_token_parse(o->continue_token, &t) || t.rev > watch_hub_rev(op->server->hub)) {
        return api_op_err(
            op, ERR_BAD_REQUEST,
            "invalid continue token: continue key is not valid: it is not a token that "
            "this server made");
    }
    if (o->rev.n && !span_eq(o->rev, SPAN("0"))) {
        return api_op_err(op, ERR_BAD_REQUEST,
                          "specifying resource version is not allowed when using continue");
    }
    if (t.query == query_of(op) && snapshot_take(op->server->snapshots, t.snapshot, t.query, t.at,
                                                 o->limit > 0 ? (size_t)o->limit : 0, &op->items,
                                                 &op->item_count, &left, &op->rev)) {
        op->item_cap = op->item_count;
        if (left) {
            set_next(op, t.snapshot, t.at + op->item_count, left);
        }
        return 0;
    }
    op->rev = t.rev;
    if (selection_new(op)) {
        return -1;
    }
    if (t.rev == 0 && t.query == query_of(op)) {
        return list_rest(op, &t);
    }
    if (t.query != query_of(op) || t.rev == 0 || !list_past(op, t.key)) {
        return expired_page(op, &t);
    }
    cut(op);
    return 0;
}

/* Kubernetes' table: with a limit, a revision alone means exactly that one. */
static bool is_exact(const struct api_options *o, int64_t rev)
{
    return span_eq(o->rev_match, SPAN("Exact")) || (o->limit > 0 && rev > 0 && !o->rev_match.n);
}

static int list_now(struct api_op *op)
{
    const struct api_options *o = &op->options;
    int64_t rev;
    if (api_op_revision(op, o->rev, &rev) || selection_new(op)) {
        return -1;
    }
    op->rev = watch_hub_rev(op->server->hub);
    if (is_exact(o, rev) && rev != op->rev) {
        op->rev = rev;
        if (!list_past(op, SPAN_NULL)) {
            return expired(op, "The resourceVersion for the provided list is too old.");
        }
    } else {
        (void)watch_hub_list(op->server->hub, selection_filter(op->selection), SPAN_NULL, collect,
                             op);
    }
    cut(op);
    return 0;
}

void op_list(struct api_op *op)
{
    (void)(op->options.continue_token.n ? list_continue(op) : list_now(op));
    api_op_finish(op);
}
