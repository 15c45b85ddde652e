#include "codec/status.h"

#include "base/check.h"
#include "codec/json.h"

static yyjson_mut_val *begin(yyjson_mut_doc *doc, const char *status)
{
    yyjson_mut_val *root = yyjson_mut_obj(doc);
    json_put_str(doc, root, "kind", SPAN("Status"));
    json_put_str(doc, root, "apiVersion", SPAN("v1"));
    json_put(doc, root, "metadata", yyjson_mut_obj(doc));
    json_put_str(doc, root, "status", span_cstr(status));
    return root;
}

static void put_some(yyjson_mut_doc *doc, yyjson_mut_val *obj, const char *key, struct span value)
{
    if (value.n) {
        json_put_str(doc, obj, key, value);
    }
}

static void put_cause(yyjson_mut_doc *doc, yyjson_mut_val *list, const struct err_cause *c)
{
    yyjson_mut_val *cause = yyjson_mut_obj(doc);
    put_some(doc, cause, "reason", c->type);
    put_some(doc, cause, "message", c->message);
    put_some(doc, cause, "field", c->field);
    yyjson_mut_arr_append(list, cause);
}

/* These two carry an empty details object when nothing is known, as clients are used to. */
static bool has_details_always(enum err_reason reason)
{
    return reason == ERR_NOT_FOUND || reason == ERR_METHOD_NOT_ALLOWED;
}

struct span status_json(struct arena *a, const struct err *e)
{
    assert(a);
    assert(e);
    assert(e->reason > ERR_NONE);
    assert(e->reason < ERR_REASON_COUNT);
    yyjson_mut_doc *doc = json_mut_new(a);
    yyjson_mut_val *root = begin(doc, "Failure");
    put_some(doc, json_mut_get(root, "metadata"), "continue", e->go_on);
    json_put_str(doc, root, "message", e->message);
    put_some(doc, root, "reason", span_cstr(err_reason_text(e->reason)));
    yyjson_mut_val *details = yyjson_mut_obj(doc);
    put_some(doc, details, "name", e->name);
    put_some(doc, details, "group", e->group);
    put_some(doc, details, "kind", e->kind);
    put_some(doc, details, "uid", e->uid);
    if (e->causes) {
        yyjson_mut_val *list = yyjson_mut_arr(doc);
        for (const struct err_cause *c = e->causes; c; c = c->next) {
            put_cause(doc, list, c);
        }
        json_put(doc, details, "causes", list);
    }
    if (e->retry_after_s > 0) {
        json_put_int(doc, details, "retryAfterSeconds", e->retry_after_s);
    }
    if (yyjson_mut_obj_size(details) || has_details_always(e->reason)) {
        json_put(doc, root, "details", details);
    }
    json_put_int(doc, root, "code", err_http_code(e->reason));
    return json_write_mut(a, root);
}

struct span status_exit_json(struct arena *a, int exit_code)
{
    assert(a);
    yyjson_mut_doc *doc = json_mut_new(a);
    yyjson_mut_val *root = begin(doc, exit_code == 0 ? "Success" : "Failure");
    if (exit_code != 0) {
        json_put_str(doc, root, "message",
                     arena_printf(a, "command terminated with non-zero exit code: exit status %d",
                                  exit_code));
        json_put_str(doc, root, "reason", SPAN("NonZeroExitCode"));
        yyjson_mut_val *details = yyjson_mut_obj(doc), *list = yyjson_mut_arr(doc);
        put_cause(doc, list,
                  &(struct err_cause){.type = SPAN("ExitCode"),
                                      .message = arena_printf(a, "%d", exit_code)});
        json_put(doc, details, "causes", list);
        json_put(doc, root, "details", details);
    }
    return json_write_mut(a, root);
}
