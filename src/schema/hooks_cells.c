/* schema/hooks_cells.c: cells that the rows describe by a path and a form. */
#include "schema/hooks.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/strbuf.h"
#include "codec/selector.h"
#include "codec/time.h"
#include "schema/custom_priv.h"
#include "schema/tables.h"

static struct span text_of(struct arena *a, const yyjson_val *v)
{
    yyjson_val *x = (yyjson_val *)v;
    bool empty = !x || yyjson_is_null(x) || yyjson_is_obj(x) || yyjson_is_arr(x);
    return empty ? SPAN("") : yyjson_is_str(x) ? json_str(v) : json_write(a, v);
}

static void as_text(struct row *r, const yyjson_val *v)
{
    cell(r, text_of(r->a, v));
}

static void number_or(struct row *r, const yyjson_val *v, const char *otherwise)
{
    if (yyjson_is_int((yyjson_val *)v)) {
        cell_int(r, json_int(v, 0));
        return;
    }
    struct span text = text_of(r->a, v);
    cell(r, text.n ? text : span_cstr(otherwise));
}

static void as_none(struct row *r, const yyjson_val *v)
{
    number_or(r, v, "<none>");
}

static void as_unset(struct row *r, const yyjson_val *v)
{
    struct span text = text_of(r->a, v);
    cell(r, text.n ? text : SPAN("<unset>"));
}

static void as_na(struct row *r, const yyjson_val *v)
{
    struct span text = text_of(r->a, v);
    cell(r, text.n ? text : SPAN("N/A"));
}

static void as_number(struct row *r, const yyjson_val *v)
{
    cell_int(r, json_int(v, 0));
}

static void as_bool(struct row *r, const yyjson_val *v)
{
    yyjson_mut_arr_append(r->cells, yyjson_mut_bool(r->doc, yyjson_is_true((yyjson_val *)v)));
}

static void as_truth(struct row *r, const yyjson_val *v)
{
    cell(r, yyjson_is_true((yyjson_val *)v) ? SPAN("True") : SPAN("False"));
}

static void as_count(struct row *r, const yyjson_val *v)
{
    cell_int(r, (int64_t)json_len(v));
}

static void as_join(struct row *r, const yyjson_val *v)
{
    cell(r, joined(r->a, v, NULL));
}

static void as_names(struct row *r, const yyjson_val *v)
{
    cell(r, joined(r->a, v, "name"));
}

static void as_images(struct row *r, const yyjson_val *v)
{
    cell(r, joined(r->a, v, "image"));
}

static int compare_spans(const void *a, const void *b)
{
    return span_cmp(*(const struct span *)a, *(const struct span *)b);
}

/* "a=1,b=2" in the order of the keys. */
static void as_labels(struct row *r, const yyjson_val *v)
{
    struct span *pairs = ARENA_ARRAY(r->a, struct span, json_len(v) + 1);
    struct strbuf out cleanup_strbuf = STRBUF_INIT;
    size_t n = 0;
    JSON_EACH(it, v)
    {
        pairs[n++] =
            arena_printf(r->a, "%.*s=%.*s", SPAN_ARG(json_str(it.key)), SPAN_ARG(json_str(it.val)));
    }
    qsort(pairs, n, sizeof *pairs, compare_spans);
    for (size_t i = 0; i < n; i++) {
        strbuf_puts(&out, i ? "," : "");
        strbuf_put(&out, pairs[i]);
    }
    cell_or_none(r, strbuf_span(&out));
}

static void as_since(struct row *r, const yyjson_val *v)
{
    struct span text = json_str(v);
    cell(r, text.n ? time_age_since(r->a, text, r->now_ms) : SPAN("<none>"));
}

void cell_selector(struct row *r, const yyjson_val *selector)
{
    struct selector s = {.n = 0};
    struct err ignored;
    if (selector_from_object(r->a, selector, &s, &ignored) < 0) {
        cell(r, SPAN("<error>"));
        return;
    }
    cell_or_none(r, selector_text(r->a, &s));
}

static const struct {
    const char *form;
    void (*make)(struct row *r, const yyjson_val *v);
} forms[] = {
    {"", as_text},
    {"none", as_none},
    {"unset", as_unset},
    {"na", as_na},
    {"number", as_number},
    {"bool", as_bool},
    {"truth", as_truth},
    {"count", as_count},
    {"join", as_join},
    {"names", as_names},
    {"images", as_images},
    {"labels", as_labels},
    {"selector", cell_selector},
    {"since", as_since},
};

enum { FORMS = sizeof forms / sizeof *forms };

static size_t form_of(struct span form)
{
    size_t i = 0;
    while (i < FORMS && !span_eq_cstr(form, forms[i].form)) {
        i++;
    }
    return i;
}

/* The value at a dotted path, or NULL. */
static const yyjson_val *cell_at(const yyjson_val *obj, struct span path)
{
    const yyjson_val *v = obj;
    while (path.n && v) {
        struct span part = span_cut(&path, '.');
        v = yyjson_obj_getn((yyjson_val *)v, part.p, part.n);
    }
    return v;
}

/* The function of that name, or NULL. */
static cell_fn *cell_fn_find(struct span name)
{
    const struct schema_cell_fn *f = schema_tables_cell_fns;
    while (f->name && !span_eq_cstr(name, f->name)) {
        f++;
    }
    return f->make;
}

bool cell_known(const char *text)
{
    assert(text);
    struct span form = span_cstr(text), path = span_cut(&form, ':');
    if (span_eq(path, SPAN("fn"))) {
        return cell_fn_find(form) != NULL;
    }
    return path.n > 0 && form_of(form) < FORMS;
}

/* Adds the cell of one column. */
static void cell_by_row(struct row *r, const char *text)
{
    assert(cell_known(text));
    struct span form = span_cstr(text), path = span_cut(&form, ':');
    if (span_eq(path, SPAN("fn"))) {
        cell_fn_find(form)(r);
    } else if (span_eq(path, SPAN("age"))) {
        cell_age(r);
    } else if (span_eq(path, SPAN("created"))) {
        cell(r, json_get_str(json_get(r->obj, "metadata"), "creationTimestamp"));
    } else {
        forms[form_of(form)].make(r, cell_at(r->obj, path));
    }
}

void schema_row(struct arena *a, const struct schema_kind *kind, yyjson_mut_doc *doc,
                yyjson_mut_val *cells, const yyjson_val *obj, int64_t now_ms)
{
    assert(kind);
    assert(doc);
    assert(cells);
    struct row r = {a, doc, cells, obj, now_ms};
    if (kind->custom) {
        custom_row(a, kind, doc, cells, obj, now_ms);
        return;
    }
    if (kind->column_count == 0) {
        cell_name(&r);
        cell_age(&r);
    } else if (kind->hooks->row) {
        kind->hooks->row(&r);
    } else {
        for (size_t i = 0; i < kind->column_count; i++) {
            cell_by_row(&r, kind->columns[i].cell);
        }
    }
}
