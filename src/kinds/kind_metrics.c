/* kinds/kind_metrics.c: what pods and nodes use, as a table: the containers of a pod together. */
#include "codec/quantity.h"
#include "kinds/kind.h"

static __int128 amount(const yyjson_val *of, const char *resource)
{
    struct quantity q = {0};
    (void)quantity_parse(json_str(json_path(of, "usage", resource, NULL)), &q);
    return q.nano;
}

static void cell_amount(struct row *r, const char *resource, enum quantity_family family)
{
    char buf[QUANTITY_TEXT_BYTES];
    struct quantity sum = {.nano = amount(r->obj, resource), .family = family};
    JSON_EACH(it, json_get(r->obj, "containers"))
    {
        sum.nano += amount(it.val, resource);
    }
    cell(r, arena_dup(r->a, quantity_format(&sum, buf)));
}

static void metrics_row(struct row *r)
{
    cell_name(r);
    cell_amount(r, "cpu", QUANTITY_DECIMAL);
    cell_amount(r, "memory", QUANTITY_BINARY);
    cell(r, json_get_str(r->obj, "window"));
}

const struct schema_hooks schema_hooks_metrics = {.row = metrics_row, .field = kind_field_metadata};
