#include "apiserver/op.h"

#include "apiserver/definitions.h"
#include "apiserver/selection.h"
#include "apiserver/server.h"
#include "base/check.h"
#include "base/mem.h"
#include "schema/custom.h"
#include "schema/kinds.h"

bool api_sub_is(const struct api_op *op, const char *name)
{
    assert(name);
    return op->sub && strcmp(op->sub->name, name) == 0;
}

static void verr(struct api_op *op, enum err_reason reason, struct span message)
{
    assert(reason != ERR_NONE);
    assert(message.n > 0);
    op->err = (struct err){.reason = reason,
                           .message = message,
                           .group = span_cstr(op->kind->group),
                           .kind = span_cstr(op->kind->plural),
                           .name = op->name};
}

int api_op_err(struct api_op *op, enum err_reason reason, const char *fmt, ...)
{
    assert(reason > ERR_NONE && reason < ERR_REASON_COUNT);
    assert(fmt);
    va_list ap;
    va_start(ap, fmt);
    struct span message = arena_vprintf(op->arena, fmt, ap);
    va_end(ap);
    verr(op, reason, message);
    if (reason == ERR_BAD_REQUEST || reason == ERR_INTERNAL || reason == ERR_METHOD_NOT_ALLOWED ||
        reason == ERR_UNSUPPORTED_MEDIA_TYPE) {
        op->err.group = op->err.kind = op->err.name = SPAN_NULL;
    }
    return -1;
}

int api_op_not_found(struct api_op *op)
{
    assert(op->kind);
    return api_op_err(op, ERR_NOT_FOUND, "%s \"%.*s\" not found", op->kind->resource,
                      SPAN_ARG(op->name));
}

int api_op_conflict(struct api_op *op, struct span why)
{
    assert(op->kind);
    assert(why.n > 0);
    return api_op_err(op, ERR_CONFLICT, "Operation cannot be fulfilled on %s \"%.*s\": %.*s",
                      op->kind->resource, SPAN_ARG(op->name), SPAN_ARG(why));
}

int api_op_forbidden(struct api_op *op, struct span name, struct span why)
{
    assert(op->kind);
    assert(why.n > 0);
    return api_op_err(op, ERR_FORBIDDEN, "%s \"%.*s\" is forbidden: %.*s", op->kind->resource,
                      SPAN_ARG(name), SPAN_ARG(why));
}

void api_op_warn(struct api_op *op, struct span text)
{
    struct schema_warnings *w = &op->warnings;
    assert(w->n <= sizeof w->text / sizeof *w->text);
    if (w->n < sizeof w->text / sizeof *w->text) {
        w->text[w->n++] = text;
    }
}

struct object *api_peek(struct apiserver *s, struct arena *a, const char *resource, struct span ns,
                        struct span name)
{
    assert(name.n > 0);
    return store_peek(s->store, object_key(a, span_cstr(resource), ns, name));
}

static void convert(struct api_op *op, struct object **o)
{
    struct object *made = definitions_in_version(op->arena, op->kind, *o);
    if (made != *o) {
        object_unref(*o);
        *o = object_ref(made);
    }
}

/* Stored objects of a custom kind in the version that was asked for. */
static void convert_result(struct api_op *op)
{
    convert(op, &op->object);
    for (size_t i = 0; i < op->item_count; i++) {
        convert(op, &op->items[i]);
    }
}

void api_op_collect(struct api_op *op, struct object *o)
{
    assert(op->item_count <= op->item_cap);
    if (op->item_count == op->item_cap) {
        op->item_cap = op->item_cap ? op->item_cap * 2 : 64;
        op->items = mem_grow(op->items, op->item_cap, sizeof *op->items);
    }
    op->items[op->item_count++] = object_ref(o);
}

void api_op_finish(struct api_op *op)
{
    assert(op->done);
    assert(op->http_status);
    assert(!op->is_finished);
    assert(op->pending == 0);
    op->is_finished = true;
    if (op->err.reason != ERR_NONE) {
        service_claims_release(&op->server->services, &op->claimed);
    } else {
        if (op->kind->custom) {
            convert_result(op);
        }
        if (op->present) {
            op->present(op);
        }
    }
    op->done(op);
}

void api_op_release(struct api_op *op)
{
    assert(op->items || op->item_count == 0);
    for (size_t i = 0; i < op->item_count; i++) {
        object_unref(op->items[i]);
    }
    op->item_count = 0;
    free(op->items);
    op->items = NULL;
    object_unref(op->object);
    op->object = NULL;
    if (op->selection) {
        selection_done(op->selection);
        op->selection = NULL;
    }
}

static uint16_t verb_flag(enum api_verb verb)
{
    switch (verb) {
    case API_GET:
        return SCHEMA_VERB_GET;
    case API_LIST:
        return SCHEMA_VERB_LIST;
    case API_WATCH:
        return SCHEMA_VERB_WATCH;
    case API_CREATE:
        return SCHEMA_VERB_CREATE;
    case API_UPDATE:
        return SCHEMA_VERB_UPDATE;
    case API_PATCH:
        return SCHEMA_VERB_PATCH;
    case API_DELETE:
        return SCHEMA_VERB_DELETE;
    case API_DELETECOLLECTION:
        return SCHEMA_VERB_DELETECOLLECTION;
    }
    return 0;
}

/* The older door to pods/binding: the pod is named in the body. */
static void run_bindings(struct api_op *op)
{
    op->name = json_str(json_path(op->body, "metadata", "name", NULL));
    op->kind = SCHEMA_KIND(Pod);
    op->key = object_key(op->arena, span_cstr(op->kind->resource), op->ns, op->name);
    if (op->name.n) {
        op_binding(op);
        return;
    }
    (void)api_op_err(op, ERR_INVALID,
                     "Binding \"\" is invalid: metadata.name: Required value: name of the pod");
    api_op_finish(op);
}

static void run_create(struct api_op *op)
{
    if (op->kind == SCHEMA_KIND(Binding)) {
        run_bindings(op);
    } else {
        (op_is_review(op->kind) ? op_review : op_create)(op);
    }
}

/* The object operations without a sub-resource. */
static void run_main(struct api_op *op)
{
    if (op_is_usage(op->kind)) {
        op_usage(op);
        return;
    }
    switch (op->verb) {
    case API_GET:
        op_get(op);
        return;
    case API_LIST:
        op_list(op);
        return;
    case API_CREATE:
        run_create(op);
        return;
    case API_UPDATE:
        op_update(op);
        return;
    case API_PATCH:
        if (op->patch_type == API_PATCH_APPLY) {
            op_apply(op);
        } else {
            op_update(op);
        }
        return;
    case API_DELETE:
        op_delete(op);
        return;
    case API_DELETECOLLECTION:
        op_deletecollection(op);
        return;
    case API_WATCH:
        break;
    }
    assert(!"a watch is streamed, not run");
}

static void run_sub(struct api_op *op)
{
    if (api_sub_is(op, "status") || api_sub_is(op, "approval")) { /* nearly always */
        run_main(op);
    } else if (api_sub_is(op, "scale")) {
        op_scale(op);
    } else if (api_sub_is(op, "binding")) {
        op_binding(op);
    } else if (api_sub_is(op, "eviction")) {
        op_eviction(op);
    } else if (api_sub_is(op, "finalize")) {
        op_finalize(op);
    } else if (api_sub_is(op, "ephemeralcontainers")) {
        op_extras(op);
    } else if (api_sub_is(op, "token")) {
        op_token(op);
    } else if (api_sub_is(op, "resize")) {
        op_resize(op);
    } else {
        (void)api_op_err(op, ERR_BAD_REQUEST, "%s/%s needs an HTTP connection", op->kind->resource,
                         op->sub->name);
        api_op_finish(op);
    }
}

void api_op_run(struct api_op *op)
{
    assert(op->server);
    assert(op->arena);
    assert(op->kind);
    assert(op->done);
    op->http_status = 200;
    op->remaining = -1;
    uint16_t verbs = op->sub ? op->sub->verbs : op->kind->verbs;
    if (!(verbs & verb_flag(op->verb)) && !op->server_change) {
        (void)api_op_err(op, ERR_METHOD_NOT_ALLOWED,
                         "the server does not allow this method on the requested resource");
        api_op_finish(op);
        return;
    }
    bool one = op->verb != API_LIST && op->verb != API_DELETECOLLECTION &&
               (op->verb != API_CREATE || op->sub);
    if (one || op->name.n) {
        op->key = object_key(op->arena, span_cstr(op->kind->resource), op->ns, op->name);
    }
    if (custom_deprecation(op->kind)) {
        api_op_warn(op, span_cstr(custom_deprecation(op->kind)));
    }
    if (op->kind == SCHEMA_KIND(ComponentStatus) && !op->server_change) {
        api_op_warn(op, SPAN("v1 ComponentStatus is deprecated in v1.19+"));
    }
    if (op->sub) {
        run_sub(op);
    } else {
        run_main(op);
    }
}
