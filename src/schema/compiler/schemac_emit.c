/* schema/compiler/schemac_emit.c: resolves the model and writes it as C tables (struct schema_type
 * and schema_kind). */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "schema/compiler/schemac.h"
#include "schema/name_hash.h"

enum { FIELDS_MAX = 64, NO_FIELD = 0xff }; /* as in schema/schema.h */

/* ---- resolving ---- */

static const struct sc_type *find_type(const struct sc_model *m, const char *group,
                                       const char *version, const char *name)
{
    for (size_t i = 0; i < m->type_n; i++) {
        const struct sc_type *t = &m->types[i];
        if (strcmp(t->group, group) == 0 && strcmp(t->version, version) == 0 &&
            strcmp(t->name, name) == 0) {
            return t;
        }
    }
    return NULL;
}

/* "Volume" is of the own group; "meta.Condition" and "core.PodSpec" name another (always v1). */
static void resolve_field(const struct sc_model *m, const struct sc_type *t, struct sc_field *f)
{
    const char *dot = strchr(f->type_name, '.');
    if (dot) {
        char *group = sc_format("%.*s", (int)(dot - f->type_name), f->type_name);
        f->type = find_type(m, strcmp(group, "core") == 0 ? "" : group, "v1", dot + 1);
    } else {
        f->type = find_type(m, t->group, t->version, f->type_name);
    }
    if (!f->type) {
        sc_fail(f->at, "no type '%s'", f->type_name);
    }
}

static void check_type(const struct sc_model *m, size_t index)
{
    const struct sc_type *t = &m->types[index];
    if (t->n > FIELDS_MAX) {
        sc_fail(t->at, "type %s has more than %d fields", t->name, FIELDS_MAX);
    }
    if (find_type(m, t->group, t->version, t->name) != t) {
        sc_fail(t->at, "type %s is there twice", t->name);
    }
    for (size_t i = 0; i < t->n; i++) {
        for (size_t j = i + 1; j < t->n; j++) {
            if (strcmp(t->fields[i].name, t->fields[j].name) == 0) {
                sc_fail(t->fields[j].at, "field %s is there twice", t->fields[j].name);
            }
            if (t->fields[i].pb && t->fields[i].pb == t->fields[j].pb) {
                sc_fail(t->fields[j].at, "protobuf number of %s is taken", t->fields[j].name);
            }
        }
    }
}

/* The list type of a kind is always the same four fields, so no row is needed for it. */
static void add_list_type(struct sc_model *m, const struct sc_kind *k)
{
    m->types = sc_push(m->types, &m->type_n, sizeof *m->types);
    struct sc_type *t = &m->types[m->type_n - 1];
    *t = (struct sc_type){.at = k->at,
                          .group = k->group,
                          .version = k->version,
                          .name = k->list,
                          .doc = sc_format("A list of %s objects.", k->name)};
    const struct sc_field rows[] = {
        {.name = "kind",
         .shape = "STRING",
         .flags = "SCHEMA_OMITEMPTY",
         .doc = "Name of this list's schema."},
        {.name = "apiVersion",
         .shape = "STRING",
         .flags = "SCHEMA_OMITEMPTY",
         .doc = "Group and version of this list's schema."},
        {.name = "metadata",
         .shape = "OBJECT",
         .type_name = "meta.ListMeta",
         .pb = 1,
         .flags = "SCHEMA_OMITEMPTY",
         .doc = "Revision of the list and how to go on reading it."},
        {.name = "items",
         .shape = "LIST",
         .elem_shape = "OBJECT",
         .type_name = k->name,
         .pb = 2,
         .flags = "SCHEMA_REQUIRED",
         .doc = "The objects."},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        t->fields = sc_push(t->fields, &t->n, sizeof *t->fields);
        t->fields[t->n - 1] = rows[i];
        t->fields[t->n - 1].at = k->at;
    }
}

/* Discovery order: groups by rank, then by name; kinds by plural. */
static int compare_kinds(const void *a, const void *b)
{
    const struct sc_kind *ka = a, *kb = b;
    if (ka->rank != kb->rank) {
        return ka->rank - kb->rank;
    }
    int c = strcmp(ka->group, kb->group);
    if (c == 0) {
        c = strcmp(kb->version, ka->version); /* the newest first: clients prefer it */
    }
    if (c == 0) {
        c = strcmp(ka->plural ? ka->plural : "", kb->plural ? kb->plural : "");
    }
    return c ? c : strcmp(ka->name, kb->name);
}

static bool has_flag(const struct sc_field *f, const char *flag)
{
    return f->flags && strstr(f->flags, flag);
}

static bool is_shape(const struct sc_field *f, const char *shape)
{
    return strcmp(f->shape, shape) == 0;
}

static bool holds_objects(const struct sc_field *f)
{
    return (is_shape(f, "LIST") || is_shape(f, "MAP")) && strcmp(f->elem_shape, "OBJECT") == 0;
}

/* Can the check of a row find anything? What is called metadata or status is checked elsewhere. */
static bool is_checked(const struct sc_field *f)
{
    if (strcmp(f->name, "metadata") == 0 || strcmp(f->name, "status") == 0) {
        return false;
    }
    return has_flag(f, "REQUIRED") || has_flag(f, "IMMUTABLE") || has_flag(f, "ENUM_CLOSED") ||
           f->min || f->max || f->format || is_shape(f, "ANY") || holds_objects(f) ||
           (is_shape(f, "OBJECT") && f->type->checked);
}

/* Does the row give a value to a field that is not there, or is there such a row inside? */
static bool is_defaulted(const struct sc_field *f)
{
    bool zero = is_shape(f, "STRING") || is_shape(f, "INT32") || is_shape(f, "INT64") ||
                is_shape(f, "BOOL");
    return f->default_json ||
           (!has_flag(f, "POINTER") &&
            (is_shape(f, "OBJECT") || (zero && !has_flag(f, "OMITEMPTY")))) ||
           ((is_shape(f, "OBJECT") || holds_objects(f)) && f->type->defaulted);
}

/* Types may hold themselves: until nothing changes. */
static void mark_types(struct sc_model *m)
{
    for (bool again = true; again;) {
        again = false;
        for (size_t i = 0; i < m->type_n; i++) {
            struct sc_type *t = &m->types[i];
            bool checked = t->checked, defaulted = t->defaulted;
            for (size_t j = 0; j < t->n; j++) {
                t->checked = t->checked || is_checked(&t->fields[j]);
                t->defaulted = t->defaulted || is_defaulted(&t->fields[j]);
            }
            again = again || checked != t->checked || defaulted != t->defaulted;
        }
    }
}

void sc_resolve(struct sc_model *m)
{
    qsort(m->kinds, m->kind_n, sizeof *m->kinds, compare_kinds);
    for (size_t i = 0; i < m->kind_n; i++) {
        if (m->kinds[i].list) {
            add_list_type(m, &m->kinds[i]);
        }
    }
    for (size_t i = 0; i < m->type_n; i++) {
        check_type(m, i);
        for (size_t j = 0; j < m->types[i].n; j++) {
            if (m->types[i].fields[j].type_name) {
                resolve_field(m, &m->types[i], &m->types[i].fields[j]);
            }
        }
    }
    mark_types(m);
    for (size_t i = 0; i < m->kind_n; i++) {
        struct sc_kind *k = &m->kinds[i];
        k->type = find_type(m, k->group, k->version, k->name);
        if (!k->type) {
            sc_fail(k->at, "kind %s has no type", k->name);
        }
    }
}

/* ---- writing ---- */

static void put_string(FILE *out, const char *s)
{
    if (!s) {
        fputs("NULL", out);
        return;
    }
    fputc('"', out);
    for (; *s; s++) {
        if (*s == '"' || *s == '\\') {
            fputc('\\', out);
        }
        fputc(*s, out);
    }
    fputc('"', out);
}

/* values=A,B becomes "A|B". */
static char *bars(const char *s)
{
    if (!s) {
        return NULL;
    }
    char *copy = sc_format("%s", s);
    for (char *p = copy; *p; p++) {
        if (*p == ',') {
            *p = '|';
        }
    }
    return copy;
}

static char *symbol(const struct sc_type *t)
{
    char *s = sc_format("%s_%s_%s", *t->group ? t->group : "core", t->version, t->name);
    for (char *p = s; *p; p++) {
        if (!isalnum((unsigned char)*p)) {
            *p = '_';
        }
    }
    return s;
}

static void emit_field(FILE *out, const struct sc_field *f)
{
    fputs("    {.name = ", out);
    put_string(out, f->name);
    fprintf(out, ", .name_n = %zu, .shape = SCHEMA_%s", strlen(f->name), f->shape);
    if (f->elem_shape) {
        fprintf(out, ", .elem_shape = SCHEMA_%s", f->elem_shape);
    }
    if (f->list_kind) {
        fprintf(out, ", .list_kind = %s", f->list_kind);
    }
    if (f->flags) {
        fprintf(out, ", .flags = %s", f->flags);
    }
    if (f->type) {
        fprintf(out, ", .type = &type_%s", symbol(f->type));
    }
    const struct {
        const char *member, *text;
    } strings[] = {
        {"default_json", f->default_json}, {"merge_key", f->merge_key}, {"map_keys", f->map_keys},
        {"values", bars(f->values)},       {"format", f->format},       {"doc", f->doc}};
    for (size_t i = 0; i < sizeof strings / sizeof *strings; i++) {
        if (strings[i].text) {
            fprintf(out, ", .%s = ", strings[i].member);
            put_string(out, strings[i].text);
        }
    }
    fprintf(out, ", .pb = %u, .min = %s, .max = %s},\n", f->pb, f->min ? f->min : "INT64_MIN",
            f->max ? f->max : "INT64_MAX");
}

/* Fills the slots; returns how many names are not where they are looked for first. */
static size_t place_names(const struct sc_type *t, uint32_t seed, unsigned bits, uint8_t *slots)
{
    size_t astray = 0, size = (size_t)1 << bits;
    memset(slots, NO_FIELD, size);
    for (size_t i = 0; i < t->n; i++) {
        size_t at = schema_name_slot(span_cstr(t->fields[i].name), seed, bits);
        for (; slots[at] != NO_FIELD; at = (at + 1) % size) {
            astray++;
        }
        slots[at] = (uint8_t)i;
    }
    return astray;
}

enum { SLOT_BITS_MAX = 8, SEEDS = 4000 };

/* At least half of the slots stay empty, so every search ends. */
static void emit_slots(FILE *out, const struct sc_type *t, const char *sym, unsigned *ret_bits,
                       uint32_t *ret_seed)
{
    unsigned bits = 1;
    while ((size_t)1 << bits < 2 * t->n) {
        bits++;
    }
    uint8_t slots[1 << SLOT_BITS_MAX];
    size_t best = SIZE_MAX;
    uint32_t seed = 0x9e3779b1;
    for (int i = 0; i < SEEDS && best > 0; i++, seed = seed * 1664525 + 1013904223) {
        size_t astray = place_names(t, seed | 1, bits, slots);
        if (astray < best) {
            best = astray;
            *ret_seed = seed | 1;
        }
    }
    (void)place_names(t, *ret_seed, bits, slots);
    fprintf(out, "static const uint8_t slots_%s[] = {", sym);
    for (size_t i = 0; i < (size_t)1 << bits; i++) {
        fprintf(out, "%s%d", i ? ", " : "", slots[i]);
    }
    fputs("};\n", out);
    *ret_bits = bits;
}

/* Indexes of the fields of one sort; a list that no pointer needs when it is empty. */
static size_t emit_chosen(FILE *out, const struct sc_type *t, const char *what, const char *sym,
                          bool (*is_chosen)(const struct sc_field *))
{
    size_t n = 0;
    fprintf(out, "static const uint8_t %s_%s[] = {", what, sym);
    for (size_t i = 0; i < t->n; i++) {
        if (is_chosen(&t->fields[i])) {
            fprintf(out, "%s%zu", n++ ? ", " : "", i);
        }
    }
    fprintf(out, "%s};\n", n ? "" : "0");
    return n;
}

static void emit_type(FILE *out, const struct sc_type *t)
{
    char *sym = symbol(t);
    unsigned bits = 0;
    uint32_t seed = 0;
    size_t checked = 0, defaulted = 0;
    if (t->n) {
        fprintf(out, "static const struct schema_field fields_%s[] = {\n", sym);
        for (size_t i = 0; i < t->n; i++) {
            emit_field(out, &t->fields[i]);
        }
        fputs("};\n", out);
        emit_slots(out, t, sym, &bits, &seed);
        checked = emit_chosen(out, t, "checked", sym, is_checked);
        defaulted = emit_chosen(out, t, "defaulted", sym, is_defaulted);
    }
    fprintf(out,
            "static const struct schema_type type_%s = {.name = \"%s\", .group = \"%s\", "
            ".version = \"%s\", ",
            sym, t->name, t->group, t->version);
    if (t->n) {
        fprintf(out,
                ".fields = fields_%s, .slots = slots_%s, .slot_bits = %u, .slot_seed = %uu, "
                ".checked = checked_%s, .checked_n = %zu, .defaulted = defaulted_%s, "
                ".defaulted_n = %zu, ",
                sym, sym, bits, seed, sym, checked, sym, defaulted);
    }
    fprintf(out, ".field_count = %zu, .atomic = %d, .doc = ", t->n, t->atomic);
    put_string(out, t->doc);
    fputs("};\n", out);
}

static const char *const verb_names[] = {"create", "delete", "deletecollection", "get",
                                         "list",   "patch",  "update",           "watch"};

static unsigned verb_bits(struct sc_place at, const char *verbs)
{
    if (strcmp(verbs, "all") == 0) {
        return 0xff;
    }
    unsigned bits = 0;
    char *copy = sc_format("%s", verbs), *rest = NULL;
    for (char *w = strtok_r(copy, ",", &rest); w; w = strtok_r(NULL, ",", &rest)) {
        size_t i = 0;
        while (i < 8 && strcmp(w, verb_names[i]) != 0) {
            i++;
        }
        if (i == 8) {
            sc_fail(at, "unknown verb '%s'", w);
        }
        bits |= 1u << i;
    }
    return bits;
}

static void emit_words(FILE *out, const char *what, const char *id, const char *words)
{
    fprintf(out, "static const char *const %s_%s[] = {", what, id);
    char *copy = sc_format("%s", words ? words : ""), *rest = NULL;
    for (char *w = strtok_r(copy, ",", &rest); w; w = strtok_r(NULL, ",", &rest)) {
        fprintf(out, "\"%s\", ", w);
    }
    fputs("NULL};\n", out);
}

static void emit_kind_parts(FILE *out, const struct sc_kind *k)
{
    emit_words(out, "shorts", k->id, k->short_names);
    emit_words(out, "categories", k->id, k->categories);
    if (k->sub_n) {
        fprintf(out, "static const struct schema_subresource subs_%s[] = {\n", k->id);
        for (size_t i = 0; i < k->sub_n; i++) {
            const struct sc_sub *s = &k->subs[i];
            fprintf(out, "    {\"%s\", \"%s\", \"%s\", \"%s\", 0x%02x},\n", s->name, s->group,
                    s->version, s->kind, verb_bits(k->at, s->verbs));
        }
        fputs("};\n", out);
    }
    if (k->column_n) {
        fprintf(out, "static const struct schema_column columns_%s[] = {\n", k->id);
        for (size_t i = 0; i < k->column_n; i++) {
            const struct sc_column *c = &k->columns[i];
            fprintf(out, "    {\"%s\", \"%s\", \"%s\", ", c->name, c->type, c->format);
            put_string(out, c->doc);
            fprintf(out, ", %s, ", c->priority);
            put_string(out, c->cell);
            fputs("},\n", out);
        }
        fputs("};\n", out);
    }
}

static void emit_kind(FILE *out, const struct sc_kind *k)
{
    emit_kind_parts(out, k);
    const char *plural = k->plural ? k->plural : "";
    fprintf(out, "extern const struct schema_hooks schema_hooks_%s;\n", k->hooks);
    fprintf(
        out,
        "const struct schema_kind schema_kind_%s = {.group = \"%s\", .version = \"%s\", .kind = "
        "\"%s\", "
        ".list_kind = \"%s\",\n    .plural = \"%s\", .singular = \"%s\", .resource = \"%s%s%s\", "
        ".short_names = shorts_%s, .categories = categories_%s,\n    .namespaced = %s, .verbs = "
        "0x%02x, "
        ".type = &type_%s, .hooks = &schema_hooks_%s, "
        ".api_version = \"%s\", .name_format = \"%s\"",
        k->id, k->group, k->version, k->name, k->list ? k->list : "", plural,
        k->singular ? k->singular : "", plural, *k->group ? "." : "", k->group, k->id, k->id,
        k->namespaced ? "true" : "false",
        k->unlisted && !k->plural ? 0 : verb_bits(k->at, k->verbs), symbol(k->type), k->hooks,
        k->api_version ? k->api_version
                       : sc_format("%s%s%s", k->group, *k->group ? "/" : "", k->version),
        k->name_format);
    if (k->sub_n) {
        fprintf(out, ",\n    .subresources = subs_%s, .subresource_count = %zu", k->id, k->sub_n);
    }
    if (k->column_n) {
        fprintf(out, ",\n    .columns = columns_%s, .column_count = %zu", k->id, k->column_n);
    }
    if (k->view) {
        fprintf(out, ",\n    .view_of = &schema_kind_%s", k->view);
    }
    if (k->stored_only) {
        fputs(",\n    .stored_only = ", out);
        put_string(out, k->stored_only);
    }
    fputs("};\n", out);
}

static void emit_index(FILE *out, const struct sc_model *m, bool unlisted, const char *name)
{
    size_t n = 0;
    fprintf(out, "const struct schema_kind *const %s[] = {\n", name);
    for (size_t i = 0; i < m->kind_n; i++) {
        if (m->kinds[i].unlisted == unlisted) {
            fprintf(out, "    &schema_kind_%s,\n", m->kinds[i].id);
            n++;
        }
    }
    fprintf(out, "    NULL,\n};\nconst size_t %s_count = %zu;\n", name, n);
}

void sc_emit(const struct sc_model *m, const char *out_file)
{
    FILE *out = fopen(out_file, "w");
    if (!out) {
        perror(out_file);
        exit(1);
    }
    fputs("/* Made by schemac from the .schema files; do not edit. */\n"
          "#include \"schema/kinds.h\"\n#include \"schema/tables.h\"\n\n",
          out);
    for (size_t i = 0; i < m->type_n; i++) {
        fprintf(out, "static const struct schema_type type_%s;\n", symbol(&m->types[i]));
    }
    for (size_t i = 0; i < m->type_n; i++) {
        emit_type(out, &m->types[i]);
    }
    for (size_t i = 0; i < m->kind_n; i++) {
        emit_kind(out, &m->kinds[i]);
    }
    emit_index(out, m, false, "schema_tables_kinds");
    emit_index(out, m, true, "schema_tables_bodies");
    fputs("const struct schema_type *const schema_tables_types[] = {\n", out);
    for (size_t i = 0; i < m->type_n; i++) {
        fprintf(out, "    &type_%s,\n", symbol(&m->types[i]));
    }
    fprintf(out, "};\nconst size_t schema_tables_types_count = %zu;\n", m->type_n);
    if (fclose(out) != 0) {
        perror(out_file);
        exit(1);
    }
}
