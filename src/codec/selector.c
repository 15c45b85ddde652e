/* codec/selector.c: label selectors. A hand-written reader over a span: one token of look-ahead,
 * errors stick in the cursor, memory is two arena arrays sized by a limit. Field selectors are in
 * codec/selector_field.c. */
#include "codec/selector.h"

#include "base/check.h"
#include "base/limits.h"
#include "base/sort.h"
#include "base/strbuf.h"
#include "codec/names.h"

enum token { TOKEN_END, TOKEN_WORD, TOKEN_OPEN, TOKEN_CLOSE, TOKEN_COMMA, TOKEN_OP };

struct reader {
    struct arena *a;
    struct err *err;
    struct span rest;
    enum token token;
    struct span text; /* of the token */
    struct selector_term *terms;
    struct span *values;
    size_t term_count, value_count;
};

/* ---- text form ---- */

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool is_special(char c)
{
    return c == '=' || c == '!' || c == '(' || c == ')' || c == ',' || c == '<' || c == '>';
}

static void advance(struct reader *r)
{
    while (r->rest.n > 0 && is_space(r->rest.p[0])) {
        r->rest = span_from(r->rest, 1);
    }
    size_t n = 0;
    if (r->rest.n == 0) {
        r->token = TOKEN_END;
    } else if (!is_special(r->rest.p[0])) {
        while (n < r->rest.n && !is_special(r->rest.p[n]) && !is_space(r->rest.p[n])) {
            n++;
        }
        r->token = TOKEN_WORD;
    } else {
        char c = r->rest.p[0];
        n = 1;
        if ((c == '=' || c == '!') && r->rest.n > 1 && r->rest.p[1] == '=') {
            n = 2;
        }
        r->token = c == '('   ? TOKEN_OPEN
                   : c == ')' ? TOKEN_CLOSE
                   : c == ',' ? TOKEN_COMMA
                              : TOKEN_OP;
    }
    r->text = span_first(r->rest, n);
    r->rest = span_from(r->rest, n);
}

static bool is_op(const struct reader *r, const char *op)
{
    return r->token == TOKEN_OP && span_eq_cstr(r->text, op);
}

/* Texts as those of k8s.io/apimachinery's labels.Parse; `expected` with its comma and colon. */
static int fail_found(struct reader *r, const char *expected)
{
    return err_set(r->a, r->err, ERR_BAD_REQUEST, "found '%.*s'%s", SPAN_ARG(r->text), expected);
}

static int fail_requirement(struct reader *r, const char *expected)
{
    return err_set(r->a, r->err, ERR_BAD_REQUEST, "unable to parse requirement: found '%.*s'%s",
                   SPAN_ARG(r->text), expected);
}

static int fail_operator(struct reader *r)
{
    return fail_requirement(r, ", expected: in, notin, =, ==, !=, gt, lt");
}

static struct span joined(struct arena *a, const struct names_fault *fault)
{
    struct span all = span_cstr(fault->text[0]);
    for (size_t i = 1; i < fault->n; i++) {
        all = arena_printf(a, "%.*s; %s", SPAN_ARG(all), fault->text[i]);
    }
    return all;
}

/* The index'th value of the key. */
static int add_value(struct reader *r, struct span key, size_t index, struct span value)
{
    if (r->term_count + r->value_count >= LIMIT_SELECTOR_TERMS) {
        return err_set(r->a, r->err, ERR_BAD_REQUEST, "a selector may have at most %d terms",
                       LIMIT_SELECTOR_TERMS);
    }
    struct names_fault fault = names_label_value(value);
    if (fault.n > 0) {
        return err_set(r->a, r->err, ERR_BAD_REQUEST,
                       "unable to parse requirement: values[%zu][%.*s]: Invalid value: \"%.*s\": "
                       "%.*s",
                       index, SPAN_ARG(span_first(key, 128)), SPAN_ARG(span_first(value, 128)),
                       SPAN_ARG(joined(r->a, &fault)));
    }
    r->values[r->value_count++] = value;
    return 0;
}

/* "(" value {"," value} ")"; values may be empty. */
static int parse_set(struct reader *r, struct span key)
{
    if (r->token != TOKEN_OPEN) {
        return fail_requirement(r, " expected: '('");
    }
    advance(r);
    for (size_t i = 0;; i++) {
        struct span value = SPAN_NULL;
        bool named = r->token == TOKEN_WORD;
        if (named) {
            value = r->text;
            advance(r);
        }
        if (r->token != TOKEN_COMMA && r->token != TOKEN_CLOSE) {
            return fail_requirement(r, named    ? ", expected: ',' or ')'"
                                       : i == 0 ? ", expected: ',', ')' or identifier"
                                                : ", expected: ',', or identifier");
        }
        if (add_value(r, key, i, value) < 0) {
            return -1;
        }
        bool end = r->token == TOKEN_CLOSE;
        advance(r);
        if (end) {
            return 0;
        }
    }
}

static int parse_comparison(struct reader *r, struct selector_term *term)
{
    term->op = is_op(r, "!=")  ? SELECTOR_NOT_EQUALS
               : is_op(r, ">") ? SELECTOR_GREATER
               : is_op(r, "<") ? SELECTOR_LESS
                               : SELECTOR_EQUALS;
    if (is_op(r, "!")) {
        return fail_operator(r);
    }
    advance(r);
    struct span value = SPAN_NULL;
    if (r->token == TOKEN_WORD) {
        value = r->text;
        advance(r);
    } else if (r->token != TOKEN_END && r->token != TOKEN_COMMA) {
        return fail_requirement(r, ", expected: identifier");
    }
    int64_t number;
    if ((term->op == SELECTOR_GREATER || term->op == SELECTOR_LESS) &&
        !span_to_i64(value, &number)) {
        return err_set(r->a, r->err, ERR_BAD_REQUEST,
                       "unable to parse requirement: values[0]: Invalid value: \"%.*s\": for 'Gt', "
                       "'Lt' operators, the value must be an integer",
                       SPAN_ARG(value));
    }
    return add_value(r, term->key, 0, value);
}

static int check_key(struct reader *r, struct span key, enum err_reason reason)
{
    struct names_fault fault = names_qualified(key);
    if (fault.n > 0) {
        return err_set(r->a, r->err, reason,
                       "unable to parse requirement: <nil>: Invalid value: \"%.*s\": %.*s",
                       SPAN_ARG(span_first(key, 128)), SPAN_ARG(joined(r->a, &fault)));
    }
    return 0;
}

static int parse_term(struct reader *r)
{
    struct selector_term *term = &r->terms[r->term_count];
    bool negated = is_op(r, "!");
    if (negated) {
        advance(r);
    }
    if (r->token != TOKEN_WORD) {
        return fail_requirement(r, ", expected: identifier");
    }
    term->key = r->text;
    term->values = &r->values[r->value_count];
    size_t before = r->value_count;
    if (check_key(r, term->key, ERR_BAD_REQUEST) < 0) {
        return -1;
    }
    advance(r);
    int rc = 0;
    if (negated || r->token == TOKEN_END || r->token == TOKEN_COMMA) {
        term->op = negated ? SELECTOR_NOT_EXISTS : SELECTOR_EXISTS;
    } else if (r->token == TOKEN_OP) {
        rc = parse_comparison(r, term);
    } else if (span_eq_cstr(r->text, "in") || span_eq_cstr(r->text, "notin")) {
        term->op = r->text.n == 2 ? SELECTOR_IN : SELECTOR_NOT_IN;
        advance(r);
        rc = parse_set(r, term->key);
    } else {
        rc = fail_operator(r);
    }
    term->n = r->value_count - before;
    r->term_count++;
    return rc;
}

static void reader_alloc(struct reader *r, size_t terms, size_t values)
{
    assert(terms <= LIMIT_SELECTOR_TERMS + 1);
    assert(values <= LIMIT_SELECTOR_TERMS + 1);
    r->terms = ARENA_ARRAY(r->a, struct selector_term, terms + 1);
    r->values = ARENA_ARRAY(r->a, struct span, values + 1);
}

static struct selector reader_result(const struct reader *r)
{
    return (struct selector){.terms = r->terms, .n = r->term_count};
}

int selector_parse(struct arena *a, struct span text, struct selector *ret, struct err *reterr)
{
    assert(ret);
    struct reader r = {.a = a, .err = reterr, .rest = text};
    size_t commas = 0;
    for (size_t i = 0; i < text.n && commas < LIMIT_SELECTOR_TERMS; i++) {
        commas += text.p[i] == ',';
    }
    reader_alloc(&r, commas + 1, commas + 1);
    advance(&r);
    while (r.token != TOKEN_END) {
        if (r.term_count + r.value_count >= LIMIT_SELECTOR_TERMS || r.term_count > commas) {
            return err_set(a, reterr, ERR_BAD_REQUEST, "a selector may have at most %d terms",
                           LIMIT_SELECTOR_TERMS);
        }
        if (r.token != TOKEN_WORD && !is_op(&r, "!")) {
            return fail_found(&r, ", expected: !, identifier, or 'end of string'");
        }
        if (parse_term(&r) < 0) {
            return -1;
        }
        if (r.token == TOKEN_END) {
            break;
        }
        if (r.token != TOKEN_COMMA) {
            return fail_found(&r, ", expected: ',' or 'end of string'");
        }
        advance(&r);
        if (r.token != TOKEN_WORD && !is_op(&r, "!")) {
            return fail_found(&r, ", expected: identifier after ','");
        }
    }
    *ret = reader_result(&r);
    return 0;
}

/* ---- object form ---- */

static struct span str_of(const yyjson_val *v)
{
    return yyjson_is_str((yyjson_val *)v) ? span_of(unsafe_yyjson_get_str((yyjson_val *)v),
                                                    unsafe_yyjson_get_len((yyjson_val *)v))
                                          : SPAN_NULL;
}

static int add_labels(struct reader *r, yyjson_val *labels)
{
    yyjson_obj_iter it = yyjson_obj_iter_with(labels);
    for (yyjson_val *key; (key = yyjson_obj_iter_next(&it));) {
        struct selector_term *term = &r->terms[r->term_count++];
        *term = (struct selector_term){.key = str_of(key),
                                       .op = SELECTOR_EQUALS,
                                       .values = &r->values[r->value_count],
                                       .n = 1};
        if (check_key(r, term->key, ERR_INVALID) < 0 ||
            add_value(r, term->key, 0, str_of(yyjson_obj_iter_get_val(key))) < 0) {
            return -1;
        }
    }
    return 0;
}

static int add_expression(struct reader *r, yyjson_val *expr)
{
    struct selector_term *term = &r->terms[r->term_count++];
    struct span op = str_of(yyjson_obj_get(expr, "operator"));
    yyjson_val *values = yyjson_obj_get(expr, "values");
    size_t n = yyjson_arr_size(values);
    bool set = span_eq_cstr(op, "In") || span_eq_cstr(op, "NotIn");
    bool existence = span_eq_cstr(op, "Exists") || span_eq_cstr(op, "DoesNotExist");

    *term = (struct selector_term){
        .key = str_of(yyjson_obj_get(expr, "key")), .values = &r->values[r->value_count], .n = n};
    if (!set && !existence) {
        return err_set(r->a, r->err, ERR_INVALID, "\"%.*s\" is not a valid label selector operator",
                       SPAN_ARG(op));
    }
    if (set && n == 0) {
        return err_set(
            r->a, r->err, ERR_INVALID,
            "values: Invalid value: []: for 'in', 'notin' operators, values set can't be empty");
    }
    if (existence && n > 0) {
        return err_set(
            r->a, r->err, ERR_INVALID,
            "values: Invalid value: values set must be empty for exists and does not exist");
    }
    term->op = set ? (op.n == 2 ? SELECTOR_IN : SELECTOR_NOT_IN)
                   : (op.n == 6 ? SELECTOR_EXISTS : SELECTOR_NOT_EXISTS);
    if (check_key(r, term->key, ERR_INVALID) < 0) {
        return -1;
    }
    size_t i, max;
    yyjson_val *v;
    yyjson_arr_foreach(values, i, max, v)
    {
        if (add_value(r, term->key, i, str_of(v)) < 0) {
            return -1;
        }
    }
    return 0;
}

static int from_parts(struct arena *a, yyjson_val *labels, yyjson_val *exprs, struct selector *ret,
                      struct err *reterr)
{
    struct reader r = {.a = a, .err = reterr};
    size_t terms = yyjson_obj_size(labels) + yyjson_arr_size(exprs),
           values = yyjson_obj_size(labels);
    size_t i, max;
    yyjson_val *expr;
    yyjson_arr_foreach(exprs, i, max, expr)
    {
        values += yyjson_arr_size(yyjson_obj_get(expr, "values"));
    }
    if (terms > LIMIT_SELECTOR_TERMS || values > LIMIT_SELECTOR_TERMS) {
        return err_set(a, reterr, ERR_INVALID, "a selector may have at most %d terms",
                       LIMIT_SELECTOR_TERMS);
    }
    reader_alloc(&r, terms, values);
    int rc = add_labels(&r, labels);
    if (rc == 0) {
        yyjson_arr_foreach(exprs, i, max, expr)
        {
            if (rc == 0) {
                rc = add_expression(&r, expr);
            }
        }
    }
    if (rc < 0) {
        if (reterr) {
            reterr->reason = ERR_INVALID;
        }
        return -1;
    }
    *ret = reader_result(&r);
    return 0;
}

int selector_from_object(struct arena *a, const yyjson_val *obj, struct selector *ret,
                         struct err *reterr)
{
    assert(ret);
    yyjson_val *v = (yyjson_val *)obj;
    if (!v || yyjson_is_null(v)) {
        *ret = (struct selector){.nothing = true};
        return 0;
    }
    return from_parts(a, yyjson_obj_get(v, "matchLabels"), yyjson_obj_get(v, "matchExpressions"),
                      ret, reterr);
}

int selector_from_map(struct arena *a, const yyjson_val *map, struct selector *ret,
                      struct err *reterr)
{
    assert(ret);
    yyjson_val *v = (yyjson_val *)map;
    if (yyjson_obj_size(v) == 0) {
        *ret = (struct selector){.nothing = true};
        return 0;
    }
    return from_parts(a, v, NULL, ret, reterr);
}

/* ---- matching ---- */

static bool among(const struct selector_term *term, struct span value)
{
    for (size_t i = 0; i < term->n; i++) {
        if (span_eq(term->values[i], value)) {
            return true;
        }
    }
    return false;
}

static bool term_matches(const struct selector_term *term, const yyjson_val *labels)
{
    yyjson_val *label = yyjson_obj_getn((yyjson_val *)labels, term->key.p, term->key.n);
    bool present = yyjson_is_str(label);
    struct span value = str_of(label);
    int64_t have, bound;
    switch (term->op) {
    case SELECTOR_EQUALS:
    case SELECTOR_IN:
        return present && among(term, value);
    case SELECTOR_NOT_EQUALS:
    case SELECTOR_NOT_IN:
        return !present || !among(term, value);
    case SELECTOR_EXISTS:
        return present;
    case SELECTOR_NOT_EXISTS:
        return !present;
    case SELECTOR_GREATER:
    case SELECTOR_LESS:
        assert(term->n == 1);
        if (!present || !span_to_i64(value, &have) || !span_to_i64(term->values[0], &bound)) {
            return false;
        }
        return term->op == SELECTOR_GREATER ? have > bound : have < bound;
    }
    return false;
}

bool selector_matches(const struct selector *s, const yyjson_val *labels)
{
    assert(s);
    if (s->nothing) {
        return false;
    }
    for (size_t i = 0; i < s->n; i++) {
        if (!term_matches(&s->terms[i], labels)) {
            return false;
        }
    }
    return true;
}

/* ---- canonical text ---- */

static int cmp_term(const void *x, const void *y)
{
    const struct selector_term *const *a = x, *const *b = y;
    int rc = span_cmp((*a)->key, (*b)->key);
    return rc != 0 ? rc : (*a > *b) - (*a < *b);
}

static int cmp_span(const void *x, const void *y)
{
    return span_cmp(*(const struct span *)x, *(const struct span *)y);
}

static void put_set(struct arena *a, struct strbuf *b, const struct selector_term *term)
{
    struct span *sorted = ARENA_ARRAY(a, struct span, term->n + 1);
    for (size_t i = 0; i < term->n; i++) {
        sorted[i] = term->values[i];
    }
    sort_few(sorted, term->n, sizeof *sorted, cmp_span);
    strbuf_puts(b, term->op == SELECTOR_IN ? " in (" : " notin (");
    for (size_t i = 0; i < term->n; i++) {
        strbuf_puts(b, i > 0 ? "," : "");
        strbuf_put(b, sorted[i]);
    }
    strbuf_putc(b, ')');
}

struct span selector_text(struct arena *a, const struct selector *s)
{
    assert(s);
    static const char *const signs[] = {[SELECTOR_EQUALS] = "=",
                                        [SELECTOR_NOT_EQUALS] = "!=",
                                        [SELECTOR_GREATER] = ">",
                                        [SELECTOR_LESS] = "<"};
    struct strbuf b cleanup_strbuf = STRBUF_INIT;
    const struct selector_term **sorted = ARENA_ARRAY(a, const struct selector_term *, s->n + 1);
    for (size_t i = 0; i < s->n; i++) {
        sorted[i] = &s->terms[i];
    }
    sort_few(sorted, s->n, sizeof *sorted, cmp_term);
    for (size_t i = 0; i < s->n; i++) {
        const struct selector_term *term = sorted[i];
        strbuf_puts(&b, i > 0 ? "," : "");
        strbuf_puts(&b, term->op == SELECTOR_NOT_EXISTS ? "!" : "");
        strbuf_put(&b, term->key);
        if (term->op == SELECTOR_IN || term->op == SELECTOR_NOT_IN) {
            put_set(a, &b, term);
        } else if (term->op != SELECTOR_EXISTS && term->op != SELECTOR_NOT_EXISTS) {
            assert(term->n == 1);
            strbuf_puts(&b, signs[term->op]);
            strbuf_put(&b, term->values[0]);
        }
    }
    return arena_dup(a, strbuf_span(&b));
}
