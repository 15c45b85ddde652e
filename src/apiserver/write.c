#include "apiserver/write.h"

#include <errno.h>

#include "apiserver/admission.h"
#include "apiserver/authorize.h"
#include "apiserver/meta.h"
#include "apiserver/ownership.h"
#include "apiserver/quota.h"
#include "apiserver/server.h"
#include "base/check.h"
#include "base/limits.h"
#include "schema/custom.h"
#include "schema/kinds.h"

/* A commit that failed takes back what was decided upon it; more than a few in a row means a sick
 * disk. */
enum { WRITE_ATTEMPTS = 5 };

static void submit_failed(struct api_op *op, int code)
{
    if (code == E_CONFLICT) {
        (void)api_op_conflict(op, SPAN("the object has been modified; please apply your changes to "
                                       "the latest version and try again"));
    } else if (code == E_LIMIT) {
        (void)api_op_err(op, ERR_TOO_LARGE, "the object is larger than the limit of %d bytes",
                         LIMIT_OBJECT_BYTES);
    } else {
        (void)api_op_err(op, ERR_INTERNAL, "the write of %s \"%.*s\" was not stored: %s",
                         op->kind->resource, SPAN_ARG(op->name), code_text(code));
    }
}

/* What the attempt rested on is no more, or the store could not. */
static void start_again(struct api_op *op, int code, bool may_help)
{
    assert(code < 0);
    assert(op->attempts < WRITE_ATTEMPTS);
    if (may_help && ++op->attempts < WRITE_ATTEMPTS && !op->server->is_freed) {
        write_start(op);
    } else {
        submit_failed(op, code);
        api_op_finish(op);
    }
}

static void on_written(struct store_write *write, int code, struct object *object)
{
    struct api_op *op = CONTAINER_OF(write, struct api_op, write);
    struct apiserver *s = op->server; /* op is gone after finish */
    assert(s->writes_open > 0);
    assert(op->err.reason == ERR_NONE);
    assert(!op->object);
    quotas_release(op);
    bool again = code == E_CONFLICT || code == -EEXIST || code == -ENOENT;
    if (code == 0) {
        op->object = object_ref(object);
        op->rev = object_rev(object);
        if (op->write.is_delete && op->kind == SCHEMA_KIND(Service)) {
            service_stock_give_back(&s->services, object_root(object));
        }
        service_claims_release(&s->services, &op->released);
        api_op_finish(op);
    } else {
        start_again(op, code, again);
    }
    apiserver_write_done(s);
}

static void submit(struct api_op *op)
{
    assert(op->write.done);
    assert(op->key.n > 0);
    assert(!op->is_finished);
    op->server->writes_open++;
    store_submit(op->server->store, &op->write);
    quotas_submitted(op);
}

static void on_settled(struct store_write *write, int code, struct object *object)
{
    struct api_op *op = CONTAINER_OF(write, struct api_op, write);
    struct apiserver *s = op->server; /* op is gone after finish */
    assert(!object);
    if (code == 0) {
        api_op_finish(op);
    } else {
        object_unref(TAKE_PTR(op->object));
        op->tree = NULL;
        op->rev = 0;
        op->err = (struct err){0};
        start_again(op, code, true);
    }
    apiserver_write_done(s);
}

/* The answer is there without a write: it is given once what it rests on is durable. */
static void finish_settled(struct api_op *op)
{
    struct store *store = op->server->store;
    bool is_durable = op->object && object_rev(op->object) <= store_durable_rev(store);
    if (is_durable || store_is_settled(store)) {
        api_op_finish(op);
        return;
    }
    service_claims_release(&op->server->services, &op->claimed);
    op->write = (struct store_write){.done = on_settled};
    op->server->writes_open++;
    store_await(op->server->store, &op->write);
}

void write_start(struct api_op *op)
{
    assert(op->attempt);
    assert(!op->is_finished);
    assert(op->attempts < WRITE_ATTEMPTS);
    if (op->attempts == 0) {
        op->first_warnings = (uint8_t)op->warnings.n;
    }
    op->warnings.n = op->first_warnings;
    /* The version that this one replaces stays in the history for long, unread. */
    struct object *current = op->key.n ? store_peek(op->server->store, op->key) : NULL;
    struct object_glance glance = object_glance_begin(current);
    if (op->attempt(op) != 0) {
        quotas_release(op);
        finish_settled(op);
    }
    object_glance_end(&glance);
}

int write_submit(struct api_op *op, int64_t expect_rev, const struct object_body *body)
{
    assert(expect_rev >= STORE_ANY);
    assert(body->text.n > 0);
    if (body->text.n > LIMIT_OBJECT_BYTES) {
        submit_failed(op, E_LIMIT);
        return -1;
    }
    op->write = (struct store_write){
        .key = op->key, .expect_rev = expect_rev, .body = body->text, .done = on_written};
    if (op->kind != SCHEMA_KIND(Event)) { /* what hardly anybody looks at */
        op->write.parsed = body;
    }
    submit(op);
    return 0;
}

int write_submit_delete(struct api_op *op, struct object *current)
{
    assert(span_eq(object_store_key(current), op->key));
    struct span part[2];
    object_body_parts(current, part);
    char *body = arena_alloc_raw(op->arena, part[0].n + part[1].n);
    memcpy(body, part[0].p, part[0].n);
    memcpy(body + part[0].n, part[1].p, part[1].n);
    op->write = (struct store_write){.key = op->key,
                                     .expect_rev = object_rev(current),
                                     .is_delete = true,
                                     .body = span_of(body, part[0].n + part[1].n),
                                     .done = on_written};
    submit(op);
    return 0;
}

/* ---- decoding ---- */

static struct span group_of(struct span api_version)
{
    size_t slash = span_find(api_version, '/');
    return slash == api_version.n ? SPAN_NULL : span_first(api_version, slash);
}

int write_check_kind(struct api_op *op, const struct schema_kind *kind, const char *api_version,
                     const yyjson_val *in)
{
    struct span name = json_get_str(in, "kind"), version = json_get_str(in, "apiVersion");
    if (name.n && !span_eq_cstr(name, kind->kind)) {
        struct span group = group_of(version);
        struct span tail = group.n ? span_from(version, group.n + 1) : version;
        tail = tail.n ? tail : span_cstr(kind->version);
        return api_op_err(op, ERR_BAD_REQUEST,
                          "%.*s in version \"%.*s\" cannot be handled as a %s: converting "
                          "(%.*s.%.*s) to (%s.%s): unknown conversion",
                          SPAN_ARG(name), SPAN_ARG(tail), kind->kind, SPAN_ARG(tail),
                          SPAN_ARG(name), *kind->group ? kind->group : "core", kind->kind);
    }
    if (version.n && !span_eq_cstr(version, api_version)) {
        return api_op_err(op, ERR_BAD_REQUEST,
                          "the API version in the data (%.*s) does not match the expected API "
                          "version (%s)",
                          SPAN_ARG(version), api_version);
    }
    return 0;
}

/* The start of obj in the order that object.h demands. Returns the object to go on with. */
static yyjson_mut_val *write_ordered(struct api_op *op, yyjson_mut_doc *doc, yyjson_mut_val *obj)
{
    static const char *const first[] = {"kind", "apiVersion", "metadata"};
    yyjson_mut_obj_iter it = yyjson_mut_obj_iter_with(obj);
    bool ok = true;
    for (size_t i = 0; i < 3 && ok; i++) {
        yyjson_mut_val *key = yyjson_mut_obj_iter_next(&it);
        ok = key && yyjson_mut_equals_str(key, first[i]);
    }
    yyjson_mut_val *kind = yyjson_mut_str(doc, op->kind->kind);
    yyjson_mut_val *version = yyjson_mut_str(doc, schema_api_version(op->kind));
    yyjson_mut_val *meta = json_mut_obj(doc, obj, "metadata");
    if (!meta) {
        meta = yyjson_mut_obj(doc);
    }
    if (ok) {
        json_put(doc, obj, "kind", kind);
        json_put(doc, obj, "apiVersion", version);
        return obj;
    }
    yyjson_mut_val *out = yyjson_mut_obj(doc), *key;
    json_put(doc, out, "kind", kind);
    json_put(doc, out, "apiVersion", version);
    for (size_t i = 0; i < 3; i++) {
        json_remove(obj, first[i]);
    }
    json_put(doc, out, "metadata", meta);
    it = yyjson_mut_obj_iter_with(obj);
    while ((key = yyjson_mut_obj_iter_next(&it))) {
        /* Copied: a value linked into a second object would break the iteration. */
        yyjson_mut_val *v = yyjson_mut_val_mut_copy(doc, yyjson_mut_obj_iter_get_val(key));
        json_put_span(doc, out, json_mut_str(key), v);
    }
    return out;
}

static int check_body(struct api_op *op, const struct schema_kind *shown, const yyjson_val *in)
{
    if (!yyjson_is_obj((yyjson_val *)(uintptr_t)in)) {
        return api_op_err(op, ERR_BAD_REQUEST,
                          "the request's body must be one JSON object of kind %s", op->kind->kind);
    }
    return write_check_kind(op, op->kind, schema_api_version(shown), in);
}

static enum schema_defaults_of defaults_of(const struct api_op *op)
{
    return op->view                   ? SCHEMA_DEFAULTS_NONE
           : api_sub_is(op, "status") ? SCHEMA_DEFAULTS_STATUS
                                      : SCHEMA_DEFAULTS_SPEC;
}

const yyjson_val *write_decode_tree(struct api_op *op, const yyjson_val *in,
                                    const yyjson_val *stored)
{
    assert(!op->view && !op->kind->custom);
    assert(op->verb == API_PATCH);
    return check_body(op, op->kind, in)
               ? NULL
               : schema_decode_tree(op->arena, op->kind, in, stored, op->options.strictness,
                                    defaults_of(op), &op->warnings, &op->err);
}

yyjson_mut_val *write_decode(struct api_op *op, const yyjson_val *in, const yyjson_val *stored,
                             yyjson_mut_doc *doc)
{
    assert(op->kind);
    assert(doc);
    const struct schema_kind *shown = op->view ? op->view : op->kind;
    if (check_body(op, shown, in)) {
        return NULL;
    }
    yyjson_mut_val *obj =
        schema_decode_defaults(op->arena, shown, in, op->view ? NULL : stored, doc,
                               op->options.strictness, defaults_of(op), &op->warnings, &op->err);
    if (!obj && op->err.reason == ERR_BAD_REQUEST && op->verb != API_PATCH) {
        (void)err_wrap(op->arena, &op->err, "%s in version \"%s\" cannot be handled as a %s",
                       shown->kind, shown->version, shown->kind);
    }
    if (obj && op->view) {
        struct object *old = op->key.n ? store_peek(op->server->store, op->key) : NULL;
        obj = schema_unview(op->arena, op->view, doc, obj, old ? object_root(old) : NULL, &op->err);
    }
    /* What the rows of a built-in kind decode is in order. */
    return obj && op->kind->custom ? write_ordered(op, doc, obj) : obj;
}

int write_decode_body(struct api_op *op, const struct schema_kind *kind)
{
    assert(kind);
    struct span name = json_get_str(op->body, "kind");
    struct span version = json_get_str(op->body, "apiVersion"), tail = version;
    if (!op->body) {
        return 0;
    }
    while (span_find(tail, '/') < tail.n) {
        tail = span_from(tail, span_find(tail, '/') + 1);
    }
    if (name.n && !span_eq_cstr(name, kind->kind)) {
        return api_op_err(op, ERR_BAD_REQUEST,
                          "%.*s in version \"%.*s\" cannot be handled as a %s: no kind \"%.*s\" is "
                          "registered for version \"%.*s\"",
                          SPAN_ARG(name), SPAN_ARG(tail), kind->kind, SPAN_ARG(name),
                          SPAN_ARG(version));
    }
    const yyjson_val *out =
        schema_decode_tree(op->arena, kind, op->body, NULL, op->options.strictness,
                           SCHEMA_DEFAULTS_NONE, &op->warnings, &op->err);
    if (!out) {
        return err_wrap(op->arena, &op->err, "%s in version \"%.*s\" cannot be handled as a %s",
                        kind->kind, SPAN_ARG(tail.n ? tail : span_cstr(kind->version)), kind->kind);
    }
    op->body = out;
    return 0;
}

/* Does what op->mutate made want no more defaults than a decoded object? */
static bool is_like_decoded(struct api_op *op, yyjson_mut_doc *doc, yyjson_mut_val *obj)
{
    yyjson_mut_val *all = yyjson_mut_val_mut_copy(doc, obj);
    yyjson_mut_val *rest = yyjson_mut_val_mut_copy(doc, obj);
    schema_defaults(doc, op->kind, all);
    schema_defaults_rest(doc, op->kind, rest);
    return json_mut_equal(all, rest);
}

void write_defaults(struct api_op *op, yyjson_mut_doc *doc, yyjson_mut_val *obj)
{
    assert(obj);
    /* What is not from write_decode() has had none. */
    bool all = op->view || (op->mutate && !op->keeps_defaults);
    verify(!op->keeps_defaults || is_like_decoded(op, doc, obj));
    (all ? schema_defaults : schema_defaults_rest)(doc, op->kind, obj);
}

void write_warn(struct api_op *op)
{
    assert(op->kind);
    if (op->kind->stored_only) {
        api_op_warn(op, span_cstr(op->kind->stored_only));
    }
    if (op->kind == SCHEMA_KIND(CustomResourceDefinition) && op->body) {
        custom_warnings(op->arena, op->body, &op->warnings);
    }
}

void write_warn_object(struct api_op *op, const yyjson_val *obj)
{
    if (op->is_foreign && !op->kind->custom && op->kind->hooks->warn) {
        op->kind->hooks->warn(op->arena, obj, &op->warnings);
    }
}

struct object_body write_stored(struct api_op *op, yyjson_mut_doc *doc, yyjson_mut_val *obj,
                                const yyjson_val *frozen)
{
    assert(doc);
    assert(obj);
    if (op->kind->custom) {
        const struct schema_kind *storage = custom_definition_of(op->kind)->storage;
        json_put(doc, obj, "apiVersion", yyjson_mut_str(doc, storage->api_version));
        frozen = json_freeze_shared(op->arena, obj);
    }
    return object_body_of(op->arena, frozen);
}

/* Is the object stored in a version that is no longer the one for that? Then an update that changes
 * nothing is written all the same: so objects are brought to another version. */
static bool is_stored_elsewise(struct api_op *op)
{
    struct object *o = op->kind->custom ? store_peek(op->server->store, op->key) : NULL;
    return o && !span_eq_cstr(json_get_str(object_root(o), "apiVersion"),
                              custom_definition_of(op->kind)->storage->api_version);
}

/* ---- changes of what exists ---- */

int write_err_nameless(struct api_op *op)
{
    return api_op_err(op, ERR_BAD_REQUEST,
                      "the name of the object (%.*s based on URL) was undeterminable: name must be "
                      "provided",
                      SPAN_ARG(op->name));
}

int write_conflict_uid(struct api_op *op, struct span wanted, struct span is)
{
    struct span uids = arena_printf(
        op->arena, "Precondition failed: UID in precondition: %.*s, UID in object meta: %.*s",
        SPAN_ARG(wanted), SPAN_ARG(is));
    if (!api_sub_is(op, "scale") || op->verb != API_PATCH) {
        return api_op_conflict(
            op, arena_printf(op->arena,
                             "StorageError: invalid object, Code: 4, Key: /registry/%s/%.*s%s%.*s, "
                             "ResourceVersion: 0, AdditionalErrorMsg: %.*s",
                             op->kind->plural, SPAN_ARG(op->ns), op->ns.n ? "/" : "",
                             SPAN_ARG(op->name), SPAN_ARG(uids)));
    }
    (void)api_op_conflict(op, uids);
    struct span scale = arena_printf(op->arena, "%s/scale", op->kind->plural);
    op->err.kind = scale;
    op->err.message = arena_printf(
        op->arena, "Operation cannot be fulfilled on %.*s%s%s \"%.*s\": %.*s", SPAN_ARG(scale),
        op->kind->group[0] ? "." : "", op->kind->group, SPAN_ARG(op->name), SPAN_ARG(uids));
    return -1;
}

static int check_identity(struct api_op *op, struct object *current, yyjson_mut_val *obj)
{
    yyjson_mut_val *meta = json_mut_get(obj, "metadata");
    struct span name = json_mut_str(json_mut_get(meta, "name"));
    struct span ns = json_mut_str(json_mut_get(meta, "namespace"));
    struct span uid = json_mut_str(json_mut_get(meta, "uid"));
    struct span rev = json_mut_str(json_mut_get(meta, "resourceVersion"));
    struct span uid_now = object_uid(current);
    if (name.n && !span_eq(name, op->name)) {
        return api_op_err(op, ERR_BAD_REQUEST,
                          "the name of the object (%.*s) does not match the name on the URL (%.*s)",
                          SPAN_ARG(name), SPAN_ARG(op->name));
    }
    if (ns.n && !span_eq(ns, op->ns)) {
        return api_op_err(op, ERR_BAD_REQUEST,
                          "the namespace of the provided object does not match "
                          "the namespace sent on the request");
    }
    if (uid.n && !span_eq(uid, uid_now)) {
        return write_conflict_uid(op, uid, uid_now);
    }
    int64_t want = 0;
    if (rev.n && !span_eq(rev, SPAN("0")) &&
        (!span_to_i64(rev, &want) || want != object_rev(current))) {
        return api_op_conflict(op, SPAN("the object has been modified; please apply your changes "
                                        "to the latest version and try again"));
    }
    return 0;
}

static void take_member(yyjson_mut_doc *doc, yyjson_mut_val *to, const yyjson_val *from,
                        const char *key)
{
    const yyjson_val *v = json_get(from, key);
    if (v) {
        json_put(doc, to, key, json_mut_copy(doc, v));
    } else {
        json_remove(to, key);
    }
}

/* A write to /status: the stored object with the new status, labels, annotations and finalizers. */
static yyjson_mut_val *status_only(yyjson_mut_doc *doc, yyjson_mut_val *obj, const yyjson_val *old)
{
    static const char *const meta_members[] = {"labels", "annotations", "finalizers"};
    yyjson_mut_val *out = json_mut_copy(doc, old);
    yyjson_mut_val *status = json_mut_get(obj, "status"), *to = json_mut_get(out, "metadata");
    if (status) {
        json_put(doc, out, "status", status);
    } else {
        json_remove(out, "status");
    }
    for (size_t i = 0; i < sizeof meta_members / sizeof *meta_members; i++) {
        yyjson_mut_val *v = json_mut_get(json_mut_get(obj, "metadata"), meta_members[i]);
        if (v) {
            json_put(doc, to, meta_members[i], v);
        } else {
            json_remove(to, meta_members[i]);
        }
    }
    return out;
}

static bool is_gone(const struct api_op *op, const yyjson_val *obj)
{
    const yyjson_val *meta = json_get(obj, "metadata");
    return json_get(meta, "deletionTimestamp") && json_len(json_get(meta, "finalizers")) == 0 &&
           json_get_int(meta, "deletionGracePeriodSeconds", 0) == 0 &&
           (strcmp(op->kind->resource, "namespaces") != 0 ||
            json_len(json_path(obj, "spec", "finalizers", NULL)) == 0);
}

int write_dry_result(struct api_op *op, yyjson_mut_doc *doc, yyjson_mut_val *obj, int64_t rev)
{
    json_put_str(doc, json_mut_get(obj, "metadata"), "resourceVersion",
                 arena_printf(op->arena, "%lld", (long long)rev));
    op->tree = json_freeze(op->arena, obj);
    return 1;
}

/* The rules about changes by clients do not count for the server's own. */
static int check_rules(struct api_op *op, const yyjson_val *obj, const yyjson_val *old,
                       bool changed)
{
    if (op->server_change) {
        return schema_validate_server(op->arena, op->kind, obj, old, &op->err);
    }
    return (!changed         ? schema_validate_metadata
            : op->is_foreign ? schema_validate
                             : schema_validate_own)(op->arena, op->kind, obj, old, &op->err);
}

/* Does the status that write_decode() made want no more defaults? */
static bool has_defaults(const struct api_op *op, yyjson_mut_doc *doc, yyjson_mut_val *obj)
{
    yyjson_mut_val *copy = yyjson_mut_val_mut_copy(doc, obj);
    schema_defaults_head(doc, op->kind, copy, true);
    return json_mut_equal(copy, obj);
}

/* What the request may not set is as it was; then come the defaults. head: the spec is not here. */
static yyjson_mut_val *complete(struct api_op *op, yyjson_mut_doc *doc, yyjson_mut_val *obj,
                                const yyjson_val *old, bool status, bool head)
{
    assert(status || !head);
    if (status) {
        obj = status_only(doc, obj, old); /* with the old metadata */
        meta_drop_versions(json_mut_get(obj, "metadata"));
    } else {
        if (!op->mutate && (!op->kind->custom || custom_has_status(op->kind))) {
            take_member(doc, obj, old, "status");
        }
        meta_update(doc, obj, old);
    }
    if (head) {
        schema_defaults_head(doc, op->kind, obj, !api_sub_is(op, "status"));
        verify(has_defaults(op, doc, obj));
    } else {
        write_defaults(op, doc, obj);
    }
    return obj;
}

/* A change that is complete: frozen is what is to be, but for managedFields, old what is; of both
 * the head alone when it is the head that changes. obj is what managedFields are put into. */
struct change {
    struct object *current;
    yyjson_mut_doc *doc;
    yyjson_mut_val *obj;
    const yyjson_val *frozen, *old, *given;
    bool status, head, changed;
};

static int check_change(struct api_op *op, const struct change *c)
{
    const yyjson_val *whole = object_root(c->current);
    bool part = api_sub_is(op, "ephemeralcontainers") || api_sub_is(op, "resize");
    if (c->status ? schema_validate_status(op->arena, op->kind, c->frozen, whole, &op->err)
        : part
            ? schema_validate_sub(op->arena, op->kind, op->sub->name, c->frozen, c->old, &op->err)
            : check_rules(op, c->frozen, c->old, c->changed)) {
        return -1;
    }
    if (c->changed) {
        write_warn_object(op, c->frozen);
        return admission_final(op, c->frozen, c->old);
    }
    return 0;
}

/* Puts the owners of the change into c->obj; *same: it changes nothing. */
static int own_change(struct api_op *op, const struct change *c, bool *same)
{
    *same = meta_equal(c->frozen, c->old);
    if (!*same || c->given || op->is_applied) {
        ownership_update(op, c->doc, c->obj, c->frozen, c->old, c->given, same);
        return c->given ? ownership_check(op, c->obj) : 0;
    }
    ownership_keep(c->doc, c->obj, c->old);
    return 0;
}

static int finish_change(struct api_op *op, const struct change *c)
{
    bool same = false;
    int64_t rev = object_rev(c->current);
    assert(rev > 0);
    if (check_change(op, c) || own_change(op, c, &same)) {
        return -1;
    }
    const yyjson_val *now = ownership_frozen(op->arena, c->frozen, c->obj);
    if (op->options.dry_run) {
        service_claims_release(&op->server->services, &op->claimed);
        yyjson_mut_val *obj =
            c->head ? json_mut_copy(c->doc, object_body_next(op->arena, c->current, now).tree)
                    : c->obj;
        return write_dry_result(op, c->doc, obj, rev);
    }
    if (is_gone(op, c->frozen)) {
        return write_submit_delete(op, c->current);
    }
    if (same && !is_stored_elsewise(op)) {
        op->object = object_ref(c->current);
        op->rev = rev;
        return 1;
    }
    struct object_body body = c->head ? object_body_next(op->arena, c->current, now)
                                      : write_stored(op, c->doc, c->obj, now);
    return write_submit(op, rev, &body);
}

/* Is this what complete() makes of that status? */
static bool is_complete(struct api_op *op, yyjson_mut_doc *doc, const struct change *c)
{
    yyjson_mut_val *obj = json_mut_copy(doc, c->old);
    json_put(doc, obj, "status", json_mut_copy(doc, json_get(c->frozen, "status")));
    obj = complete(op, doc, obj, c->old, true, true);
    return json_identical(json_freeze_shared(op->arena, obj), c->frozen);
}

int write_change_head(struct api_op *op, struct object *current, yyjson_mut_doc *doc,
                      const struct write_head *head)
{
    assert(head->next);
    assert(head->was);
    struct change c = {.current = current,
                       .doc = doc,
                       .frozen = head->next,
                       .old = head->was,
                       .status = true,
                       .head = true};
    if (VERIFYING) { /* the owners' place is enough else */
        c.obj = json_mut_copy(doc, c.frozen);
    } else {
        c.obj = yyjson_mut_obj(doc);
        json_put(doc, c.obj, "metadata", yyjson_mut_obj(doc));
    }
    verify(is_complete(op, doc, &c));
    return finish_change(op, &c);
}

int write_change(struct api_op *op, struct object *current, yyjson_mut_doc *doc,
                 yyjson_mut_val *obj, bool status)
{
    assert(current);
    assert(doc);
    assert(obj);
    const yyjson_val *whole = object_root(current), *old = whole;
    if (check_identity(op, current, obj) || (status && authorize_status(op, obj, whole))) {
        return -1;
    }
    const yyjson_val *given = ownership_given(op, obj);
    bool head = status && write_changes_head(op, obj, whole);
    if (head) {
        old = write_head_of(op->arena, whole);
    }
    obj = complete(op, doc, obj, old, status, head);
    if (!status && !op->server_change && admission_update(op, doc, obj, old)) {
        return -1;
    }
    struct change c = {.current = current,
                       .doc = doc,
                       .obj = obj,
                       .frozen = json_freeze_shared(op->arena, obj),
                       .old = old,
                       .given = given,
                       .status = status,
                       .head = head};
    bool part = api_sub_is(op, "ephemeralcontainers") || api_sub_is(op, "resize");
    c.changed = !status && meta_spec_changed(op->kind, c.frozen, old);
    if (c.changed && (!op->server_change || part) && meta_counts_changes(op->kind)) {
        meta_bump_generation(doc, obj, old);
        c.frozen = json_freeze_shared(op->arena, obj);
    }
    return finish_change(op, &c);
}
