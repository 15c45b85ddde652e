/* Which values and combinations of a request's options are refused, in Kubernetes' words: options
 * are objects there (CreateOptions, ListOptions, ...), and bad ones are invalid objects. */
#include "base/check.h"
#include "base/limits.h"
#include "front/front_priv.h"

#define NOT_SUPPORTED "FieldValueNotSupported", "Unsupported value: "
#define FORBIDDEN "FieldValueForbidden", "Forbidden: "

/* The words follow what the type of fault begins with. */
static void fault(struct front *f, const char *field, const char *type, const char *prefix,
                  struct span words)
{
    err_add_cause(f->arena, &f->faults, type, span_cstr(field),
                  arena_printf(f->arena, "%s%.*s", prefix, SPAN_ARG(words)));
}

static struct span go_quoted(struct front *f, struct span value)
{
    struct strbuf out cleanup_strbuf = STRBUF_INIT;
    strbuf_put_quoted(&out, value);
    return arena_dup(f->arena, strbuf_span(&out));
}

static struct span quoted(struct front *f, struct span value, const char *more)
{
    return arena_printf(f->arena, "%.*s%s", SPAN_ARG(go_quoted(f, value)), more);
}

/* ---- of writes ---- */

/* The name that the client gives itself. */
static void check_manager(struct front *f, bool is_apply)
{
    const struct api_options *o = &f->op.options;
    struct span name = o->field_manager;
    if (is_apply && name.n == 0) {
        fault(f, "fieldManager", "FieldValueRequired",
              "Required value: ", SPAN("is required for apply patch"));
    }
    if (!is_apply && o->has_force && f->op.verb == API_PATCH) {
        fault(f, "force", FORBIDDEN, SPAN("may not be specified for non-apply patch"));
    }
    if (name.n > LIMIT_FIELD_MANAGER_BYTES) {
        fault(f, "fieldManager", "FieldValueTooLong", "Too long: ",
              arena_printf(f->arena, "may not be more than %d bytes", LIMIT_FIELD_MANAGER_BYTES));
    }
    for (size_t i = 0; i < name.n && name.n <= LIMIT_FIELD_MANAGER_BYTES; i++) {
        unsigned char c = (unsigned char)name.p[i];
        if (c < ' ' || c == 0x7f) {
            fault(f, "fieldManager", "FieldValueInvalid", "Invalid value: ",
                  arena_printf(f->arena, "%.*s: invalid character U+%04X (at position %zu)",
                               SPAN_ARG(go_quoted(f, name)), c, i));
        }
    }
}

static void check_validation(struct front *f)
{
    static const char *const known[] = {"", "Ignore", "Strict", "Warn"};
    struct span v = f->asked.validation;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (span_eq_cstr(v, known[i])) {
            return;
        }
    }
    fault(f, "fieldValidation", NOT_SUPPORTED,
          quoted(f, v, ": supported values: \"\", \"Ignore\", \"Strict\", \"Warn\""));
}

static void check_dry_run(struct front *f)
{
    struct span v = f->asked.dry_run;
    if (v.n && !span_eq(v, SPAN("All"))) {
        fault(
            f, "dryRun", NOT_SUPPORTED,
            arena_printf(f->arena, "[%.*s]: supported values: \"All\"", SPAN_ARG(go_quoted(f, v))));
    }
}

static void check_propagation(struct front *f)
{
    struct span v = f->asked.propagation;
    if (!v.n) {
        return;
    }
    if (f->asked.orphan) {
        fault(f, "propagationPolicy", "FieldValueInvalid", "Invalid value: ",
              quoted(f, v, ": orphanDependents and deletionPropagation cannot be both set"));
    }
    if (!span_eq(v, SPAN("Foreground")) && !span_eq(v, SPAN("Background")) &&
        !span_eq(v, SPAN("Orphan"))) {
        fault(f, "propagationPolicy", NOT_SUPPORTED,
              quoted(f, v,
                     ": supported values: \"Foreground\", \"Background\", \"Orphan\", \"nil\""));
    }
}

/* ---- of reads ---- */

static bool is_newer(const struct api_options *o)
{
    return span_eq(o->rev_match, SPAN("NotOlderThan"));
}

static void check_match_and_continue(struct front *f)
{
    if (f->op.options.continue_token.n) {
        fault(f, "resourceVersionMatch", FORBIDDEN,
              SPAN("resourceVersionMatch is forbidden when continue is provided"));
    }
}

static void check_watch(struct front *f)
{
    const struct api_options *o = &f->op.options;
    if (o->has_send_initial && !is_newer(o)) {
        fault(f, "resourceVersionMatch", FORBIDDEN,
              SPAN("sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"));
    }
    if (!o->rev_match.n) {
        return;
    }
    if (!o->has_send_initial) {
        fault(f, "resourceVersionMatch", FORBIDDEN,
              SPAN("resourceVersionMatch is forbidden for watch unless sendInitialEvents is "
                   "provided"));
    }
    if (!is_newer(o)) {
        fault(f, "resourceVersionMatch", NOT_SUPPORTED,
              quoted(f, o->rev_match, ": supported values: \"NotOlderThan\""));
    }
    check_match_and_continue(f);
}

static void check_match(struct front *f)
{
    const struct api_options *o = &f->op.options;
    bool exact = span_eq(o->rev_match, SPAN("Exact"));
    if (!o->rev.n) {
        fault(f, "resourceVersionMatch", FORBIDDEN,
              SPAN("resourceVersionMatch is forbidden unless resourceVersion is provided"));
    }
    check_match_and_continue(f);
    if (!exact && !is_newer(o)) {
        fault(f, "resourceVersionMatch", NOT_SUPPORTED,
              quoted(f, o->rev_match, ": supported values: \"Exact\", \"NotOlderThan\", \"\""));
    }
    if (exact && span_eq(o->rev, SPAN("0"))) {
        fault(f, "resourceVersionMatch", FORBIDDEN,
              SPAN("resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\""));
    }
}

static void check_list(struct front *f)
{
    if (f->op.options.rev_match.n) {
        check_match(f);
    }
    if (f->op.options.has_send_initial) {
        fault(f, "sendInitialEvents", FORBIDDEN, SPAN("sendInitialEvents is forbidden for list"));
    }
}

/* Forms of an answer that do not go with what is asked for: -1 with op.err. */
static int check_form(struct front *f)
{
    const struct api_accept *a = &f->render.accept;
    struct span include = f->render.include_object;
    bool lists = f->op.verb == API_LIST;
    struct span group = *f->op.kind->group ? span_cstr(f->op.kind->group) : SPAN("core");
    if (a->form == FORM_TABLE && include.n && !span_eq(include, SPAN("None")) &&
        !span_eq(include, SPAN("Metadata")) && !span_eq(include, SPAN("Object"))) {
        return api_op_err(&f->op, ERR_BAD_REQUEST,
                          "Unable to convert to Table as requested: includeObject: Invalid value: "
                          "%.*s: must be 'Metadata', 'Object', 'None', or empty",
                          SPAN_ARG(go_quoted(f, include)));
    }
    if (a->form != FORM_PARTIAL || a->is_list == lists || (!lists && f->op.verb != API_GET)) {
        return 0;
    }
    (void)(lists ? api_op_err(&f->op, ERR_NOT_ACCEPTABLE,
                              "you requested PartialObjectMetadata, but the requested object is a "
                              "list (*%.*s.%s)",
                              SPAN_ARG(span_first(group, span_find(group, '.'))),
                              f->op.kind->list_kind)
                 : api_op_err(&f->op, ERR_NOT_ACCEPTABLE,
                              "you requested PartialObjectMetadataList, but the requested object "
                              "is not a list type"));
    f->op.err.group = f->op.err.kind = f->op.err.name = SPAN_NULL;
    return -1;
}

/* ---- all of them ---- */

/* The options as an object that is invalid; -1. */
static int finish(struct front *f, const char *kind)
{
    struct err *e = &f->faults;
    struct strbuf text cleanup_strbuf = STRBUF_INIT;
    size_t n = 0;
    for (const struct err_cause *c = e->causes; c; c = c->next) {
        strbuf_printf(&text, "%s%.*s: %.*s", n++ ? ", " : "", SPAN_ARG(c->field),
                      SPAN_ARG(c->message));
    }
    assert(n);
    e->reason = ERR_INVALID;
    e->group = SPAN("meta.k8s.io");
    e->kind = span_cstr(kind);
    e->message = arena_printf(f->arena, "%s.meta.k8s.io \"\" is invalid: %s%s%s", kind,
                              n > 1 ? "[" : "", text.p, n > 1 ? "]" : "");
    f->op.err = *e;
    return -1;
}

int front_check_options(struct front *f)
{
    assert(!f->faults.causes);
    const char *kind = "ListOptions";
    if (check_form(f)) {
        return -1;
    }
    switch (f->op.verb) {
    case API_GET:
        return 0;
    case API_WATCH:
        check_watch(f);
        break;
    case API_LIST:
        check_list(f);
        break;
    case API_DELETECOLLECTION:
        check_list(f);
        if (f->faults.causes) {
            break;
        }
        /* fall through */
    case API_DELETE:
        kind = "DeleteOptions";
        check_propagation(f);
        check_dry_run(f);
        break;
    case API_CREATE:
    case API_UPDATE:
    case API_PATCH:
        kind = f->op.verb == API_CREATE   ? "CreateOptions"
               : f->op.verb == API_UPDATE ? "UpdateOptions"
                                          : "PatchOptions";
        check_manager(f, f->op.verb == API_PATCH && f->op.patch_type == API_PATCH_APPLY);
        check_dry_run(f);
        check_validation(f);
        break;
    }
    return f->faults.causes ? finish(f, kind) : 0;
}
