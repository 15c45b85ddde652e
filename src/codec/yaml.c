#include "codec/yaml.h"

#include <yaml.h>

#include "base/check.h"
#include "base/limits.h"
#include "codec/json.h"

struct reader {
    struct arena *a;
    yyjson_mut_doc *doc;
    yaml_document_t *yaml;
    size_t nodes;
    struct err *err;
};

static yyjson_mut_val *fail(struct reader *r, const yaml_node_t *node, const char *why)
{
    (void)err_set(r->a, r->err, ERR_BAD_REQUEST, "invalid YAML at line %zu, column %zu: %s",
                  node->start_mark.line + 1, node->start_mark.column + 1, why);
    return NULL;
}

static struct span scalar_text(const yaml_node_t *node)
{
    return span_of((const char *)node->data.scalar.value, node->data.scalar.length);
}

static bool is_one_of(struct span s, const char *const *words)
{
    for (size_t i = 0; words[i]; i++) {
        if (span_eq_cstr(s, words[i])) {
            return true;
        }
    }
    return false;
}

static bool all_digits(struct span s, int base)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool ok = base == 16
                      ? (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F')
                      : c >= '0' && c < '0' + base;
        if (!ok) {
            return false;
        }
    }
    return s.n > 0;
}

/* 0x1f, 0o17, 017 and 0b11 as YAML 1.1 and 1.2 write them (0644 is a file mode in many manifests).
 */
static bool parse_based(struct span s, int64_t *ret)
{
    bool negative = s.n && s.p[0] == '-';
    if (s.n && (s.p[0] == '-' || s.p[0] == '+')) {
        s = span_from(s, 1);
    }
    if (s.n < 2 || s.p[0] != '0') {
        return false;
    }
    char c = s.p[1];
    int base = c == 'x' ? 16 : c == 'b' ? 2 : 8;
    struct span digits = span_from(s, c == 'x' || c == 'b' || c == 'o' ? 2 : 1);
    if (digits.n > 15 || !all_digits(digits, base)) {
        return false;
    }
    int64_t v = 0;
    for (size_t i = 0; i < digits.n; i++) {
        char d = digits.p[i];
        v = v * base + (d <= '9' ? d - '0' : (d | 0x20) - 'a' + 10);
    }
    *ret = negative ? -v : v;
    return true;
}

/* [-+]digits[.digits][e[-+]digits] with at least one digit, and a '.' or an exponent. */
static bool looks_real(struct span s)
{
    size_t i = s.n && (s.p[0] == '-' || s.p[0] == '+'), digits = 0, marks = 0;
    for (; i < s.n && ((s.p[i] >= '0' && s.p[i] <= '9') || (s.p[i] == '.' && !marks)); i++) {
        digits += s.p[i] != '.';
        marks += s.p[i] == '.';
    }
    if (digits == 0) {
        return false;
    }
    if (i < s.n && (s.p[i] == 'e' || s.p[i] == 'E')) {
        marks++;
        i++;
        i += i < s.n && (s.p[i] == '-' || s.p[i] == '+');
        size_t from = i;
        while (i < s.n && s.p[i] >= '0' && s.p[i] <= '9') {
            i++;
        }
        if (i == from) {
            return false;
        }
    }
    return i == s.n && marks > 0;
}

/* A number in the spelling of JSON, so that yyjson's own reader makes the double. */
static yyjson_mut_val *real_value(struct reader *r, struct span s)
{
    char text[64];
    size_t n = 0;
    if (s.n && s.p[0] == '+') {
        s = span_from(s, 1);
    }
    if (s.n + 4 > sizeof text) {
        return NULL;
    }
    for (size_t i = 0; i < s.n; i++) {
        bool after_digit = n > 0 && text[n - 1] >= '0' && text[n - 1] <= '9';
        if (s.p[i] == '.' && !after_digit) {
            text[n++] = '0';
        }
        if ((s.p[i] == 'e' || s.p[i] == 'E') && n > 0 && text[n - 1] == '.') {
            text[n++] = '0';
        }
        text[n++] = s.p[i];
    }
    if (n > 0 && text[n - 1] == '.') {
        text[n++] = '0';
    }
    yyjson_doc *doc = NULL;
    if (json_parse(r->a, span_of(text, n), &doc, NULL) ||
        !yyjson_is_num(yyjson_doc_get_root(doc))) {
        return NULL;
    }
    return json_mut_copy(r->doc, yyjson_doc_get_root(doc));
}

static yyjson_mut_val *plain_value(struct reader *r, struct span s)
{
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL", NULL};
    static const char *const trues[] = {"true", "True", "TRUE", "yes", "Yes", "YES",
                                        "on",   "On",   "ON",   "y",   "Y",   NULL};
    static const char *const falses[] = {"false", "False", "FALSE", "no", "No", "NO",
                                         "off",   "Off",   "OFF",   "n",  "N",  NULL};
    int64_t number;
    uint64_t big;
    if (is_one_of(s, nulls)) {
        return yyjson_mut_null(r->doc);
    }
    if (is_one_of(s, trues)) {
        return yyjson_mut_bool(r->doc, true);
    }
    if (is_one_of(s, falses)) {
        return yyjson_mut_bool(r->doc, false);
    }
    if (parse_based(s, &number) || span_to_i64(s, &number)) {
        return yyjson_mut_sint(r->doc, number);
    }
    if (span_to_u64(s, &big)) {
        return yyjson_mut_uint(r->doc, big);
    }
    yyjson_mut_val *real = looks_real(s) ? real_value(r, s) : NULL;
    return real ? real : json_new_str(r->doc, arena_dup(r->a, s));
}

bool yaml_plain_is_text(struct arena *a, struct span s)
{
    assert(a);
    struct reader r = {.a = a, .doc = json_mut_new(a)};
    return yyjson_mut_is_str(plain_value(&r, s));
}

static yyjson_mut_val *scalar(struct reader *r, const yaml_node_t *node)
{
    struct span s = scalar_text(node);
    const char *tag = (const char *)node->tag;
    bool is_string = tag && strcmp(tag, YAML_STR_TAG) == 0;
    bool plain = node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    /* libyaml tags every untagged scalar as a string; only the style tells them apart. */
    if (plain && (!tag || is_string)) {
        return plain_value(r, s);
    }
    return json_new_str(r->doc, arena_dup(r->a, s));
}

static yyjson_mut_val *value(struct reader *r, int index, size_t depth);

static yyjson_mut_val *mapping(struct reader *r, const yaml_node_t *node, size_t depth)
{
    yyjson_mut_val *obj = yyjson_mut_obj(r->doc);
    for (yaml_node_pair_t *p = node->data.mapping.pairs.start; p < node->data.mapping.pairs.top;
         p++) {
        const yaml_node_t *key = yaml_document_get_node(r->yaml, p->key);
        if (!key || key->type != YAML_SCALAR_NODE) {
            return fail(r, key ? key : node, "a key must be a plain value");
        }
        yyjson_mut_val *v = value(r, p->value, depth + 1);
        if (!v) {
            return NULL;
        }
        /* Added, not put: a duplicate stays visible. */
        yyjson_mut_obj_add(obj, json_new_str(r->doc, arena_dup(r->a, scalar_text(key))), v);
    }
    return obj;
}

static yyjson_mut_val *sequence(struct reader *r, const yaml_node_t *node, size_t depth)
{
    yyjson_mut_val *arr = yyjson_mut_arr(r->doc);
    for (yaml_node_item_t *i = node->data.sequence.items.start; i < node->data.sequence.items.top;
         i++) {
        yyjson_mut_val *v = value(r, *i, depth + 1);
        if (!v) {
            return NULL;
        }
        yyjson_mut_arr_append(arr, v);
    }
    return arr;
}

/* Recursion is bounded by LIMIT_JSON_DEPTH, which also ends an alias that contains itself. */
static yyjson_mut_val *value(struct reader *r, int index, size_t depth)
{
    const yaml_node_t *node = yaml_document_get_node(r->yaml, index);
    assert(node);
    if (depth > LIMIT_JSON_DEPTH) {
        return fail(r, node, "nested too deeply");
    }
    if (++r->nodes > LIMIT_YAML_NODES) {
        return fail(r, node, "too many values (aliases count each time they are used)");
    }
    switch (node->type) {
    case YAML_SCALAR_NODE:
        return scalar(r, node);
    case YAML_SEQUENCE_NODE:
        return sequence(r, node, depth);
    case YAML_MAPPING_NODE:
        return mapping(r, node, depth);
    case YAML_NO_NODE:
        break;
    }
    return fail(r, node, "unknown node");
}

static int parser_failed(struct reader *r, const yaml_parser_t *parser)
{
    return err_set(r->a, r->err, ERR_BAD_REQUEST, "invalid YAML at line %zu, column %zu: %s",
                   parser->problem_mark.line + 1, parser->problem_mark.column + 1,
                   parser->problem ? parser->problem : "malformed");
}

/* libyaml loads recursively and without a bound on depth: events are counted first. */
static int check_depth(struct reader *r, struct span text)
{
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser)) {
        return err_set(r->a, r->err, ERR_INTERNAL, "no memory for YAML");
    }
    yaml_parser_set_input_string(&parser, (const unsigned char *)text.p, text.n);
    size_t depth = 0, events = 0;
    int rc = 0;
    for (bool more = true; more && rc == 0;) {
        yaml_event_t e;
        if (!yaml_parser_parse(&parser, &e)) {
            rc = parser_failed(r, &parser);
            break;
        }
        depth += e.type == YAML_MAPPING_START_EVENT || e.type == YAML_SEQUENCE_START_EVENT;
        depth -= e.type == YAML_MAPPING_END_EVENT || e.type == YAML_SEQUENCE_END_EVENT;
        more = e.type != YAML_STREAM_END_EVENT;
        yaml_event_delete(&e);
        if (depth > LIMIT_JSON_DEPTH || ++events > LIMIT_YAML_NODES) {
            rc = err_set(r->a, r->err, ERR_BAD_REQUEST,
                         "the YAML is nested deeper than %d levels or has more than %d values",
                         LIMIT_JSON_DEPTH, LIMIT_YAML_NODES);
        }
    }
    yaml_parser_delete(&parser);
    return rc;
}

static yyjson_val *load(struct reader *r, yaml_parser_t *parser)
{
    yaml_document_t yaml, second;
    if (!yaml_parser_load(parser, &yaml)) {
        (void)parser_failed(r, parser);
        return NULL;
    }
    r->yaml = &yaml;
    yyjson_mut_val *v =
        yaml_document_get_root_node(&yaml) ? value(r, 1, 0) : yyjson_mut_null(r->doc);
    if (v && yaml_document_get_root_node(&yaml)) {
        if (!yaml_parser_load(parser, &second)) {
            (void)parser_failed(r, parser);
            v = NULL;
        } else {
            if (yaml_document_get_root_node(&second)) {
                (void)err_set(r->a, r->err, ERR_BAD_REQUEST,
                              "the YAML holds several documents: send them one by one");
                v = NULL;
            }
            yaml_document_delete(&second);
        }
    }
    yyjson_val *out = v ? json_freeze(r->a, v) : NULL;
    yaml_document_delete(&yaml);
    return out;
}

yyjson_val *yaml_parse(struct arena *a, struct span text, struct err *reterr)
{
    assert(a);
    assert(text.p || text.n == 0);
    struct err ignored;
    struct reader r = {.a = a, .doc = json_mut_new(a), .err = reterr ? reterr : &ignored};
    if (text.n > LIMIT_BODY_BYTES) {
        (void)err_set(a, r.err, ERR_TOO_LARGE, "the YAML has %zu bytes, more than the limit of %d",
                      text.n, LIMIT_BODY_BYTES);
        return NULL;
    }
    if (check_depth(&r, text)) {
        return NULL;
    }
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser)) {
        (void)err_set(a, r.err, ERR_INTERNAL, "no memory for YAML");
        return NULL;
    }
    yaml_parser_set_input_string(&parser, (const unsigned char *)text.p, text.n);
    yyjson_val *out = load(&r, &parser);
    yaml_parser_delete(&parser);
    return out;
}
