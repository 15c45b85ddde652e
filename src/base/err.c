#include "base/err.h"

#include <string.h>

#include "base/arena.h"
#include "base/check.h"

const char *code_text(int code)
{
    switch (code) {
#define X(name, value, text)                                                                       \
    case name:                                                                                     \
        return text;
        E_CODES(X)
#undef X
    default:
        return code < 0 ? strerror(-code) : strerror(code);
    }
}

static const struct {
    int http;
    const char *text;
} reasons[] = {[ERR_NONE] = {200, ""},
#define X(name, code, text) [name] = {code, text},
               ERR_REASONS(X)
#undef X
};

int err_http_code(enum err_reason reason)
{
    assert(reason < ERR_REASON_COUNT);
    return reasons[reason].http;
}

const char *err_reason_text(enum err_reason reason)
{
    assert(reason < ERR_REASON_COUNT);
    return reasons[reason].text;
}

int err_set(struct arena *a, struct err *reterr, enum err_reason reason, const char *fmt, ...)
{
    assert(reason > ERR_NONE);
    assert(reason < ERR_REASON_COUNT);
    assert(fmt);
    if (reterr) {
        va_list ap;
        va_start(ap, fmt);
        *reterr = (struct err){.reason = reason, .message = arena_vprintf(a, fmt, ap)};
        va_end(ap);
    }
    return -1;
}

int err_wrap(struct arena *a, struct err *err, const char *fmt, ...)
{
    assert(fmt);
    assert(!err || err->reason > ERR_NONE);
    if (err) {
        va_list ap;
        va_start(ap, fmt);
        struct span context = arena_vprintf(a, fmt, ap);
        va_end(ap);
        err->message = arena_printf(a, "%.*s: %.*s", SPAN_ARG(context), SPAN_ARG(err->message));
    }
    return -1;
}

void err_add_cause(struct arena *a, struct err *err, const char *type, struct span field,
                   struct span message)
{
    assert(err);
    assert(type);
    struct err_cause *c = ARENA_NEW(a, struct err_cause);
    *c = (struct err_cause){
        .type = arena_dup(a, span_cstr(type)), .field = field, .message = message};
    struct err_cause **at = &err->causes;
    while (*at) {
        at = &(*at)->next;
    }
    *at = c;
}

struct err err_dup(struct arena *a, const struct err *err)
{
    assert(a);
    assert(err->reason < ERR_REASON_COUNT);
    struct err copy = *err;
    copy.message = arena_dup(a, err->message);
    copy.group = arena_dup(a, err->group);
    copy.kind = arena_dup(a, err->kind);
    copy.name = arena_dup(a, err->name);
    copy.uid = arena_dup(a, err->uid);
    copy.go_on = arena_dup(a, err->go_on);
    copy.causes = NULL;
    for (const struct err_cause *c = err->causes; c; c = c->next) {
        err_add_cause(a, &copy, arena_cstr(a, c->type), arena_dup(a, c->field),
                      arena_dup(a, c->message));
    }
    return copy;
}
