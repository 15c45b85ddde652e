/* schema/engine_cause.c: paths, causes and the combined message of an Invalid error. */
#include "base/check.h"
#include "base/strbuf.h"
#include "schema/engine.h"

static void put_path(struct strbuf *b, const struct path *p)
{
    if (p->up) {
        put_path(b, p->up);
    }
    switch (p->what) {
    case PATH_FIELD:
        if (b->n) {
            strbuf_putc(b, '.');
        }
        strbuf_put(b, p->name);
        break;
    case PATH_INDEX:
        strbuf_printf(b, "[%zu]", p->index);
        break;
    case PATH_KEY:
        strbuf_printf(b, "[%.*s]", SPAN_ARG(p->name));
        break;
    }
}

struct span path_text(struct arena *a, const struct path *p)
{
    assert(a);
    cleanup_strbuf struct strbuf b = STRBUF_INIT;
    if (p) {
        put_path(&b, p);
    }
    return arena_dup(a, strbuf_span(&b));
}

struct span shown_text(struct arena *a, struct span text)
{
    assert(a);
    yyjson_mut_doc *doc = json_mut_new(a);
    return json_write_mut(a, json_new_str(doc, text));
}

struct span shown(struct arena *a, const yyjson_val *v)
{
    assert(a);
    return v ? json_write(a, v) : SPAN("null");
}

static void add(struct check *c, const struct path *p, const char *type, struct span message)
{
    size_t n = 0;
    for (const struct err_cause *x = c->err->causes; x; x = x->next) {
        n++;
    }
    if (n < CAUSES_MAX) {
        err_add_cause(c->a, c->err, type, path_text(c->a, p), message);
    } else if (n == CAUSES_MAX) {
        err_add_cause(c->a, c->err, "FieldValueTooMany", SPAN("<all>"),
                      SPAN("Too many: further errors are not listed"));
    }
}

void cause_required(struct check *c, const struct path *p, const char *detail)
{
    assert(c->a);
    add(c, p, "FieldValueRequired",
        detail ? arena_printf(c->a, "Required value: %s", detail) : SPAN("Required value"));
}

void cause_invalid(struct check *c, const struct path *p, struct span value, const char *detail)
{
    assert(c->a);
    add(c, p, "FieldValueInvalid",
        arena_printf(c->a, "Invalid value: %.*s%s%s", SPAN_ARG(value), detail ? ": " : "",
                     detail ? detail : ""));
}

void cause_forbidden(struct check *c, const struct path *p, const char *detail)
{
    assert(detail);
    add(c, p, "FieldValueForbidden", arena_printf(c->a, "Forbidden: %s", detail));
}

void cause_duplicate(struct check *c, const struct path *p, struct span value)
{
    assert(c->a);
    add(c, p, "FieldValueDuplicate", arena_printf(c->a, "Duplicate value: %.*s", SPAN_ARG(value)));
}

void cause_duplicate_of(struct check *c, const struct path *p, struct span value,
                        const char *detail)
{
    assert(detail);
    add(c, p, "FieldValueDuplicate",
        arena_printf(c->a, "Duplicate value: %.*s: %s", SPAN_ARG(value), detail));
}

void cause_not_found(struct check *c, const struct path *p, struct span value)
{
    assert(c->a);
    add(c, p, "FieldValueNotFound", arena_printf(c->a, "Not found: %.*s", SPAN_ARG(value)));
}

void cause_too_long(struct check *c, const struct path *p, size_t max_bytes)
{
    assert(max_bytes > 0);
    add(c, p, "FieldValueTooLong",
        arena_printf(c->a, "Too long: may not be more than %zu bytes", max_bytes));
}

void cause_too_many(struct check *c, const struct path *p, size_t count, size_t max)
{
    assert(count > max);
    add(c, p, "FieldValueTooMany",
        arena_printf(c->a, "Too many: %zu: must have at most %zu items", count, max));
}

void cause_not_supported(struct check *c, const struct path *p, struct span value,
                         const char *values)
{
    assert(values);
    cleanup_strbuf struct strbuf b = STRBUF_INIT;
    struct span rest = span_cstr(values);
    while (rest.n) {
        struct span one = span_cut(&rest, '|');
        strbuf_printf(&b, "%s\"%.*s\"", b.n ? ", " : "", SPAN_ARG(one));
    }
    add(c, p, "FieldValueNotSupported",
        arena_printf(c->a, "Unsupported value: %.*s: supported values: %s", SPAN_ARG(value),
                     b.p ? b.p : ""));
}

/* Index of the longest path that the field begins with; behind all others: none. */
static size_t rank_of(struct span field, const char *const *paths)
{
    size_t best = SIZE_MAX, best_n = 0;
    for (size_t i = 0; paths[i]; i++) {
        size_t n = strlen(paths[i]);
        bool begins = span_starts(field, span_cstr(paths[i])) &&
                      (field.n == n || field.p[n] == '.' || field.p[n] == '[');
        if (begins && n > best_n) {
            best = i;
            best_n = n;
        }
    }
    return best;
}

void causes_in_order(struct check *c, const char *const *paths)
{
    assert(c);
    assert(paths);
    struct err_cause *sorted = NULL;
    for (struct err_cause *x = c->err->causes, *next; x; x = next) {
        next = x->next;
        size_t rank = rank_of(x->field, paths);
        struct err_cause **at = &sorted;
        while (*at && rank_of((*at)->field, paths) <= rank) {
            at = &(*at)->next;
        }
        x->next = *at;
        *at = x;
    }
    c->err->causes = sorted;
}

void schema_invalid(struct arena *a, struct err *err, struct span field, struct span shown_value,
                    const char *detail)
{
    assert(a);
    assert(err);
    assert(detail);
    struct check c = {.a = a, .err = err};
    cause_invalid(&c, AT_SPAN(NULL, field), shown_value, detail);
}

/* Was the same text said by an earlier cause? Kubernetes lists such causes but says them once. */
static bool said_before(const struct err_cause *first, const struct err_cause *cause)
{
    for (const struct err_cause *x = first; x != cause; x = x->next) {
        if (span_eq(x->field, cause->field) && span_eq(x->message, cause->message)) {
            return true;
        }
    }
    return false;
}

int schema_invalid_finish(struct arena *a, const struct schema_kind *kind, struct span name,
                          struct err *err)
{
    assert(a);
    assert(kind);
    assert(err);
    assert(err->causes);
    cleanup_strbuf struct strbuf b = STRBUF_INIT;
    size_t said = 0;
    for (const struct err_cause *x = err->causes; x; x = x->next) {
        if (!said_before(err->causes, x)) {
            strbuf_printf(&b, "%s%.*s: %.*s", said ? ", " : "", SPAN_ARG(x->field),
                          SPAN_ARG(x->message));
            said++;
        }
    }
    err->reason = ERR_INVALID;
    err->group = span_cstr(kind->group);
    err->kind = span_cstr(kind->kind);
    err->name = arena_dup(a, name); /* the object may be gone when the error is told */
    err->message =
        arena_printf(a, "%s%s%s \"%.*s\" is invalid: %s%s%s", kind->kind, *kind->group ? "." : "",
                     kind->group, SPAN_ARG(name), said > 1 ? "[" : "", b.p, said > 1 ? "]" : "");
    return -1;
}
