#include "front/negotiate.h"
#include "base/check.h"

struct media {
    struct span type, as, group, version;
    int weight; /* q, in thousandths */
};

/* "0.75", "1", ".5": digits beyond the third do not count; nonsense is 1, as if it were not there.
 */
static int parse_weight(struct span text)
{
    int value = 0, unit = 1000;
    bool fraction = false;
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (c == '.' && !fraction) {
            fraction = true;
        } else if (c < '0' || c > '9') {
            return 1000;
        } else if (!fraction) {
            value += (c - '0') * 1000;
        } else {
            unit /= 10;
            value += (c - '0') * unit;
        }
        value = value > 1000 ? 1000 : value;
    }
    return text.n ? value : 1000;
}

static struct media parse_media(struct span text)
{
    struct media m = {.weight = 1000};
    struct span rest = text;
    m.type = span_trim(span_cut(&rest, ';'));
    while (rest.n) {
        struct span value = span_trim(span_cut(&rest, ';'));
        struct span key = span_trim(span_cut(&value, '='));
        value = span_trim(value);
        if (span_eq_nocase(key, SPAN("as"))) {
            m.as = value;
        } else if (span_eq_nocase(key, SPAN("g"))) {
            m.group = value;
        } else if (span_eq_nocase(key, SPAN("v"))) {
            m.version = value;
        } else if (span_eq_nocase(key, SPAN("q"))) {
            m.weight = parse_weight(value);
        }
    }
    return m;
}

static bool is_json(struct span type)
{
    return span_eq_nocase(type, SPAN("application/json")) || span_eq(type, SPAN("*/*")) ||
           span_eq_nocase(type, SPAN("application/*"));
}

#define PROTOBUF "application/vnd.kubernetes.protobuf"

static bool pick(const struct media *m, enum api_forms forms, struct api_accept *ret)
{
    bool protobuf = forms != FORMS_DISCOVERY && span_eq_nocase(m->type, SPAN(PROTOBUF));
    bool yaml = span_eq_nocase(m->type, SPAN(API_YAML));
    *ret = (struct api_accept){FORM_JSON, "v1",
                               protobuf ? PROTOBUF
                               : yaml   ? API_YAML
                                        : "application/json",
                               protobuf, false};
    if (!is_json(m->type) && !protobuf && !yaml) {
        return false;
    }
    if (m->as.n == 0) {
        return true;
    }
    if (forms == FORMS_NONE) {
        return false;
    }
    if (forms == FORMS_DISCOVERY) {
        bool v2 = span_eq(m->version, SPAN("v2")), beta = span_eq(m->version, SPAN("v2beta1"));
        if (!span_eq(m->group, SPAN("apidiscovery.k8s.io")) || (!v2 && !beta) ||
            !span_eq(m->as, SPAN("APIGroupDiscoveryList"))) {
            return false;
        }
        if (yaml) {
            return false;
        }
        ret->form = FORM_DISCOVERY;
        ret->version = v2 ? "v2" : "v2beta1";
        ret->content_type =
            v2 ? "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
               : "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList";
        return true;
    }
    bool v1 = span_eq(m->version, SPAN("v1"));
    if (!span_eq(m->group, SPAN("meta.k8s.io")) || (!v1 && !span_eq(m->version, SPAN("v1beta1")))) {
        return false;
    }
    ret->version = v1 ? "v1" : "v1beta1";
    if (span_eq(m->as, SPAN("Table"))) {
        ret->form = FORM_TABLE;
        return !protobuf;
    }
    ret->form = FORM_PARTIAL;
    ret->is_list = span_eq(m->as, SPAN("PartialObjectMetadataList"));
    return ret->is_list || span_eq(m->as, SPAN("PartialObjectMetadata"));
}

bool api_negotiate(struct span accept, enum api_forms forms, struct api_accept *ret)
{
    assert(ret);
    assert(forms <= FORMS_NONE);
    *ret = (struct api_accept){FORM_JSON, "v1", "application/json", false, false};
    struct span rest = span_trim(accept);
    struct api_accept one;
    int best = rest.n == 0 ? 1000 : 0;
    while (rest.n) {
        struct media m = parse_media(span_cut(&rest, ','));
        if (m.weight > best && pick(&m, forms, &one)) {
            best = m.weight;
            *ret = one;
        }
    }
    return best > 0;
}
