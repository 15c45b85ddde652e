/* kinds/kind_config.c: configuration maps and secrets. */
#include "base/check.h"
#include "base/map.h"
#include "base/mem.h"
#include "codec/base64.h"
#include "kinds/kind.h"

/* Entries together, as in Kubernetes. */
enum { DATA_BYTES_MAX = 1024 * 1024 };

static void check_keys(struct check *c, const struct path *p, const yyjson_val *data,
                       const yyjson_val *taken, size_t *total, bool base64)
{
    struct map seen = MAP_INIT;
    JSON_EACH(it, taken)
    {
        (void)map_put(&seen, json_str(it.key), it.val);
    }
    JSON_EACH(it, data)
    {
        struct span key = json_str(it.key);
        size_t n = json_str(it.val).n;
        *total += base64 ? n / 4 * 3 : n;
        struct names_fault fault = names_config_key(key);
        for (size_t i = 0; i < fault.n; i++) {
            cause_invalid(c, AT_KEY(p, key), shown_text(c->a, key), fault.text[i]);
        }
        if (map_get(&seen, key)) {
            cause_invalid(c, AT_KEY(p, key), shown_text(c->a, key),
                          "duplicate of key present in data");
        }
    }
    map_done(&seen);
}

/* Once `immutable` is set, it and the entries stay. */
static void check_immutable(struct check *c, const yyjson_val *obj, const yyjson_val *old,
                            const char *const *members, size_t n)
{
    static const char text[] = "field is immutable when `immutable` is set";
    if (!json_get_bool(old, "immutable", false)) {
        return;
    }
    if (!json_get_bool(obj, "immutable", false)) {
        cause_forbidden(c, AT_FIELD(NULL, "immutable"), text);
    }
    for (size_t i = 0; i < n; i++) {
        if (!semantic_equal(json_get(obj, members[i]), json_get(old, members[i]))) {
            cause_forbidden(c, AT_FIELD(NULL, members[i]), text);
        }
    }
}

static void map_validate(struct check *c, const yyjson_val *obj)
{
    static const char *const members[] = {"data", "binaryData"};
    size_t total = 0;
    const yyjson_val *data = json_get(obj, "data");
    check_keys(c, AT_FIELD(NULL, "data"), data, NULL, &total, false);
    check_keys(c, AT_FIELD(NULL, "binaryData"), json_get(obj, "binaryData"), data, &total, true);
    if (total > DATA_BYTES_MAX) {
        cause_too_long(c, NULL, DATA_BYTES_MAX);
    }
    check_immutable(c, obj, c->old, members, 2);
}

static void map_row(struct row *r)
{
    cell_name(r);
    cell_int(r, (int64_t)(json_len(json_get(r->obj, "data")) +
                          json_len(json_get(r->obj, "binaryData"))));
    cell_age(r);
}

const struct schema_hooks schema_hooks_configmap = {
    .validate = map_validate, .row = map_row, .field = kind_field_metadata};

/* ---- secrets ---- */

static yyjson_mut_val *base64_of(yyjson_mut_doc *doc, struct span s)
{
    struct arena *a cleanup_arena = arena_new();
    struct span text = base64(a, s);
    return yyjson_mut_strncpy(doc, text.p, text.n);
}

/* stringData is for writing only: it goes into data, wins over what is there, and is not kept. */
static void secret_defaults(yyjson_mut_doc *doc, yyjson_mut_val *obj)
{
    yyjson_mut_val *plain = json_mut_get(obj, "stringData");
    if (!yyjson_mut_is_obj(plain)) {
        return;
    }
    yyjson_mut_val *data = yyjson_mut_obj(doc), *before = json_mut_get(obj, "data");
    struct map taken = MAP_INIT;
    size_t i, n;
    yyjson_mut_val *key, *value;
    yyjson_mut_obj_foreach(plain, i, n, key, value)
    {
        yyjson_mut_val *encoded = base64_of(doc, json_mut_str(value));
        (void)map_put(&taken, json_mut_str(key), encoded);
        yyjson_mut_obj_add(data, yyjson_mut_val_mut_copy(doc, key), encoded);
    }
    yyjson_mut_obj_foreach(before, i, n, key, value)
    {
        if (!map_get(&taken, json_mut_str(key))) {
            yyjson_mut_obj_add(data, yyjson_mut_val_mut_copy(doc, key),
                               yyjson_mut_val_mut_copy(doc, value));
        }
    }
    map_done(&taken);
    json_remove(obj, "stringData");
    json_put(doc, obj, "data", data);
}

#define ACCOUNT_NAME "kubernetes.io/service-account.name"

static void secret_validate(struct check *c, const yyjson_val *obj)
{
    static const char *const members[] = {"data"};
    static const char *const demands[][3] = {
        {"kubernetes.io/tls", "tls.crt", "tls.key"},
        {"kubernetes.io/dockerconfigjson", ".dockerconfigjson", NULL},
        {"kubernetes.io/dockercfg", ".dockercfg", NULL},
        {"kubernetes.io/ssh-auth", "ssh-privatekey", NULL}};
    size_t total = 0;
    const yyjson_val *data = json_get(obj, "data");
    const struct path *p = AT_FIELD(NULL, "data");
    check_keys(c, p, data, NULL, &total, true);
    if (total > DATA_BYTES_MAX) {
        cause_too_long(c, p, DATA_BYTES_MAX);
    }
    for (size_t i = 0; i < sizeof demands / sizeof *demands; i++) {
        for (size_t k = 1; k < 3 && demands[i][k]; k++) {
            if (span_eq_cstr(json_get_str(obj, "type"), demands[i][0]) &&
                !json_get(data, demands[i][k])) {
                cause_required(c, AT_KEY(p, span_cstr(demands[i][k])), NULL);
            }
        }
    }
    if (span_eq(json_get_str(obj, "type"), SPAN("kubernetes.io/basic-auth")) &&
        !json_get(data, "username") && !json_get(data, "password")) {
        cause_required(c, AT_KEY(p, SPAN("username")), NULL);
        cause_required(c, AT_KEY(p, SPAN("password")), NULL);
    }
    if (span_eq(json_get_str(obj, "type"), SPAN("kubernetes.io/service-account-token")) &&
        json_str(json_path(obj, "metadata", "annotations", ACCOUNT_NAME, NULL)).n == 0) {
        cause_required(
            c, AT_KEY(AT_FIELD(AT_FIELD(NULL, "metadata"), "annotations"), SPAN(ACCOUNT_NAME)),
            NULL);
    }
    check_immutable(c, obj, c->old, members, 1);
}

static void secret_row(struct row *r)
{
    cell_name(r);
    cell(r, json_get_str(r->obj, "type"));
    cell_int(r, (int64_t)json_len(json_get(r->obj, "data")));
    cell_age(r);
}

static bool secret_field(struct arena *a, const yyjson_val *obj, struct span key, struct span *ret)
{
    static const char *const keys[] = {"type", NULL};
    return kind_field(a, obj, key, keys, ret);
}

const struct schema_hooks schema_hooks_secret = {.defaults = secret_defaults,
                                                 .validate = secret_validate,
                                                 .row = secret_row,
                                                 .field = secret_field};
