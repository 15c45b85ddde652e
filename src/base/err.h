/* base/err.h: the two error currencies.
 *
 * Low layers (base, os, codec, store) return negative errno values (-ENOENT), or one of the E_
 * codes below where errno has no word; code_text() names both. From schema/ up, errors are values:
 * struct err, last parameter, set only on failure, memory in the caller's arena. reason -> HTTP
 * code -> Status JSON happens in exactly one place (codec/status.c). err_wrap() adds context in
 * front of the message at each layer that knows more. Nobody below main/ exits, nobody below the
 * shells logs an error that it also returns. */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"

struct arena;

/* Own codes of the low layers; never overlap errno. */
#define E_CODES(X)                                                                                 \
    X(E_LIMIT, -4001, "over a limit")                                                              \
    X(E_SYNTAX, -4002, "malformed")                                                                \
    X(E_CONFLICT, -4003, "changed meanwhile")                                                      \
    X(E_CORRUPT, -4004, "damaged")                                                                 \
    X(E_VERSION, -4005, "made by a newer version")                                                 \
    X(E_DIGEST, -4006, "digest does not match")                                                    \
    X(E_UNAUTHORIZED, -4007, "not authorised")                                                     \
    X(E_CLOSED, -4008, "closed")

enum e_code {
#define X(name, value, text) name = value,
    E_CODES(X)
#undef X
};

/* Text for a negative errno or E_ code; never NULL. */
const char *code_text(int code);

/* API status reasons: name, HTTP code, the text in Status.reason (k8s.io/apimachinery
 * metav1.StatusReason). */
#define ERR_REASONS(X)                                                                             \
    X(ERR_BAD_REQUEST, 400, "BadRequest")                                                          \
    X(ERR_UNAUTHORIZED, 401, "Unauthorized")                                                       \
    X(ERR_FORBIDDEN, 403, "Forbidden")                                                             \
    X(ERR_NOT_FOUND, 404, "NotFound")                                                              \
    X(ERR_METHOD_NOT_ALLOWED, 405, "MethodNotAllowed")                                             \
    X(ERR_NOT_ACCEPTABLE, 406, "NotAcceptable")                                                    \
    X(ERR_ALREADY_EXISTS, 409, "AlreadyExists")                                                    \
    X(ERR_CONFLICT, 409, "Conflict")                                                               \
    X(ERR_GONE, 410, "Gone")                                                                       \
    X(ERR_EXPIRED, 410, "Expired")                                                                 \
    X(ERR_TOO_LARGE, 413, "RequestEntityTooLarge")                                                 \
    X(ERR_UNSUPPORTED_MEDIA_TYPE, 415, "UnsupportedMediaType")                                     \
    X(ERR_INVALID, 422, "Invalid")                                                                 \
    X(ERR_TOO_MANY_REQUESTS, 429, "TooManyRequests")                                               \
    X(ERR_UNKNOWN, 500, "")                                                                        \
    X(ERR_INTERNAL, 500, "InternalError")                                                          \
    X(ERR_UNAVAILABLE, 503, "ServiceUnavailable")                                                  \
    X(ERR_TIMEOUT, 504, "Timeout")

enum err_reason {
    ERR_NONE = 0,
#define X(name, code, text) name,
    ERR_REASONS(X)
#undef X
        ERR_REASON_COUNT
};

/* One cause of an Invalid error. type is the metav1.CauseType text ("FieldValueInvalid"), message
 * is without the field path, field is the path ("spec.replicas"). */
struct err_cause {
    struct err_cause *next;
    struct span type, message, field;
};

struct err {
    enum err_reason reason;
    struct span message;
    struct err_cause *causes; /* in order of detection */
    /* Status.details; empty when not known. */
    struct span group, kind, name, uid;
    int32_t retry_after_s; /* 0: none */
    struct span go_on;     /* a token for Status.metadata.continue, or empty */
};

int err_http_code(enum err_reason reason);
const char *err_reason_text(enum err_reason reason);
/* Sets *reterr (which may be NULL) and returns -1, so that callers write: return err_set(...); */
int err_set(struct arena *a, struct err *reterr, enum err_reason reason, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* Puts "context: " in front of the message. Returns -1. */
int err_wrap(struct arena *a, struct err *err, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Appends a cause; the caller formats. */
void err_add_cause(struct arena *a, struct err *err, const char *type, struct span field,
                   struct span message);
/* Deep copy into another arena. */
struct err err_dup(struct arena *a, const struct err *err);

#endif
