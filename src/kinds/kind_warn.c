/* kinds/kind_warn.c: what is allowed in a pod's template and yet hardly meant, in Kubernetes'
 * words: headers of the answer, which kubectl shows. */
#include "base/check.h"
#include "codec/quantity.h"
#include "kinds/kind.h"

/* Lists are compared each with each: longer ones are looked at as far as this. */
enum { COMPARED_MAX = 512 };

struct warner {
    struct arena *a;
    struct schema_warnings *w;
};

static void warn(struct warner *x, const struct path *p, struct span text)
{
    if (x->w->n < sizeof x->w->text / sizeof *x->w->text) {
        struct span at = path_text(x->a, p);
        x->w->text[x->w->n++] = arena_printf(x->a, "%.*s: %.*s", SPAN_ARG(at), SPAN_ARG(text));
    }
}

/* Index of the first element with this member; at most `end`. */
static size_t first_with(const yyjson_val *list, size_t end, const char *member, struct span value)
{
    size_t i = 0;
    JSON_EACH(it, list)
    {
        if (i == end || span_eq(json_get_str(it.val, member), value)) {
            break;
        }
        i++;
    }
    return i;
}

static void warn_env(struct warner *x, const struct path *p, const yyjson_val *list)
{
    size_t i = 0;
    JSON_EACH(it, list)
    {
        struct span name = json_get_str(it.val, "name"), value = json_get_str(it.val, "value");
        struct span own = arena_printf(x->a, "$(%.*s)", SPAN_ARG(name));
        /* It may be made of the one before: "$(PATH):/more". */
        bool uses = value.n > own.n && memmem(value.p, value.n, own.p, own.n);
        bool hides = json_get(it.val, "valueFrom") || !uses;
        if (hides && first_with(list, i, "name", name) < i) {
            struct span shown_name = shown_text(x->a, name);
            warn(x, AT_INDEX(AT_FIELD(p, "env"), i),
                 arena_printf(x->a,
                              "hides previous definition of %.*s, which may be dropped when using "
                              "apply",
                              SPAN_ARG(shown_name)));
        }
        if (++i == COMPARED_MAX) {
            break;
        }
    }
}

static bool is_same_port(const yyjson_val *a, const yyjson_val *b)
{
    return json_get_int(a, "containerPort", 0) == json_get_int(b, "containerPort", 0) &&
           json_get_int(a, "hostPort", 0) == 0 && json_get_int(b, "hostPort", 0) == 0 &&
           json_get_str(a, "hostIP").n == 0 && json_get_str(b, "hostIP").n == 0 &&
           span_eq(json_get_str(a, "protocol"), json_get_str(b, "protocol"));
}

static void warn_ports(struct warner *x, const struct path *p, const yyjson_val *list)
{
    const struct path *ports = AT_FIELD(p, "ports");
    size_t i = 0;
    JSON_EACH(it, list)
    {
        size_t k = 0;
        JSON_EACH(before, list)
        {
            if (k == i) {
                break;
            }
            if (is_same_port(before.val, it.val)) {
                struct span other = path_text(x->a, AT_INDEX(ports, k));
                warn(x, AT_INDEX(ports, i),
                     arena_printf(x->a, "duplicate port definition with %.*s", SPAN_ARG(other)));
                break;
            }
            k++;
        }
        if (++i == COMPARED_MAX) {
            break;
        }
    }
}

static void warn_bytes(struct warner *x, const struct path *p, const yyjson_val *amounts,
                       const char *resource)
{
    struct span text = json_get_str(amounts, resource);
    struct quantity q;
    if (text.n && !quantity_parse(text, &q) && q.nano % 1000000000 != 0) {
        struct span value = shown_text(x->a, text);
        warn(x, AT_KEY(p, span_cstr(resource)),
             arena_printf(x->a, "fractional byte value %.*s is invalid, must be an integer",
                          SPAN_ARG(value)));
    }
}

static void warn_containers(struct warner *x, const struct path *p, const yyjson_val *list)
{
    static const char *const sides[] = {"limits", "requests"};
    static const char *const bytes[] = {"memory", "ephemeral-storage"};
    size_t i = 0;
    JSON_EACH(it, list)
    {
        const struct path *here = AT_INDEX(p, i++);
        for (size_t k = 0; k < 4; k++) {
            const yyjson_val *amounts = json_path(it.val, "resources", sides[k / 2], NULL);
            warn_bytes(x, AT_FIELD(AT_FIELD(here, "resources"), sides[k / 2]), amounts,
                       bytes[k % 2]);
        }
        warn_env(x, here, json_get(it.val, "env"));
        warn_ports(x, here, json_get(it.val, "ports"));
    }
}

static void warn_repeated(struct warner *x, const struct path *p, const yyjson_val *list,
                          const char *member)
{
    size_t i = 0;
    JSON_EACH(it, list)
    {
        struct span value = json_get_str(it.val, member), quoted = shown_text(x->a, value);
        if (first_with(list, i, member, value) < i) {
            warn(x, AT_FIELD(AT_INDEX(p, i), member),
                 arena_printf(x->a, "duplicate %s %.*s", member, SPAN_ARG(quoted)));
        } else if (value.n == 0) {
            warn(x, AT_FIELD(AT_INDEX(p, i), member),
                 arena_printf(x->a, "invalid empty %s \"\"", member));
        }
        if (++i == COMPARED_MAX) {
            break;
        }
    }
}

static void warn_pod_spec(struct warner *x, const struct path *p, const yyjson_val *spec)
{
    warn_repeated(x, AT_FIELD(p, "hostAliases"), json_get(spec, "hostAliases"), "ip");
    warn_repeated(x, AT_FIELD(p, "imagePullSecrets"), json_get(spec, "imagePullSecrets"), "name");
    warn_containers(x, AT_FIELD(p, "initContainers"), json_get(spec, "initContainers"));
    warn_containers(x, AT_FIELD(p, "containers"), json_get(spec, "containers"));
}

void kind_warn_pod(struct arena *a, const yyjson_val *obj, struct schema_warnings *w)
{
    warn_pod_spec(&(struct warner){a, w}, AT_FIELD(NULL, "spec"), json_get(obj, "spec"));
}

void kind_warn_template(struct arena *a, const yyjson_val *obj, struct schema_warnings *w)
{
    warn_pod_spec(&(struct warner){a, w},
                  AT_FIELD(AT_FIELD(AT_FIELD(NULL, "spec"), "template"), "spec"),
                  json_path(obj, "spec", "template", "spec", NULL));
}

void kind_warn_statefulset(struct arena *a, const yyjson_val *obj, struct schema_warnings *w)
{
    const struct path *p = AT_FIELD(NULL, "spec"), *claims = AT_FIELD(p, "volumeClaimTemplates");
    const yyjson_val *spec = json_get(obj, "spec");
    struct warner x = {a, w};
    kind_warn_template(a, obj, w);
    size_t i = 0;
    JSON_EACH(it, json_get(spec, "volumeClaimTemplates"))
    {
        const struct path *here =
            AT_FIELD(AT_INDEX(claims, i++), "Spec"); /* as Kubernetes has it */
        warn_bytes(&x, AT_FIELD(AT_FIELD(here, "resources"), "requests"),
                   json_path(it.val, "spec", "resources", "requests", NULL), "storage");
    }
    if (json_get_int(spec, "revisionHistoryLimit", 0) < 0) {
        warn(&x, AT_FIELD(p, "revisionHistoryLimit"),
             SPAN("a negative value retains all historical revisions; a value >= 0 is "
                  "recommended"));
    }
}
