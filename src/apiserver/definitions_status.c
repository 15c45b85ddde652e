/* What the status of a CustomResourceDefinition says. */
#include "apiserver/definitions.h"
#include "apiserver/meta.h"
#include "base/check.h"
#include "codec/time.h"
#include "schema/status.h"

bool definitions_established(const yyjson_val *definition)
{
    return status_condition_true(definition, "Established");
}

/* ---- names ---- */

static bool has_name(const yyjson_val *list, struct span name)
{
    JSON_EACH(it, list)
    {
        if (span_eq(json_str(it.val), name)) {
            return true;
        }
    }
    return false;
}

/* Plural, singular and short names of a group share one space; so do kind and listKind. */
static bool is_taken(const yyjson_val *accepted, struct span name, bool kinds)
{
    if (kinds) {
        return span_eq(json_get_str(accepted, "kind"), name) ||
               span_eq(json_get_str(accepted, "listKind"), name);
    }
    return span_eq(json_get_str(accepted, "plural"), name) ||
           span_eq(json_get_str(accepted, "singular"), name) ||
           has_name(json_get(accepted, "shortNames"), name);
}

struct names {
    const yyjson_val *definition;
    const yyjson_val *const *others;
    size_t n;
};

static bool is_conflict(const struct names *x, struct span name, bool kinds)
{
    struct span group = json_str(json_path(x->definition, "spec", "group", NULL));
    struct span own = json_str(json_path(x->definition, "metadata", "name", NULL));
    for (size_t i = 0; i < x->n && name.n; i++) {
        const yyjson_val *o = x->others[i];
        if (span_eq(json_str(json_path(o, "spec", "group", NULL)), group) &&
            !span_eq(json_str(json_path(o, "metadata", "name", NULL)), own) &&
            is_taken(json_path(o, "status", "acceptedNames", NULL), name, kinds)) {
            return true;
        }
    }
    return false;
}

/* The reason of NamesAccepted=False; NULL: all are free. */
static const char *find_conflict(const struct names *x, struct span *ret_name)
{
    static const struct {
        const char *key, *reason;
        bool kinds;
    } checks[] = {{"plural", "PluralConflict", false},
                  {"singular", "SingularConflict", false},
                  {"kind", "KindConflict", true},
                  {"listKind", "ListKindConflict", true}};
    const yyjson_val *names = json_path(x->definition, "spec", "names", NULL);
    for (size_t i = 0; i < sizeof checks / sizeof *checks; i++) {
        *ret_name = json_get_str(names, checks[i].key);
        if (is_conflict(x, *ret_name, checks[i].kinds)) {
            return checks[i].reason;
        }
    }
    JSON_EACH(it, json_get(names, "shortNames"))
    {
        *ret_name = json_str(it.val);
        if (is_conflict(x, *ret_name, false)) {
            return "ShortNamesConflict";
        }
    }
    return NULL;
}

/* ---- conditions ---- */

struct wanted {
    const char *type, *status, *reason;
    struct span message;
};

static yyjson_mut_val *condition_new(yyjson_mut_doc *doc, const struct wanted *w, struct span since)
{
    struct status_condition c = {w->type, span_cstr(w->status), since, span_cstr(w->reason),
                                 w->message};
    return status_condition_new(doc, &c);
}

/* The conditions with w in place of its like; the time changes with the status only. */
static yyjson_mut_val *with_condition(yyjson_mut_doc *doc, yyjson_mut_val *conditions,
                                      const struct wanted *w, struct span now)
{
    yyjson_mut_val *out = yyjson_mut_arr(doc), *one;
    bool done = false;
    yyjson_mut_arr_iter it = yyjson_mut_arr_iter_with(conditions);
    while (conditions && (one = yyjson_mut_arr_iter_next(&it))) {
        if (!span_eq_cstr(json_mut_str(json_mut_get(one, "type")), w->type)) {
            yyjson_mut_arr_append(out, yyjson_mut_val_mut_copy(doc, one));
            continue;
        }
        bool same = span_eq_cstr(json_mut_str(json_mut_get(one, "status")), w->status);
        struct span since = json_mut_str(json_mut_get(one, "lastTransitionTime"));
        yyjson_mut_arr_append(out, condition_new(doc, w, same && since.n ? since : now));
        done = true;
    }
    if (!done) {
        yyjson_mut_arr_append(out, condition_new(doc, w, now));
    }
    return out;
}

static void put_condition(yyjson_mut_doc *doc, yyjson_mut_val *obj, const struct wanted *w,
                          struct span now)
{
    yyjson_mut_val *status = json_mut_obj(doc, obj, "status");
    if (status) {
        json_put(doc, status, "conditions",
                 with_condition(doc, json_mut_get(status, "conditions"), w, now));
    }
}

const yyjson_val *definitions_status(struct arena *a, const yyjson_val *definition,
                                     const yyjson_val *const *others, size_t n, int64_t now_ms)
{
    assert(a);
    assert(definition);
    const struct names x = {definition, others, n};
    yyjson_mut_doc *doc = json_mut_new(a);
    yyjson_mut_val *obj = json_mut_copy(doc, definition);
    yyjson_mut_val *status = json_mut_obj(doc, obj, "status");
    json_remove(json_mut_get(obj, "metadata"), "managedFields"); /* they stay as they are */
    struct span now = time_format(a, now_ms), name;
    const char *conflict = find_conflict(&x, &name);
    bool established = definitions_established(definition);
    if (json_path(definition, "metadata", "deletionTimestamp", NULL) || !status) {
        return NULL;
    }
    if (conflict) {
        struct span text = arena_printf(a, "\"%.*s\" is already in use", SPAN_ARG(name));
        put_condition(doc, obj, &(struct wanted){"NamesAccepted", "False", conflict, text}, now);
        if (!established) {
            put_condition(doc, obj,
                          &(struct wanted){"Established", "False", "NotAccepted",
                                           SPAN("not all names are accepted")},
                          now);
        }
    } else {
        json_put(doc, status, "acceptedNames",
                 json_mut_copy(doc, json_path(definition, "spec", "names", NULL)));
        put_condition(
            doc, obj,
            &(struct wanted){"NamesAccepted", "True", "NoConflicts", SPAN("no conflicts found")},
            now);
        put_condition(doc, obj,
                      &(struct wanted){"Established", "True", "InitialNamesAccepted",
                                       SPAN("the initial names have been accepted")},
                      now);
    }
    const yyjson_val *out = json_freeze(a, obj);
    return json_equal(json_get(out, "status"), json_get(definition, "status")) ? NULL : out;
}

void definitions_mark_deleted(yyjson_mut_doc *doc, yyjson_mut_val *obj, int64_t now_ms,
                              struct arena *a)
{
    assert(doc);
    assert(obj);
    meta_add_finalizer(doc, obj, DEFINITIONS_FINALIZER);
    put_condition(doc, obj,
                  &(struct wanted){"Terminating", "True", "InstanceDeletionPending",
                                   SPAN("CustomResourceDefinition marked for deletion; "
                                        "CustomResource deletion will begin soon")},
                  time_format(a, now_ms));
}
