#include "codec/regex.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/limits.h"
#include "base/mem.h"

enum op { OP_CHAR, OP_ANY, OP_CLASS, OP_SPLIT, OP_JUMP, OP_BEGIN, OP_END, OP_WORD, OP_NOT_WORD };

struct range {
    int32_t low, high;
};

struct class
{
    struct range *at;
    size_t n, cap;
    bool negated, fold;
};

/* Jumps are relative, so that a fragment may be moved as a whole. */
struct inst {
    enum op op;
    bool fold, newline; /* OP_CHAR: any case; OP_ANY: line ends too */
    int32_t x, y;       /* OP_CHAR: the character; jumps: where to */
    const struct class *class;
};

struct regex {
    struct inst *at;
    int32_t n;
};

struct parser {
    struct arena *a;
    struct span in;
    size_t pos;
    struct inst *at;
    int32_t n;
    size_t steps, depth, alternatives;
    bool fold, dot_all;
    const char *err;
    struct inst nowhere; /* what is emitted after an error */
};

enum { REPEAT_MAX = 1000, DEPTH_MAX = 64, ALTERNATIVES_MAX = 1000, PARSE_STEPS_MAX = 100 * 1000 };

static void fail(struct parser *p, const char *why)
{
    if (!p->err) {
        p->err = why;
    }
}

/* ---- characters ---- */

/* One character of UTF-8; a malformed byte is a character of its own. */
static int32_t char_at(struct span s, size_t at, size_t *ret_len)
{
    unsigned char c = (unsigned char)s.p[at];
    size_t n = c < 0x80 ? 1 : c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc0 ? 2 : 1;
    *ret_len = 1;
    if (n == 1 || at + n > s.n) {
        return c;
    }
    int32_t v = c & (0xff >> (n + 1));
    for (size_t i = 1; i < n; i++) {
        unsigned char d = (unsigned char)s.p[at + i];
        if ((d & 0xc0) != 0x80) {
            return c;
        }
        v = v << 6 | (d & 0x3f);
    }
    *ret_len = n;
    return v;
}

static bool more(const struct parser *p)
{
    return !p->err && p->pos < p->in.n;
}

static bool next_is(const struct parser *p, char c)
{
    return more(p) && p->in.p[p->pos] == c;
}

static bool take(struct parser *p, const char *text)
{
    size_t n = strlen(text);
    if (p->err || !span_starts(span_from(p->in, p->pos), span_of(text, n))) {
        return false;
    }
    p->pos += n;
    return true;
}

static int32_t take_char(struct parser *p)
{
    size_t n;
    int32_t c = char_at(p->in, p->pos, &n);
    p->pos += n;
    return c;
}

static int32_t lower(int32_t c)
{
    return c >= 'A' && c <= 'Z' ? c + 32 : c;
}

/* ---- emitting ---- */

static struct inst *emit(struct parser *p, enum op op)
{
    if (p->n >= LIMIT_REGEX_INSTRUCTIONS || p->err) {
        fail(p, "it is too large");
        return &p->nowhere;
    }
    p->at[p->n] = (struct inst){.op = op};
    return &p->at[p->n++];
}

static struct inst *insert(struct parser *p, int32_t at, enum op op)
{
    struct inst *last = emit(p, op);
    if (p->err) {
        return last;
    }
    memmove(&p->at[at + 1], &p->at[at], (size_t)(p->n - 1 - at) * sizeof *p->at);
    p->at[at] = (struct inst){.op = op};
    return &p->at[at];
}

static void add_range(struct parser *p, struct class *c, int32_t low, int32_t high)
{
    if (c->n == c->cap) {
        size_t cap = c->cap ? c->cap * 2 : 8;
        struct range *grown = ARENA_ARRAY(p->a, struct range, cap);
        if (c->n) {
            memcpy(grown, c->at, c->n * sizeof *grown);
        }
        c->at = grown;
        c->cap = cap;
    }
    c->at[c->n++] = (struct range){low, high};
}

static const struct {
    const char *name;
    struct range at[4];
    size_t n;
} named[] = {
    {"d", {{'0', '9'}}, 1},
    {"w", {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}}, 4},
    {"s", {{'\t', '\n'}, {'\f', '\r'}, {' ', ' '}}, 3},
    {"[:digit:]", {{'0', '9'}}, 1},
    {"[:alpha:]", {{'A', 'Z'}, {'a', 'z'}}, 2},
    {"[:alnum:]", {{'0', '9'}, {'A', 'Z'}, {'a', 'z'}}, 3},
    {"[:lower:]", {{'a', 'z'}}, 1},
    {"[:upper:]", {{'A', 'Z'}}, 1},
    {"[:word:]", {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}}, 4},
    {"[:space:]", {{'\t', '\r'}, {' ', ' '}}, 2},
    {"[:xdigit:]", {{'0', '9'}, {'A', 'F'}, {'a', 'f'}}, 3},
    {"[:punct:]", {{'!', '/'}, {':', '@'}, {'[', '`'}, {'{', '~'}}, 4},
    {"[:print:]", {{' ', '~'}}, 1},
    {"[:graph:]", {{'!', '~'}}, 1},
    {"[:blank:]", {{'\t', '\t'}, {' ', ' '}}, 2},
    {"[:cntrl:]", {{0, 31}, {127, 127}}, 2},
    {"[:ascii:]", {{0, 127}}, 1},
};

static void add_named(struct parser *p, struct class *c, size_t i, bool negated)
{
    int32_t from = 0;
    for (size_t k = 0; k < named[i].n; k++) {
        if (!negated) {
            add_range(p, c, named[i].at[k].low, named[i].at[k].high);
            continue;
        }
        if (named[i].at[k].low > from) {
            add_range(p, c, from, named[i].at[k].low - 1);
        }
        from = named[i].at[k].high + 1;
    }
    if (negated) {
        add_range(p, c, from, 0x10ffff);
    }
}

/* \d and its like after the backslash: true when it was one. */
static bool class_escape(struct parser *p, struct class *c)
{
    for (size_t i = 0; more(p) && i < 3; i++) {
        if (lower(p->in.p[p->pos]) == named[i].name[0]) {
            add_named(p, c, i, p->in.p[p->pos] != named[i].name[0]);
            p->pos++;
            return true;
        }
    }
    return false;
}

static int32_t hex(struct parser *p)
{
    bool braces = take(p, "{");
    int32_t v = 0;
    size_t n = 0;
    while (more(p) && n < (braces ? 6u : 2u)) {
        int32_t c = lower(p->in.p[p->pos]);
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) {
            break;
        }
        v = v << 4 | (c <= '9' ? c - '0' : c - 'a' + 10);
        p->pos++;
        n++;
    }
    if (n == 0 || (!braces && n != 2) || (braces && !take(p, "}"))) {
        fail(p, "invalid escape sequence");
    }
    return v;
}

/* The character that an escape means; the backslash is taken already. */
static int32_t escaped(struct parser *p)
{
    static const char from[] = "nrtfva", to[] = "\n\r\t\f\v\a";
    if (!more(p)) {
        fail(p, "trailing backslash at end of expression");
        return 0;
    }
    int32_t c = take_char(p);
    const char *at = c < 128 && c ? strchr(from, (char)c) : NULL;
    if (at) {
        return to[at - from];
    }
    if (c == 'x') {
        return hex(p);
    }
    bool word = (c >= '0' && c <= '9') || (lower(c) >= 'a' && lower(c) <= 'z');
    if (word || c >= 128) {
        fail(p, c >= '1' && c <= '9' ? "back-references are not supported"
                                     : "invalid or unsupported escape sequence");
    }
    return c;
}

static bool class_name(struct parser *p, struct class *c)
{
    for (size_t i = 3; i < sizeof named / sizeof *named; i++) {
        if (take(p, named[i].name)) {
            add_named(p, c, i, false);
            return true;
        }
    }
    return false;
}

static void parse_class(struct parser *p)
{
    struct class *c = ARENA_NEW(p->a, struct class);
    bool first = true;
    c->fold = p->fold;
    c->negated = take(p, "^");
    while (more(p) && (first || !next_is(p, ']'))) {
        first = false;
        if (class_name(p, c)) {
            continue;
        }
        bool backslash = take(p, "\\");
        if (backslash && class_escape(p, c)) {
            continue;
        }
        int32_t low = backslash ? escaped(p) : take_char(p), high = low;
        if (p->pos + 1 < p->in.n && p->in.p[p->pos] == '-' && p->in.p[p->pos + 1] != ']') {
            p->pos++;
            high = take(p, "\\") ? escaped(p) : take_char(p);
        }
        if (high < low) {
            fail(p, "invalid character class range");
        }
        add_range(p, c, low, high);
    }
    if (!take(p, "]")) {
        fail(p, "missing closing ]");
    }
    emit(p, OP_CLASS)->class = c;
}

/* ---- the grammar ---- */

static void parse_alternation(struct parser *p);

static void parse_flags(struct parser *p, bool *ret_group)
{
    bool on = true;
    *ret_group = true;
    while (more(p)) {
        char c = p->in.p[p->pos++];
        if (c == 'i') {
            p->fold = on;
        } else if (c == 's') {
            p->dot_all = on;
        } else if (c == '-') {
            on = false;
        } else if (c == ')') {
            *ret_group = false;
            return;
        } else if (c == ':') {
            return;
        } else if (c != 'U') {
            break;
        }
    }
    fail(p, "invalid or unsupported group syntax");
}

static void parse_group(struct parser *p)
{
    bool fold = p->fold, dot_all = p->dot_all, group = true;
    if (++p->depth > DEPTH_MAX) {
        fail(p, "it nests too deeply");
        return;
    }
    if (take(p, "?P<") || (take(p, "?<") && !next_is(p, '=') && !next_is(p, '!'))) {
        while (more(p) && !next_is(p, '>')) {
            p->pos++;
        }
        (void)take(p, ">");
    } else if (p->in.p[p->pos - 1] == '<') {
        fail(p, "look-around is not supported");
    } else if (take(p, "?")) {
        parse_flags(p, &group);
    }
    if (group) {
        parse_alternation(p);
        if (!take(p, ")")) {
            fail(p, "missing closing )");
        }
        p->fold = fold;
        p->dot_all = dot_all;
    }
    p->depth--;
}

static void parse_escape(struct parser *p)
{
    static const struct {
        char c;
        enum op op;
    } marks[] = {{'A', OP_BEGIN}, {'z', OP_END}, {'b', OP_WORD}, {'B', OP_NOT_WORD}};
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) {
        if (next_is(p, marks[i].c)) {
            p->pos++;
            (void)emit(p, marks[i].op);
            return;
        }
    }
    struct class *c = ARENA_NEW(p->a, struct class);
    if (class_escape(p, c)) {
        emit(p, OP_CLASS)->class = c;
        return;
    }
    int32_t v = escaped(p);
    struct inst *i = emit(p, OP_CHAR);
    i->x = p->fold ? lower(v) : v;
    i->fold = p->fold;
}

static void parse_atom(struct parser *p)
{
    if (++p->steps > PARSE_STEPS_MAX) {
        fail(p, "it is too large");
        return;
    }
    if (take(p, "(")) {
        parse_group(p);
    } else if (take(p, "[")) {
        parse_class(p);
    } else if (take(p, "\\")) {
        parse_escape(p);
    } else if (take(p, ".")) {
        emit(p, OP_ANY)->newline = p->dot_all;
    } else if (take(p, "^")) {
        (void)emit(p, OP_BEGIN);
    } else if (take(p, "$")) {
        (void)emit(p, OP_END);
    } else if (next_is(p, '*') || next_is(p, '+') || next_is(p, '?')) {
        fail(p, "missing argument to repetition operator");
    } else {
        int32_t v = take_char(p);
        struct inst *i = emit(p, OP_CHAR);
        i->x = p->fold ? lower(v) : v;
        i->fold = p->fold;
    }
}

/* {n}, {n,} or {n,m}: true when it is one; otherwise the brace is a character. max -1: none. */
static bool parse_counts(struct parser *p, int *min, int *max)
{
    size_t close = span_find(span_from(p->in, p->pos), '}') + p->pos;
    uint64_t low, high = 0;
    if (!next_is(p, '{') || close >= p->in.n) {
        return false;
    }
    struct span rest = span_of(p->in.p + p->pos + 1, close - p->pos - 1);
    bool comma = span_find(rest, ',') < rest.n;
    struct span first = span_cut(&rest, ',');
    if (!span_to_u64(first, &low) || (rest.n && !span_to_u64(rest, &high))) {
        return false;
    }
    if (low > REPEAT_MAX || high > REPEAT_MAX || (rest.n && high < low)) {
        fail(p, "invalid repeat count");
    }
    *min = (int)low;
    *max = !comma ? (int)low : rest.n ? (int)high : -1;
    p->pos = close + 1;
    return true;
}

static void star(struct parser *p, int32_t start)
{
    struct inst *split = insert(p, start, OP_SPLIT);
    split->x = 1;
    split->y = p->n - start + 1;
    struct inst *jump = emit(p, OP_JUMP);
    jump->x = -(p->n - 1 - start);
}

static void quest(struct parser *p, int32_t start)
{
    struct inst *split = insert(p, start, OP_SPLIT);
    split->x = 1;
    split->y = p->n - start;
}

/* The atom stands from `start` on and is written from..to in the pattern. */
static void repeat(struct parser *p, int32_t start, size_t from, int min, int max)
{
    size_t after = p->pos;
    bool fold = p->fold, dot_all = p->dot_all;
    int copies = max < 0 ? min + 1 : max;
    if (copies == 0) {
        p->n = start;
        return;
    }
    for (int i = 0; i < copies && !p->err; i++) {
        if (i > 0) {
            start = p->n;
            p->pos = from;
            parse_atom(p);
            p->fold = fold;
            p->dot_all = dot_all;
        }
        if (i >= min && max < 0) {
            star(p, start);
        } else if (i >= min) {
            quest(p, start);
        }
    }
    p->pos = after;
}

static void parse_repeated(struct parser *p)
{
    int32_t start = p->n;
    size_t from = p->pos;
    int min = 0, max = 0;
    parse_atom(p);
    if (take(p, "*")) {
        star(p, start);
    } else if (take(p, "+")) {
        int32_t n = p->n - start;
        struct inst *split = emit(p, OP_SPLIT);
        split->x = -n;
        split->y = 1;
    } else if (take(p, "?")) {
        quest(p, start);
    } else if (parse_counts(p, &min, &max)) {
        repeat(p, start, from, min, max);
    } else {
        return;
    }
    (void)take(p, "?"); /* lazy or not, the answer is the same */
    if (next_is(p, '*') || next_is(p, '+') || next_is(p, '?')) {
        fail(p, "invalid nested repetition operator");
    }
}

static void parse_alternation(struct parser *p)
{
    int32_t start = p->n;
    while (more(p) && !next_is(p, ')')) {
        if (!take(p, "|")) {
            parse_repeated(p);
            continue;
        }
        if (++p->steps > PARSE_STEPS_MAX) {
            fail(p, "it is too large");
        }
        struct inst *split = insert(p, start, OP_SPLIT);
        split->x = 1;
        split->y = p->n - start + 1;
        int32_t jump = p->n;
        (void)emit(p, OP_JUMP);
        if (p->err) {
            return;
        }
        if (++p->alternatives > ALTERNATIVES_MAX) {
            fail(p, "it has too many alternatives");
        }
        parse_alternation(p); /* the rest of the alternatives */
        p->alternatives--;
        p->at[jump].x = p->n - jump;
    }
}

struct regex *regex_compile(struct arena *a, struct span pattern, const char **reterr)
{
    assert(a);
    assert(reterr);
    *reterr = NULL;
    if (pattern.n > LIMIT_REGEX_BYTES) {
        *reterr = "it is too long";
        return NULL;
    }
    struct parser p = {.a = a, .in = pattern};
    p.at = mem_new_array(LIMIT_REGEX_INSTRUCTIONS, sizeof *p.at);
    parse_alternation(&p);
    if (!p.err && p.pos < pattern.n) {
        p.err = "unexpected )";
    }
    struct regex *r = NULL;
    if (!p.err) {
        r = ARENA_NEW(a, struct regex);
        r->at = ARENA_ARRAY(a, struct inst, (size_t)p.n + 1);
        memcpy(r->at, p.at, (size_t)p.n * sizeof *r->at);
        r->n = p.n;
    }
    *reterr = p.err;
    free(p.at);
    return r;
}

/* ---- matching ---- */

struct threads {
    int32_t *at;
    int32_t n;
};

struct run {
    const struct regex *r;
    struct span text;
    size_t pos;
    uint32_t *mark; /* by instruction: the round that has seen it */
    uint32_t round;
    int32_t *stack;
    bool matched;
    size_t steps;
};

static bool is_word(struct span s, size_t at)
{
    if (at >= s.n) {
        return false;
    }
    char c = s.p[at];
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool holds(const struct run *m, enum op op)
{
    bool before = m->pos > 0 && is_word(m->text, m->pos - 1);
    bool boundary = before != is_word(m->text, m->pos);
    return op == OP_BEGIN ? m->pos == 0
           : op == OP_END ? m->pos == m->text.n
                          : boundary == (op == OP_WORD);
}

/* Adds everything that can be reached from `first` without a character. */
static void follow(struct run *m, struct threads *to, int32_t first)
{
    int32_t depth = 0;
    m->stack[depth++] = first;
    while (depth > 0) {
        int32_t at = m->stack[--depth];
        if (m->mark[at] == m->round) {
            continue;
        }
        m->mark[at] = m->round;
        m->steps++;
        if (at == m->r->n) {
            m->matched = true;
            return;
        }
        const struct inst *i = &m->r->at[at];
        if (i->op == OP_JUMP) {
            m->stack[depth++] = at + i->x;
        } else if (i->op == OP_SPLIT) {
            m->stack[depth++] = at + i->y;
            m->stack[depth++] = at + i->x;
        } else if (i->op >= OP_BEGIN) {
            if (holds(m, i->op)) {
                m->stack[depth++] = at + 1;
            }
        } else {
            to->at[to->n++] = at;
        }
    }
}

static bool in_class(const struct class *c, int32_t v)
{
    for (size_t i = 0; i < c->n; i++) {
        bool hit = v >= c->at[i].low && v <= c->at[i].high;
        if (!hit && c->fold) {
            int32_t up = v >= 'a' && v <= 'z' ? v - 32 : v, down = lower(v);
            hit = (up >= c->at[i].low && up <= c->at[i].high) ||
                  (down >= c->at[i].low && down <= c->at[i].high);
        }
        if (hit) {
            return !c->negated;
        }
    }
    return c->negated;
}

static bool accepts(const struct inst *i, int32_t v)
{
    if (i->op == OP_CHAR) {
        return (i->fold ? lower(v) : v) == i->x;
    }
    return i->op == OP_ANY ? i->newline || v != '\n' : in_class(i->class, v);
}

int regex_match(const struct regex *r, struct arena *scratch, struct span text)
{
    assert(r);
    assert(scratch);
    size_t n = (size_t)r->n + 1;
    struct run m = {.r = r, .text = text, .round = 1};
    m.mark = ARENA_ARRAY(scratch, uint32_t, n);
    m.stack = ARENA_ARRAY(scratch, int32_t, 2 * n + 2);
    struct threads lists[2] = {{ARENA_ARRAY(scratch, int32_t, n), 0},
                               {ARENA_ARRAY(scratch, int32_t, n), 0}};
    struct threads *now = &lists[0], *next = &lists[1];
    follow(&m, now, 0);
    while (!m.matched && m.pos < text.n) {
        size_t len;
        int32_t v = char_at(text, m.pos, &len);
        m.pos += len;
        m.round++;
        next->n = 0;
        for (int32_t i = 0; i < now->n && !m.matched; i++) {
            m.steps++;
            if (accepts(&r->at[now->at[i]], v)) {
                follow(&m, next, now->at[i] + 1);
            }
        }
        if (!m.matched) {
            follow(&m, next, 0);
        }
        struct threads *swap = now;
        now = next;
        next = swap;
        if (m.steps > LIMIT_REGEX_STEPS) {
            return -1;
        }
    }
    return m.matched;
}
