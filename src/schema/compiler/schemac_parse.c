/* schema/compiler/schemac_parse.c: reads *.schema text (src/schema/README.md describes it) into the
 * model. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "schema/compiler/schemac.h"

enum { TOKENS_MAX = 24 };

struct row {
    struct sc_place at;
    char *tok[TOKENS_MAX];
    size_t n;
    const char *doc; /* text after " -- ", or NULL */
};

struct state {
    struct sc_model *m;
    const char *group, *version;
    int rank;
    enum { IN_NONE, IN_TYPE, IN_KIND } in;
};

static const struct {
    const char *text, *shape;
} shapes[] = {
    {"string", "STRING"},     {"bytes", "BYTES"}, {"int32", "INT32"},
    {"int64", "INT64"},       {"bool", "BOOL"},   {"double", "DOUBLE"},
    {"quantity", "QUANTITY"}, {"time", "TIME"},   {"microtime", "MICROTIME"},
    {"duration", "DURATION"}, {"any", "ANY"},     {"int-or-string", "INT_OR_STRING"},
};

static const struct {
    const char *text, *flag;
} flags[] = {
    {"required", "SCHEMA_REQUIRED"},          {"omitempty", "SCHEMA_OMITEMPTY"},
    {"retainkeys", "SCHEMA_RETAIN_KEYS"},     {"immutable", "SCHEMA_IMMUTABLE"},
    {"structatomic", "SCHEMA_STRUCT_ATOMIC"}, {"mergeset", "SCHEMA_MERGE"},
    {"optional", "SCHEMA_OPTIONAL"},
};

/* Splits a line in place into words; "quoted words" keep their spaces. */
static void split(struct row *r, char *line)
{
    char *doc = strstr(line, " -- ");
    if (doc) {
        *doc = '\0';
        r->doc = doc + 4;
    }
    char *p = line;
    while (true) {
        while (isspace((unsigned char)*p)) {
            p++;
        }
        if (!*p) {
            return;
        }
        if (r->n == TOKENS_MAX) {
            sc_fail(r->at, "too many words");
        }
        bool quoted = *p == '"';
        p += quoted;
        r->tok[r->n++] = p;
        while (*p && (quoted ? *p != '"' : !isspace((unsigned char)*p))) {
            p++;
        }
        if (quoted && !*p) {
            sc_fail(r->at, "a quotation mark is missing");
        }
        if (*p) {
            *p++ = '\0';
        }
    }
}

/* The value of KEY=VALUE, or NULL. */
static char *value_of(char *token, const char *key)
{
    size_t n = strlen(key);
    return strncmp(token, key, n) == 0 && token[n] == '=' ? token + n + 1 : NULL;
}

static const char *plain_shape(struct sc_field *f, char *text)
{
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        if (strcmp(text, shapes[i].text) == 0) {
            return shapes[i].shape;
        }
    }
    if (!isupper((unsigned char)*text) && !strchr(text, '.')) {
        sc_fail(f->at, "unknown type '%s'", text);
    }
    f->type_name = text;
    return "OBJECT";
}

static void add_flag(struct sc_field *f, const char *flag)
{
    f->flags = f->flags ? sc_format("%s | %s", f->flags, flag) : flag;
}

static void parse_type_word(struct sc_field *f, char *text)
{
    if (*text == '*') {
        add_flag(f, "SCHEMA_POINTER");
        text++;
    }
    if (strncmp(text, "[]", 2) == 0) {
        f->shape = "LIST";
        f->elem_shape = plain_shape(f, text + 2);
    } else if (strncmp(text, "map[]", 5) == 0) {
        f->shape = "MAP";
        f->elem_shape = strcmp(text + 5, "[]string") == 0 ? "LIST" : plain_shape(f, text + 5);
    } else {
        f->shape = plain_shape(f, text);
    }
}

static void parse_pb(struct sc_field *f, const char *text)
{
    unsigned part[3] = {0};
    int n = sscanf(text, "%u.%u.%u", &part[0], &part[1], &part[2]);
    for (int i = 0; i < n; i++) {
        if (part[i] == 0 || part[i] > 255) {
            sc_fail(f->at, "bad protobuf number '%s'", text);
        }
        f->pb = f->pb << 8 | part[i];
    }
}

static void parse_option(struct sc_field *f, char *token)
{
    char *v;
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
        if (strcmp(token, flags[i].text) == 0) {
            add_flag(f, flags[i].flag);
            return;
        }
    }
    if (strcmp(token, "set") == 0) {
        f->list_kind = "SCHEMA_LIST_SET";
    } else if ((v = value_of(token, "listmap"))) {
        f->list_kind = "SCHEMA_LIST_MAP";
        f->map_keys = v;
    } else if ((v = value_of(token, "merge"))) {
        add_flag(f, "SCHEMA_MERGE");
        f->merge_key = v;
    } else if ((v = value_of(token, "pb"))) {
        parse_pb(f, v);
    } else if ((v = value_of(token, "default"))) {
        f->default_json = v;
    } else if ((v = value_of(token, "values"))) {
        f->values = v;
    } else if ((v = value_of(token, "enum"))) {
        add_flag(f, "SCHEMA_ENUM_CLOSED");
        f->values = v;
    } else if ((v = value_of(token, "min"))) {
        f->min = v;
    } else if ((v = value_of(token, "max"))) {
        f->max = v;
    } else if ((v = value_of(token, "format"))) {
        f->format = v;
    } else {
        sc_fail(f->at, "unknown option '%s'", token);
    }
}

static void parse_field(struct state *s, struct row *r)
{
    struct sc_type *t = &s->m->types[s->m->type_n - 1];
    if (r->n < 2 || !r->doc) {
        sc_fail(r->at, "a field row is: NAME TYPE [OPTION...] -- DESCRIPTION");
    }
    t->fields = sc_push(t->fields, &t->n, sizeof *t->fields);
    struct sc_field *f = &t->fields[t->n - 1];
    f->at = r->at;
    f->name = r->tok[0];
    f->doc = r->doc;
    parse_type_word(f, r->tok[1]);
    for (size_t i = 2; i < r->n; i++) {
        parse_option(f, r->tok[i]);
    }
}

static void parse_sub(struct state *s, struct row *r)
{
    struct sc_kind *k = &s->m->kinds[s->m->kind_n - 1];
    if (r->n < 3 || r->n > 4) {
        sc_fail(r->at, "a subresource row is: sub NAME VERBS [GROUP/VERSION/KIND]");
    }
    k->subs = sc_push(k->subs, &k->sub_n, sizeof *k->subs);
    struct sc_sub *sub = &k->subs[k->sub_n - 1];
    *sub = (struct sc_sub){r->tok[1], r->tok[2], k->group, k->version, k->name};
    if (r->n == 4) {
        char *version = strchr(r->tok[3], '/');
        char *kind = version ? strchr(version + 1, '/') : NULL;
        if (!kind) {
            sc_fail(r->at, "'%s' is not GROUP/VERSION/KIND", r->tok[3]);
        }
        *version = *kind = '\0';
        sub->group = strcmp(r->tok[3], "core") == 0 ? "" : r->tok[3];
        sub->version = version + 1;
        sub->kind = kind + 1;
    }
}

static void parse_column(struct state *s, struct row *r)
{
    struct sc_kind *k = &s->m->kinds[s->m->kind_n - 1];
    if (r->n < 3 || !r->doc) {
        sc_fail(
            r->at,
            "a column row is: column NAME TYPE [format=F] [priority=N] [cell=C] -- DESCRIPTION");
    }
    k->columns = sc_push(k->columns, &k->column_n, sizeof *k->columns);
    struct sc_column *c = &k->columns[k->column_n - 1];
    *c = (struct sc_column){r->tok[1], r->tok[2], "", "0", NULL, r->doc};
    for (size_t i = 3; i < r->n; i++) {
        char *v;
        if ((v = value_of(r->tok[i], "format"))) {
            c->format = v;
        } else if ((v = value_of(r->tok[i], "priority"))) {
            c->priority = v;
        } else if ((v = value_of(r->tok[i], "cell"))) {
            c->cell = v;
        } else {
            sc_fail(r->at, "unknown option '%s'", r->tok[i]);
        }
    }
}

static void kind_option(struct sc_kind *k, char *token)
{
    const struct {
        const char *key;
        const char **to;
    } options[] = {
        {"list", &k->list},
        {"plural", &k->plural},
        {"singular", &k->singular},
        {"id", &k->id},
        {"hooks", &k->hooks},
        {"verbs", &k->verbs},
        {"name", &k->name_format},
        {"api", &k->api_version},
        {"short", &k->short_names},
        {"categories", &k->categories},
        {"stored-only", &k->stored_only},
        {"view", &k->view},
    };
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        char *v = value_of(token, options[i].key);
        if (v) {
            *options[i].to = v;
            return;
        }
    }
    if (strcmp(token, "cluster") == 0) {
        k->namespaced = false;
    } else if (strcmp(token, "unlisted") == 0) {
        k->unlisted = true;
    } else {
        sc_fail(k->at, "unknown option '%s'", token);
    }
}

static void parse_kind(struct state *s, struct row *r)
{
    if (r->n < 2 || !s->group) {
        sc_fail(r->at, "a kind row is: kind NAME OPTION..., after a group row");
    }
    s->m->kinds = sc_push(s->m->kinds, &s->m->kind_n, sizeof *s->m->kinds);
    struct sc_kind *k = &s->m->kinds[s->m->kind_n - 1];
    *k = (struct sc_kind){.at = r->at,
                          .group = s->group,
                          .version = s->version,
                          .name = r->tok[1],
                          .id = r->tok[1],
                          .hooks = "plain",
                          .verbs = "all",
                          .rank = s->rank,
                          .namespaced = true,
                          .name_format = "dns-subdomain"};
    for (size_t i = 2; i < r->n; i++) {
        kind_option(k, r->tok[i]);
    }
    if (!k->plural && !k->unlisted) {
        sc_fail(r->at, "kind %s needs plural=", k->name);
    }
    s->in = IN_KIND;
}

/* type NAME [atomic] -- DESCRIPTION */
static bool is_type_row(const struct row *r)
{
    return r->doc && (r->n == 2 || (r->n == 3 && strcmp(r->tok[2], "atomic") == 0));
}

static void parse_row(struct state *s, struct row *r, bool indented)
{
    if (!indented && strcmp(r->tok[0], "group") == 0 && r->n >= 3) {
        s->group = strcmp(r->tok[1], "core") == 0 ? "" : r->tok[1];
        s->version = r->tok[2];
        s->rank = 0;
        if (r->n > 3 && value_of(r->tok[3], "rank")) {
            (void)sscanf(value_of(r->tok[3], "rank"), "%d", &s->rank);
        }
        s->in = IN_NONE;
    } else if (!indented && strcmp(r->tok[0], "type") == 0 && is_type_row(r) && s->group) {
        s->m->types = sc_push(s->m->types, &s->m->type_n, sizeof *s->m->types);
        struct sc_type *t = &s->m->types[s->m->type_n - 1];
        *t = (struct sc_type){.at = r->at,
                              .group = s->group,
                              .version = s->version,
                              .name = r->tok[1],
                              .doc = r->doc,
                              .atomic = r->n == 3};
        s->in = IN_TYPE;
    } else if (!indented && strcmp(r->tok[0], "kind") == 0) {
        parse_kind(s, r);
    } else if (indented && s->in == IN_TYPE) {
        parse_field(s, r);
    } else if (indented && s->in == IN_KIND && strcmp(r->tok[0], "sub") == 0) {
        parse_sub(s, r);
    } else if (indented && s->in == IN_KIND && strcmp(r->tok[0], "column") == 0) {
        parse_column(s, r);
    } else {
        sc_fail(r->at, "'%s' does not belong here", r->tok[0]);
    }
}

void sc_parse_file(struct sc_model *m, const char *file)
{
    FILE *in = fopen(file, "r");
    if (!in) {
        perror(file);
        exit(1);
    }
    struct state s = {.m = m};
    char *line = NULL;
    size_t cap = 0;
    ssize_t n;
    for (int number = 1; (n = getline(&line, &cap, in)) >= 0; number++) {
        while (n > 0 && isspace((unsigned char)line[n - 1])) {
            line[--n] = '\0';
        }
        struct row r = {.at = {file, number}};
        char *copy = sc_format("%s", line);
        bool indented = isspace((unsigned char)*copy);
        if (*copy == '#') {
            continue;
        }
        split(&r, copy);
        if (r.n) {
            parse_row(&s, &r, indented);
        }
    }
    free(line);
    (void)fclose(in);
}
