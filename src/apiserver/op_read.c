/* get and list: answered from the hub's cache, which is committed state. */
#include "apiserver/op.h"
#include "apiserver/selection.h"
#include "apiserver/server.h"
#include "apiserver/snapshot.h"
#include "base/check.h"
#include "base/map.h"
#include "base/mem.h"
#include "watch/watch.h"

/* A resourceVersion from a client: empty and "0" give 0. Revisions beyond ours were never handed
 * out by this store, so the client is told to come again, as Kubernetes does. */
static int check_rev(struct api_op *op, struct span text, int64_t *ret)
{
    *ret = 0;
    if (text.n == 0) {
        return 0;
    }
    if (!span_to_i64(text, ret) || *ret < 0) {
        return api_op_err(op, ERR_BAD_REQUEST,
                          "resourceVersion: Invalid value: \"%.*s\": must be a number",
                          SPAN_ARG(text));
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
    int64_t rev;
    if (check_rev(op, op->options.rev, &rev) == 0) {
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
    struct api_op *op = data;
    if (op->item_count == op->item_cap) {
        op->item_cap = op->item_cap ? op->item_cap * 2 : 64;
        op->items = mem_grow(op->items, op->item_cap, sizeof *op->items);
    }
    op->items[op->item_count++] = object_ref(o);
    return true;
}

/* A continue token: "ID.AT" of a snapshot, in hexadecimal; opaque to clients. */
static struct span token_make(struct arena *a, uint64_t id, size_t at)
{
    return arena_printf(a, "%llx.%zx", (unsigned long long)id, at);
}

static bool hex_parse(struct span text, uint64_t *ret)
{
    *ret = 0;
    if (text.n == 0 || text.n > 16) {
        return false;
    }
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) {
            return false;
        }
        *ret = *ret << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    return true;
}

static uint64_t query_hash(struct api_op *op)
{
    const struct api_options *o = &op->options;
    return map_hash(arena_printf(op->arena, "%s\n%.*s\n%.*s\n%.*s", op->kind->resource,
                                 SPAN_ARG(op->ns), SPAN_ARG(o->label_selector),
                                 SPAN_ARG(o->field_selector)));
}

/* Keeps what is beyond the limit for the next pages. */
static void cut(struct api_op *op, size_t limit)
{
    if (!limit || op->item_count <= limit) {
        return;
    }
    size_t left = op->item_count - limit;
    struct object **rest = mem_grow(NULL, left, sizeof *rest);
    memcpy(rest, op->items + limit, left * sizeof *rest);
    op->item_count = limit;
    op->next_continue = token_make(
        op->arena, snapshot_add(op->server->snapshots, op->rev, query_hash(op), rest, left), 0);
    op->remaining = (int64_t)left;
}

static int list_continue(struct api_op *op)
{
    struct span rest = op->options.continue_token, id_text = span_cut(&rest, '.');
    uint64_t id, at;
    if (!hex_parse(id_text, &id) || !hex_parse(rest, &at)) {
        return api_op_err(
            op, ERR_BAD_REQUEST,
            "invalid continue token: continue key is not valid: it is not a token that "
            "this server made");
    }
    size_t left = 0, limit = op->options.limit > 0 ? (size_t)op->options.limit : 0;
    if (!snapshot_take(op->server->snapshots, id, query_hash(op), at, limit, &op->items,
                       &op->item_count, &left, &op->rev)) {
        (void)api_op_err(op, ERR_EXPIRED,
                         "The provided continue parameter is too old to display a consistent list "
                         "result. You must start a new list without the continue parameter.");
        op->err.group = op->err.kind = op->err.name = SPAN_NULL;
        return -1;
    }
    op->item_cap = op->item_count;
    if (left) {
        op->next_continue = token_make(op->arena, id, at + op->item_count);
        op->remaining = (int64_t)left;
    }
    return 0;
}

static int list_now(struct api_op *op)
{
    const struct api_options *o = &op->options;
    int64_t rev;
    if (check_rev(op, o->rev, &rev)) {
        return -1;
    }
    op->rev = watch_hub_rev(op->server->hub);
    if (span_eq(o->rev_match, SPAN("Exact")) && rev != op->rev) {
        (void)api_op_err(op, ERR_EXPIRED, "The resourceVersion for the provided list is too old.");
        op->err.group = op->err.kind = op->err.name = SPAN_NULL;
        return -1;
    }
    if (selection_new(op)) {
        return -1;
    }
    (void)watch_hub_list(op->server->hub, selection_filter(op->selection), SPAN_NULL, collect, op);
    cut(op, o->limit > 0 ? (size_t)o->limit : 0);
    return 0;
}

static int list_check_options(struct api_op *op)
{
    const struct api_options *o = &op->options;
    if (o->has_send_initial) {
        return api_op_err(op, ERR_INVALID,
                          "sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list");
    }
    if (o->rev_match.n && !o->rev.n) {
        return api_op_err(op, ERR_INVALID,
                          "resourceVersionMatch: Forbidden: resourceVersionMatch "
                          "is forbidden unless resourceVersion is provided");
    }
    if (o->rev_match.n && !span_eq(o->rev_match, SPAN("Exact")) &&
        !span_eq(o->rev_match, SPAN("NotOlderThan"))) {
        return api_op_err(op, ERR_INVALID,
                          "resourceVersionMatch: Unsupported value: \"%.*s\": supported values: "
                          "\"Exact\", \"NotOlderThan\"",
                          SPAN_ARG(o->rev_match));
    }
    return 0;
}

void op_list(struct api_op *op)
{
    if (list_check_options(op) == 0) {
        (void)(op->options.continue_token.n ? list_continue(op) : list_now(op));
    }
    api_op_finish(op);
}
