/* managed/typed_check.c: whether a configuration is of its kind's type, in the words of
 * structured-merge-diff. */
#include <stdlib.h>

#include "base/check.h"
#include "base/strbuf.h"
#include "codec/json.h"
#include "managed/typed.h"

/* Mistakes that one answer tells, and how much of a wrong value; a body can hold a million. */
enum { MISTAKES_MAX = 20, SHOWN_BYTES = 1000 };

static bool is_map(const yyjson_val *v)
{
    return yyjson_is_null(json_unconst(v)) || yyjson_is_obj(json_unconst(v));
}

struct item {
    struct fieldset_elem e;
    const yyjson_val *v;
    size_t place;
    bool repeats; /* one before it has its name */
};

static int cmp_item(const void *x, const void *y)
{
    const struct item *a = *(struct item *const *)x, *b = *(struct item *const *)y;
    int rc = fieldset_elem_cmp(&a->e, &b->e);
    return rc ? rc : (a->place > b->place) - (a->place < b->place);
}

static const char *go_type(const yyjson_val *v)
{
    yyjson_val *x = json_unconst(v);
    return yyjson_is_str(x)    ? "string"
           : yyjson_is_bool(x) ? "bool"
           : yyjson_is_obj(x)  ? "map[string]interface {}"
           : yyjson_is_arr(x)  ? "[]interface {}"
           : yyjson_is_real(x) ? "float64"
                               : "int64";
}

struct place {
    const struct place *up;
    struct fieldset_elem e;
};

struct mistakes {
    struct arena *a;
    struct span text[MISTAKES_MAX];
    size_t n;
    bool with_repeats; /* elements of one name are none */
};

static struct span place_text(struct arena *a, const struct place *p)
{
    return p ? arena_printf(a, "%.*s%.*s", SPAN_ARG(place_text(a, p->up)),
                            SPAN_ARG(fieldset_elem_text(a, &p->e)))
             : SPAN("");
}

static void mistake(struct mistakes *m, const struct place *p, struct span why)
{
    if (m->n < MISTAKES_MAX) {
        struct span at = place_text(m->a, p);
        m->text[m->n++] =
            arena_printf(m->a, "%.*s%s%.*s", SPAN_ARG(at), at.n ? ": " : "", SPAN_ARG(why));
    }
}

static void check_value(struct mistakes *m, const struct place *p, struct typed_ref r,
                        const yyjson_val *v);

/* How Go's fmt package shows a value: with types (%#v) or without (%v). */
static void put_go(struct strbuf *b, const yyjson_val *v, bool typed)
{
    yyjson_val *x = json_unconst(v);
    bool is_first = true, is_obj = yyjson_is_obj(x);
    if (b->n > SHOWN_BYTES) {
        return;
    }
    if (!yyjson_is_ctn(x)) {
        struct arena *a cleanup_arena = arena_new();
        bool bare = yyjson_is_str(x) && !typed;
        strbuf_put(b, bare                 ? json_str(v)
                      : !yyjson_is_null(x) ? json_write(a, v)
                      : typed              ? SPAN("interface {}(nil)")
                                           : SPAN("<nil>"));
        return;
    }
    strbuf_puts(b, typed ? go_type(v) : is_obj ? "map" : "");
    strbuf_puts(b, typed ? "{" : "[");
    JSON_EACH(it, v)
    {
        strbuf_puts(b, is_first ? "" : typed ? ", " : " ");
        if (is_obj) {
            put_go(b, it.key, typed);
            strbuf_puts(b, ":");
        }
        put_go(b, it.val, typed);
        is_first = false;
    }
    strbuf_puts(b, typed ? "}" : "]");
}

static struct span go_shown(struct arena *a, const yyjson_val *v, bool typed)
{
    struct strbuf b cleanup_strbuf = STRBUF_INIT;
    strbuf_puts(&b, typed ? "&value.valueUnstructured{Value:" : "&{");
    put_go(&b, v, typed);
    strbuf_puts(&b, "}");
    return arena_dup(a, span_first(strbuf_span(&b), SHOWN_BYTES));
}

static void check_plain(struct mistakes *m, const struct place *p, uint8_t shape,
                        const yyjson_val *v)
{
    yyjson_val *x = json_unconst(v);
    bool ok = true;
    const char *want = "";
    switch ((enum schema_shape)shape) {
    case SCHEMA_STRING:
    case SCHEMA_BYTES:
    case SCHEMA_DURATION:
        ok = yyjson_is_str(x);
        want = "string";
        break;
    case SCHEMA_INT32:
    case SCHEMA_INT64:
    case SCHEMA_DOUBLE:
        ok = yyjson_is_num(x);
        want = "numeric (int or float)";
        break;
    case SCHEMA_BOOL:
        ok = yyjson_is_bool(x);
        want = "boolean";
        break;
    case SCHEMA_QUANTITY:
    case SCHEMA_TIME:
    case SCHEMA_MICROTIME:
    case SCHEMA_INT_OR_STRING:
        ok = !yyjson_is_ctn(x);
        want = "any scalar";
        break;
    case SCHEMA_OBJECT:
    case SCHEMA_MAP:
        ok = yyjson_is_obj(x);
        want = "map";
        break;
    case SCHEMA_LIST:
        ok = yyjson_is_arr(x);
        want = "list";
        break;
    case SCHEMA_ANY:
        break;
    }
    if (!ok) {
        bool number = *want == 'n', text = *want == 's';
        struct span got = number ? span_cstr(go_type(v)) : go_shown(m->a, v, text);
        mistake(m, p, arena_printf(m->a, "expected %s, got %.*s", want, SPAN_ARG(got)));
    }
}

static void check_object(struct mistakes *m, const struct place *p, struct typed_ref r,
                         const yyjson_val *v)
{
    JSON_EACH(it, v)
    {
        struct span name = json_str(it.key);
        struct place at = {p, fieldset_field(name)};
        const struct schema_field *f = schema_field_find(r.type, name);
        if (!f && r.type->open) {
            continue;
        }
        if (!f) {
            mistake(m, &at, SPAN("field not declared in schema"));
            return; /* what follows it is not looked at */
        }
        check_value(m, &at, (struct typed_ref){f, f->type, false}, it.val);
    }
}

/* Marks what has the name of an element before it. */
static void mark_repeats(struct item **sorted, size_t n)
{
    qsort(sorted, n, sizeof *sorted, cmp_item);
    for (size_t i = 1; i < n; i++) {
        sorted[i]->repeats = fieldset_elem_cmp(&sorted[i - 1]->e, &sorted[i]->e) == 0;
    }
}

/* Up to the first element without a name. */
static void check_items(struct mistakes *m, const struct place *p, struct typed_ref r,
                        const yyjson_val *v)
{
    struct item *items = ARENA_ARRAY(m->a, struct item, json_len(v) + 1);
    struct item **sorted = ARENA_ARRAY(m->a, struct item *, json_len(v) + 1);
    const char *why = NULL;
    size_t n = 0;
    JSON_EACH(it, v)
    {
        items[n] = (struct item){.v = it.val, .place = n};
        sorted[n] = &items[n];
        why = typed_elem(m->a, r, it.val, false, &items[n].e);
        if (why) {
            break;
        }
        n++;
    }
    mark_repeats(sorted, n);
    for (size_t i = 0; i < n; i++) {
        struct place at = {p, items[i].e};
        if (items[i].repeats && !m->with_repeats) {
            mistake(m, p,
                    arena_printf(m->a, "duplicate entries for key %.*s",
                                 SPAN_ARG(fieldset_elem_text(m->a, &at.e))));
        }
        check_value(m, &at, typed_element(r), items[i].v);
    }
    if (why) {
        mistake(m, p, arena_printf(m->a, "element %zu: %s", n, why));
    }
}

static void check_list(struct mistakes *m, const struct place *p, struct typed_ref r,
                       const yyjson_val *v)
{
    if (typed_class(r) == TYPED_LIST) {
        check_items(m, p, r, v);
        return;
    }
    int64_t i = 0;
    JSON_EACH(it, v)
    {
        struct place at = {p, {.what = FIELDSET_INDEX, .index = i++}};
        check_value(m, &at, typed_element(r), it.val);
    }
}

/* A list in a map of a built-in kind. */
static void check_texts(struct mistakes *m, const struct place *p, const yyjson_val *v)
{
    int64_t i = 0;
    JSON_EACH(it, v)
    {
        struct place at = {p, {.what = FIELDSET_INDEX, .index = i++}};
        if (!yyjson_is_null(json_unconst(it.val))) {
            check_plain(m, &at, SCHEMA_STRING, it.val);
        }
    }
}

static void check_value(struct mistakes *m, const struct place *p, struct typed_ref r,
                        const yyjson_val *v)
{
    bool is_known =
        yyjson_is_null(json_unconst(v)) || yyjson_is_raw(json_unconst(v)); /* managedFields */
    if (m->n == MISTAKES_MAX || is_known) {
        return;
    }
    uint8_t shape = !r.field ? (uint8_t)SCHEMA_OBJECT
                    : r.elem ? r.field->elem_shape
                             : r.field->shape;
    size_t before = m->n;
    check_plain(m, p, shape, v);
    if (m->n != before) {
        return;
    }
    bool has_members = shape == SCHEMA_OBJECT || (shape == SCHEMA_ANY && is_map(v));
    if (has_members && r.type) {
        check_object(m, p, r, v);
    } else if (shape == SCHEMA_MAP) {
        JSON_EACH(it, v)
        {
            struct place at = {p, fieldset_field(json_str(it.key))};
            check_value(m, &at, typed_element(r), it.val);
        }
    } else if (shape == SCHEMA_LIST && !r.elem) {
        check_list(m, p, r, v);
    } else if (shape == SCHEMA_LIST) {
        check_texts(m, p, v);
    }
}

struct span typed_check(struct arena *a, const struct schema_kind *kind, const yyjson_val *config,
                        bool with_repeats)
{
    assert(a);
    assert(kind);
    struct mistakes m = {.a = a, .with_repeats = with_repeats};
    check_value(&m, NULL, typed_root(kind), config);
    if (m.n == 0) {
        return SPAN_NULL;
    }
    struct span out = m.n == 1 ? m.text[0] : SPAN("errors:");
    for (size_t i = 0; m.n > 1 && i < m.n; i++) {
        out = arena_printf(a, "%.*s\n  %.*s", SPAN_ARG(out), SPAN_ARG(m.text[i]));
    }
    return out;
}
